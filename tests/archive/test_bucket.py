"""The archive in a bucket, which may be away, slow or cut off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pytest

from archive.errors import ArchiveUnavailable, StoreError
from archive.mover import KEPT_FOR_READERS, MoverLimits
from archive.store import Store, StoreUrl
from db.core.connect import Connection
from tests.archive.buckets import Bucket, Line, running_bucket, running_s3rver
from tests.archive.erasures import erase, erasing_asked, phones
from tests.archive.fleet import NOW, in_database, insert, minutes, objects_of, seen, truck
from tests.archive.passes import archive
from tests.servers import DatabaseUnderTest


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    with running_bucket(tmp_path_factory.mktemp("bucket")) as running:
        yield running


def store_at(bucket: Bucket, line: Line | None = None, timeout_s: float = 60) -> Store:
    return Store(StoreUrl.read(bucket.url(line and line.port)), timeout_s)


async def test_days_move_into_a_bucket_and_are_read_out_of_it(
    database: DatabaseUnderTest, admin: Connection, bucket: Bucket
) -> None:
    store = store_at(bucket)
    tenant, vehicle = await truck(admin, database)
    assert (await archive(database, store)).fixes == 100
    assert (await seen(database, tenant, store))[1] == 101
    await insert(admin, tenant, vehicle, minutes(0.5, 3, 300))
    assert (await seen(database, tenant, store))[1] == 103
    assert (await archive(database, store)).fixes == 3
    (day,) = await objects_of(admin)
    assert day.rows == 102
    assert len(store.objects()) == 2
    later = datetime.now(UTC) + KEPT_FOR_READERS
    assert (await archive(database, store, now=later)).objects_removed == 1
    assert [(one.path, one.bytes) for one in store.objects()] == [(day.path, day.size_bytes)]
    assert abs(store.objects()[0].written_at - datetime.now(UTC)) < timedelta(minutes=5)
    shown, counted = await seen(database, tenant, store)
    assert len(shown) == counted == 103
    store.remove(day.path)
    store.remove(day.path)  # again, as after a kill
    with pytest.raises(ArchiveUnavailable):
        await seen(database, tenant, store)


async def test_positions_are_erased_in_a_bucket(
    database: DatabaseUnderTest, admin: Connection, bucket: Bucket
) -> None:
    store = store_at(bucket)
    tenant, _ = await truck(admin, database)
    people = await phones(admin, tenant)
    await archive(database, store)
    await erasing_asked(database, tenant, people.anna)
    job = await erase(database, store, tenant)
    assert (job["state"], job["result"]["erased"]["archived_fixes"]) == ("done", 90)
    assert (await seen(database, tenant, store))[1] == 142
    named = {day.path for day in await objects_of(admin)}
    assert {one.path for one in store.objects(f"org={tenant.org_id}")} == named


def test_what_is_written_by_half_does_not_stay(bucket: Bucket) -> None:
    class Broken(BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() > 0:
                raise OSError("the pipe is gone")
            return super().read(size)

    store, path = store_at(bucket), f"org={uuid4()}/day=2026-03-01/half.parquet"
    with pytest.raises(OSError, match="the pipe is gone"):
        store.write(path, Broken(bytes(3_000_000)))
    assert path not in {one.path for one in store.objects()}
    store.write(path, BytesIO(b"whole"))
    assert store.sha256(path)[1] == 5


async def test_a_bucket_that_hangs_holds_up_nobody_for_long(
    database: DatabaseUnderTest, admin: Connection, bucket: Bucket
) -> None:
    store = store_at(bucket, timeout_s=2)
    tenant, _ = await truck(admin, database)
    bucket.freeze()
    try:
        limits = MoverLimits(piece_s=2, rest_s=0)
        passed = await archive(database, store, limits=limits)
        assert (passed.fixes, passed.failed_days) == (0, 1)
    finally:
        bucket.go_on()
    assert await in_database(admin) == 100
    assert (await archive(database, store_at(bucket))).fixes == 100
    assert (await seen(database, tenant, store_at(bucket)))[1] == 101
    bucket.freeze()
    try:
        with pytest.raises(StoreError, match="in time"):
            await store_at(bucket).run(store.objects, timeout_s=0.5)
        assert (await seen(database, tenant, store, since=NOW - timedelta(hours=1)))[1] == 1
    finally:
        bucket.go_on()


@pytest.mark.parametrize("cut_after", [0, 100, 700, 1_500])
async def test_a_line_that_is_cut_loses_nothing(
    database: DatabaseUnderTest, admin: Connection, bucket: Bucket, cut_after: int
) -> None:
    line = Line(bucket.port)
    store = store_at(bucket, line, timeout_s=20)
    tenant, _ = await truck(admin, database)
    line.cut_after = cut_after
    passed = await archive(database, store)
    assert (passed.fixes, passed.failed_days) == (0, 1)
    assert await in_database(admin) == 100
    line.cut_after = None
    assert (await archive(database, store)).fixes == 100
    line.cut_after = cut_after
    with pytest.raises(ArchiveUnavailable):
        await seen(database, tenant, store)
    line.cut_after = None
    assert (await seen(database, tenant, store))[1] == 101
    line.close()


async def test_a_bucket_that_is_not_there(
    database: DatabaseUnderTest, admin: Connection, bucket: Bucket
) -> None:
    await truck(admin, database)
    wrong = Store(StoreUrl.read(bucket.url().replace("@fixes/", "@other/")))
    passed = await archive(database, wrong)
    assert (passed.fixes, passed.failed_days) == (0, 1)
    assert await in_database(admin) == 100


@pytest.mark.long
async def test_a_store_that_keeps_other_bytes_gets_no_day_until_it_is_told(
    database: DatabaseUnderTest,
    admin: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """s3rver 3.7.1 stores the chunk headers and the checksum of an upload as a part of it."""
    tenant, vehicle = await truck(admin, database)
    with running_s3rver(tmp_path) as bucket:
        passed = await archive(database, store_at(bucket))
        assert (passed.fixes, passed.failed_days) == (0, 1)
        assert await in_database(admin) == 100
        monkeypatch.setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_required")
        store = store_at(bucket)
        assert (await archive(database, store)).fixes == 100
        await insert(admin, tenant, vehicle, minutes(0.5, 3, 300))
        assert (await archive(database, store)).fixes == 3
        assert (await seen(database, tenant, store))[1] == 103
        later = datetime.now(UTC) + KEPT_FOR_READERS
        assert (await archive(database, store, now=later)).objects_removed == 1
        people = await phones(admin, tenant)
        await archive(database, store)
        await erasing_asked(database, tenant, people.anna)
        assert (await erase(database, store, tenant))["state"] == "done"
        assert (await seen(database, tenant, store, employee_ids=[people.anna]))[0] == []
        assert {one.path for one in store.objects(f"org={tenant.org_id}")} == {
            day.path for day in await objects_of(admin)
        }
