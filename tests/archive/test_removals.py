"""What goes: days that are too old, objects that nothing names, and the space of chunks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from archive.mover import KEPT_FOR_READERS, ORPHAN_AFTER
from archive.store import Store
from db.archive import moving
from db.core.connect import Connection, connect
from db.history import retention
from stack.cli.organizations import delete
from tests.archive.fleet import OLD, insert, minutes, objects_of, seen, truck
from tests.archive.passes import archive, files
from tests.db import rows
from tests.servers import DatabaseUnderTest


async def test_days_too_old_for_their_organization_go(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenant, _ = await truck(admin, database)
    other, _ = await truck(admin, database)
    await archive(database, store)
    async with rows.transaction(database, "opsc_owner", tenant.org_id) as conn:
        await retention.change(conn, {"positions": 49})
    await archive(database, store)
    assert [day.org_id for day in await objects_of(admin)] == [other.org_id]
    assert (await seen(database, tenant, store))[1] == 1
    assert (await seen(database, other, store))[1] == 101
    await archive(database, store, now=datetime.now(UTC) + KEPT_FOR_READERS)
    assert [path.parts[-3] for path in files(tmp_path)] == [f"org={other.org_id}"]
    await archive(database, store, keep_days=49)
    assert await objects_of(admin) == []


async def test_orphans_are_told_and_removed_after_30_days(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenant, _ = await truck(admin, database)
    await archive(database, store)
    (known,) = files(tmp_path)
    orphan = known.with_name("0" * 32 + ".parquet")
    orphan.write_bytes(b"x")
    foreign = tmp_path / "README"
    foreign.write_bytes(b"x")

    async def passed(age: timedelta) -> int | None:
        now = datetime.now(UTC) + age
        return (await archive(database, store, now=now, seeks_orphans=True)).orphans

    assert await passed(timedelta()) == 0  # somebody may be writing it
    assert await passed(timedelta(hours=2)) == 1
    assert await passed(ORPHAN_AFTER + timedelta(hours=1)) == 0
    await archive(database, store, now=datetime.now(UTC) + 2 * ORPHAN_AFTER)
    assert files(tmp_path) == [foreign, known]
    assert (await seen(database, tenant, store))[1] == 101


async def test_a_chunk_of_which_little_is_left_gives_its_space_back(
    database: DatabaseUnderTest, admin: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_SMALL_BYTES", 150_000)
    tenant, vehicle = await truck(admin, database, fixes=1_400)
    parked = await tenant.vehicle()
    await insert(admin, tenant, parked, minutes(1))
    size = "SELECT pg_total_relation_size(format('%%I.%%I', chunk_schema, chunk_name)::regclass)"
    size += " FROM timescaledb_information.chunks WHERE range_start = %s"
    before = (await (await admin.execute(size.encode(), (OLD,))).fetchone() or (0,))[0]
    assert before > 150_000
    assert (await archive(database, store)).failed_days == 0
    after = (await (await admin.execute(size.encode(), (OLD,))).fetchone() or (0,))[0]
    assert 0 < after <= 150_000
    assert (await seen(database, tenant, store))[1] == 1_402
    await insert(admin, tenant, vehicle, minutes(0.5))  # into the new chunk
    assert (await seen(database, tenant, store))[1] == 1_403


async def test_ingest_writes_on_while_chunks_are_made_anew(
    database: DatabaseUnderTest, admin: Connection, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_SMALL_BYTES", 0)
    tenant, vehicle = await truck(admin, database)
    stop = asyncio.Event()

    async def write(seq: int) -> int:
        written = 0
        async with await connect(database.url("opsc_ingest"), "test") as conn:
            while not stop.is_set():
                times = minutes(written, written + 0.5)
                async with conn.transaction():
                    await insert(conn, tenant, vehicle, times[:1], seq=seq)
                    await insert(conn, tenant, vehicle, times[1:], seq=seq)
                written += 1
        return 2 * written

    writers = [asyncio.create_task(write(seq)) for seq in (1, 2, 3)]
    for _ in range(25):
        await archive(database, store)  # a day of which others write may wait
    stop.set()
    written = sum(await asyncio.gather(*writers))
    assert (await seen(database, tenant, store))[1] == 101 + written


async def test_the_objects_of_a_deleted_organization_go(
    database: DatabaseUnderTest,
    admin: Connection,
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delete, "SETTLE_S", 0.0)
    gone, vehicle = await truck(admin, database)
    stays, _ = await truck(admin, database)
    await archive(database, store)
    await insert(admin, gone, vehicle, minutes(0.5))
    await archive(database, store)  # the object before is still there
    said: list[str] = []
    await delete.delete(database.url("opsc_owner"), gone.org_id, said.append)
    assert "1 objects of the archive go with the next pass" in said[-1]
    passed = await archive(database, store, now=datetime.now(UTC) + KEPT_FOR_READERS)
    assert passed.objects_removed == 2
    assert {path.parts[-3] for path in files(tmp_path)} == {f"org={stays.org_id}"}
    assert not (tmp_path / f"org={gone.org_id}").exists()
    assert (await seen(database, stays, store))[1] == 101
