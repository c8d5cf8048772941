"""Fixes move into the archive: all of them, once, wherever a process ends."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from archive.errors import ArchiveUnavailable
from archive.mover import KEPT_FOR_READERS, Mover, MoverLimits
from archive.reading import Archive
from archive.store import Store, StoreUrl
from db.archive import archived_days, moving
from db.archive.archived_days import Piece, Summary, without
from db.core.connect import Connection, connect, pool
from db.core.tenant import reading
from db.fixes import gps_history
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import HistoryKey
from tests.archive.fleet import (
    DAY,
    NOW,
    OLD,
    in_database,
    insert,
    minutes,
    objects_of,
    seen,
    track,
    truck,
)
from tests.archive.passes import AFTER_DAYS, FORK, QUICK, archive, files, folder_store
from tests.db import rows
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.webhooks.poison.guards import guard_at

_NOT_YET = 3  # exit code: another process is at it


async def test_a_day_moves_when_it_is_old_enough(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenant, vehicle = await truck(admin, database)
    just_too_young = OLD + timedelta(days=AFTER_DAYS + 1) - timedelta(seconds=1)
    assert (await archive(database, store, now=just_too_young)).fixes == 0
    assert (await archive(database, store, now=OLD + timedelta(days=AFTER_DAYS + 1))).fixes == 100
    assert await in_database(admin) == 0
    (path,) = files(tmp_path)
    assert path.parent == tmp_path / f"org={tenant.org_id}" / f"day={DAY.isoformat()}"
    shown, counted = await seen(database, tenant, store)
    assert shown == [HistoryKey(at, vehicle.tracker_id, 0) for at in [*minutes(*range(100)), NOW]]
    assert counted == 101
    assert (await archive(database, store)).fixes == 0  # nothing is left to do
    assert files(tmp_path) == [path]


async def test_what_the_manifest_says_is_what_the_object_has(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenant, vehicle = await truck(admin, database)
    await archive(database, store)
    (day,) = await objects_of(admin)
    (path,) = files(tmp_path)
    assert tmp_path / day.path == path
    assert (day.org_id, day.day, day.rows) == (tenant.org_id, DAY, 100)
    assert store.sha256(day.path) == (day.sha256, day.size_bytes)
    cursor = await admin.execute(
        "SELECT tracker_id, rows, first_at, last_at, south, east FROM archived_trackers"
    )
    assert await cursor.fetchall() == [
        (vehicle.tracker_id, 100, OLD, OLD + timedelta(minutes=99), 52.5, 13.4)
    ]
    # Late fixes are judged with fixes that are in the database alone.
    cuts = await admin.execute("SELECT asset_id, before FROM asset_cuts")
    assert await cuts.fetchall() == [(vehicle.asset_id, OLD + timedelta(days=1))]


async def test_the_newest_good_fix_of_a_tracker_stays(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    tenant, _ = await truck(admin, database)
    parked = await tenant.vehicle()
    await insert(admin, tenant, parked, minutes(1, 2, 3))
    await admin.execute(
        "UPDATE gps_events SET flags = 1 WHERE tracker_id = %s AND time = %s",
        (parked.tracker_id, *minutes(3)),
    )
    assert (await archive(database, store)).fixes == 101
    assert await in_database(admin) == 2  # a suspect one is no position
    shown, counted = await seen(database, tenant, store, tracker_ids=[parked.tracker_id])
    assert [key.time for key in shown] == minutes(1, 2, 3)
    assert counted == 3
    assert (await archive(database, store)).fixes == 0
    await insert(admin, tenant, parked, [NOW])
    assert (await archive(database, store)).fixes == 2
    assert await in_database(admin) == 0
    assert (await seen(database, tenant, store))[1] == 105


async def test_late_fixes_are_shown_at_once_and_move_with_the_next_pass(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    tenant, vehicle = await truck(admin, database)
    await archive(database, store)
    late = minutes(-600, 0.5, 50.5, 200)
    await insert(admin, tenant, vehicle, late)
    expected = sorted([*minutes(*range(100)), *late, NOW])
    for passes in range(3):
        shown, counted = await seen(database, tenant, store)
        assert [key.time for key in shown] == expected, passes
        assert counted == 105
        await archive(database, store)
    assert await in_database(admin) == 0
    cursor = await admin.execute("SELECT path FROM archive_removals")
    ((older,),) = await cursor.fetchall()
    assert (tmp_path / older).exists()  # somebody may be reading
    later = datetime.now(UTC) + KEPT_FOR_READERS
    assert (await archive(database, store, now=later)).objects_removed == 1
    assert not (tmp_path / older).exists()
    assert len(files(tmp_path)) == 2
    assert (await seen(database, tenant, store))[1] == 105


async def test_a_fix_that_comes_again_is_shown_and_counted_once_as_it_was_first(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    tenant, vehicle = await truck(admin, database)
    await archive(database, store)
    await insert(admin, tenant, vehicle, minutes(3, 4, 4.5), received_at=NOW)
    for _ in range(2):
        shown, counted = await seen(database, tenant, store)
        assert len(shown) == len(set(shown)) == counted == 102
        async with pool(database.url("opsc_app"), "test", max_size=2) as connections:
            found = Archive(store).walk(
                lambda: reading(connections, tenant.org_id),
                FixFilter(until=OLD + timedelta(hours=1)),
                descending=True,
                page_rows=70,
            )
            known = {fix.time: fix.received_at async for page in found for fix in page}
        assert [known[at] for at in minutes(3, 4, 4.5)] == [OLD, OLD, NOW]
        await archive(database, store)
    assert (await objects_of(admin))[0].rows == 101


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_random_arrivals_across_the_edge_are_shown_and_counted_once(
    database: DatabaseUnderTest,
    admin: Connection,
    store: Store,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chances = random.Random(seed)
    if seed == 2:
        monkeypatch.setattr(moving, "_SMALL_BYTES", 0)  # chunks are made anew all the time
    tenant, neighbour = await Tenant.create(database), await Tenant.create(database)
    vehicles = [await tenant.vehicle() for _ in range(3)]
    foreign = await neighbour.vehicle()
    edge = NOW - timedelta(days=AFTER_DAYS)
    expected: set[HistoryKey] = set()
    numbers = count()
    for _ in range(12):
        for _ in range(chances.randrange(30)):
            vehicle = chances.choice(vehicles)
            at = edge + timedelta(hours=chances.randrange(-80, 60))
            key = HistoryKey(at, vehicle.tracker_id, chances.randrange(2))
            known = "SELECT FROM gps_events WHERE time = %s AND tracker_id = %s AND seq = %s"
            if (await admin.execute(known.encode(), key)).rowcount == 0:  # as ingest looks
                await insert(admin, tenant, vehicle, [at], seq=key.seq)
                await insert(admin, neighbour, foreign, [at], seq=next(numbers))
            expected.add(key)
        if chances.random() < 0.6:
            limits = MoverLimits(piece_rows=chances.choice((3, 20, 1_000)), rest_s=0)
            assert (await archive(database, store, limits=limits)).failed_days == 0
        shown, counted = await seen(database, tenant, store)
        assert shown == sorted(expected)
        assert counted == len(expected)
    assert len(await objects_of(admin)) > 3


async def test_readers_miss_nothing_while_days_move(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    tenant, _ = await truck(admin, database, fixes=1_440)
    more = await tenant.vehicle()
    await insert(admin, tenant, more, [*minutes(*range(1_440)), NOW])
    stop = asyncio.Event()

    async def read() -> int:
        reads = 0
        while not stop.is_set():
            shown, counted = await seen(database, tenant, store)
            assert len(shown) == counted == 2_882
            reads += 1
        return reads

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await archive(database, store, limits=MoverLimits(piece_rows=60, rest_s=0))
    stop.set()
    assert min(await asyncio.gather(*readers)) > 1
    assert await in_database(admin) == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["listing", "count", "track"])
async def test_a_day_that_moves_amid_a_question_is_in_its_answer_once(
    database: DatabaseUnderTest,
    admin: Connection,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    when: str,
) -> None:
    tenant, vehicle = await truck(admin, database)
    await archive(database, store)
    begin = -1440 if name == "listing" else 1440  # the first page has it, the edge of the track
    await insert(admin, tenant, vehicle, minutes(*range(begin, begin + 100)))
    as_it_is, moves = getattr(gps_history, name), iter([True])

    async def moving_beside(*arguments: Any) -> Any:
        found = await as_it_is(*arguments) if when == "after" else None
        if next(moves, False):
            assert (await archive(database, store)).fixes == 100
        return found if when == "after" else await as_it_is(*arguments)

    monkeypatch.setattr(gps_history, name, moving_beside)
    if name == "track":
        assert len(await track(database, tenant, store)) == 201
    else:
        shown, counted = await seen(database, tenant, store)
        assert len(shown) == counted == 201, name
    assert next(moves, None) is None


async def test_fixes_move_in_pieces_into_one_object(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    tenant, _ = await truck(admin, database)
    more = await tenant.vehicle()
    await insert(admin, tenant, more, [*minutes(*range(50)), NOW])
    limits = MoverLimits(piece_rows=40, rest_s=0)
    assert (await archive(database, store, limits=limits)).fixes == 150
    assert [day.rows for day in await objects_of(admin)] == [150]
    assert (await seen(database, tenant, store))[1] == 152


async def test_what_changes_while_it_is_written_stays(
    database: DatabaseUnderTest, admin: Connection, tmp_path: Path
) -> None:
    tenant, _ = await truck(admin, database)
    loop = asyncio.get_running_loop()
    changes = iter(
        [
            "UPDATE gps_events SET flags = 1 WHERE seq = 0 AND time = %s",
            "UPDATE gps_events SET seq = 7 WHERE seq = 0 AND time = %s",
            "DELETE FROM gps_events WHERE time = %s",
        ]
    )

    class Meddled(Store):
        def sha256(self, path: str) -> tuple[bytes, int]:
            change = next(changes, None)
            if change is not None:
                work = admin.execute(change.encode(), minutes(5))
                asyncio.run_coroutine_threadsafe(work, loop).result()
            return super().sha256(path)

    meddled = Meddled(StoreUrl.read(tmp_path.as_uri()))
    for left in (100, 100, 99):
        passed = await archive(database, meddled)
        assert (passed.fixes, passed.failed_days) == (0, 1)
        assert await in_database(admin) == left
        assert (await seen(database, tenant, meddled))[1] == left + 1
    passed = await archive(database, meddled)
    assert (passed.fixes, passed.failed_days, passed.objects_removed) == (99, 0, 1)
    assert (await seen(database, tenant, meddled))[1] == 100
    assert len(files(tmp_path)) == 1


async def test_an_object_that_reads_back_otherwise_is_not_named(
    database: DatabaseUnderTest, admin: Connection, tmp_path: Path
) -> None:
    class Forgetful(Store):
        def write(self, path: str, content: Any) -> None:
            super().write(path, content)
            with (tmp_path / path).open("r+b") as file:
                file.seek(300)
                byte = file.read(1)
                file.seek(300)
                file.write(bytes([byte[0] ^ 1]))

    tenant, _ = await truck(admin, database)
    other, _ = await truck(admin, database)
    forgetful = Forgetful(StoreUrl.read(tmp_path.as_uri()))
    passed = await archive(database, forgetful)
    assert (passed.fixes, passed.failed_days) == (0, 2)
    assert await in_database(admin) == 200
    assert await objects_of(admin) == []
    assert (await seen(database, tenant, forgetful))[1] == 101
    for each in (tenant, other):
        known = await summary_of(each)
        assert (known.days, known.fixes, known.failed_days, known.failed_day) == (0, 0, 1, DAY)
        assert known.failed_at is not None
    await archive(database, folder_store(tmp_path))
    known = await summary_of(tenant)
    assert (known.days, known.fixes, known.failed_days, known.failed_at) == (1, 100, 0, None)
    assert (known.first_day, known.last_day) == (DAY, DAY)


async def summary_of(tenant: Tenant) -> Summary:
    async with rows.transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        return await archived_days.summary(conn)


class _Dying:
    """Ends the process, as kill -9 does, before the step of this number, from 0 on."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def _pass_that_dies(url: str, folder: str, steps: int, now: datetime) -> None:
    dying = _Dying(steps)

    class DyingStore(Store):
        def write(self, path: str, content: Any) -> None:
            dying.step()
            super().write(path, content)
            dying.step()

        def sha256(self, path: str) -> tuple[bytes, int]:
            dying.step()
            return super().sha256(path)

        def open(self, path: str) -> Any:
            dying.step()
            return super().open(path)

        def remove(self, path: str) -> None:
            dying.step()
            super().remove(path)
            dying.step()

    class DyingConnection(Connection):
        async def execute(self, *arguments: Any, **options: Any) -> Any:
            dying.step()
            return await super().execute(*arguments, **options)

    async def run() -> object:
        made = Mover(DyingStore(StoreUrl.read(folder)), guard_at(url), AFTER_DAYS, None, QUICK)
        async with await DyingConnection.connect(url, autocommit=True) as conn:
            return await made.pass_over(conn, now, asyncio.Event())

    os._exit(_NOT_YET if asyncio.run(run()) is None else 0)


async def test_a_process_may_be_killed_at_any_step(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path
) -> None:
    """Fixes that came late are merged into an object meanwhile, and the one before is removed."""
    tenant, vehicle = await truck(admin, database)
    expected = [*minutes(*range(100)), NOW]
    steps, tries, rounds = 0, 0, 0
    while True:
        now = datetime.now(UTC) + (tries + 1) * KEPT_FOR_READERS
        worker = FORK.Process(
            target=_pass_that_dies,
            args=(database.url("opsc_deliver"), tmp_path.as_uri(), steps, now),
        )
        worker.start()
        await asyncio.to_thread(worker.join)
        if worker.exitcode == _NOT_YET:
            continue  # the server still takes the one before to be alive
        steps, tries = steps + 1, tries + 1
        shown, counted = await seen(database, tenant, store)
        assert [key.time for key in shown] == sorted(expected), steps
        assert counted == len(expected), steps
        if worker.exitcode == 0:
            steps, rounds = 0, rounds + 1
            if rounds == 2:  # in the second one there is an object to remove
                break
        else:
            assert worker.exitcode == -signal.SIGKILL
        # Next time there is something to merge, and something to remove.
        fresh = minutes(1000 + tries, 0.01 * tries + 0.01)
        await insert(admin, tenant, vehicle, fresh)
        expected += fresh
    assert tries > 45
    await archive(database, store, now=now + 2 * KEPT_FOR_READERS)
    assert await in_database(admin) == 0
    (day,) = await objects_of(admin)
    assert day.rows == len(expected) - 1


async def test_a_pass_makes_room_for_others(
    database: DatabaseUnderTest, admin: Connection, store: Store
) -> None:
    await truck(admin, database)
    async with await connect(database.url("opsc_deliver"), "test") as conn:
        assert await moving.begin(conn)
        mover = Mover(store, guard_at(database.url("opsc_deliver")), AFTER_DAYS)
        async with await connect(database.url("opsc_deliver"), "test") as other:
            assert await mover.pass_over(other, NOW, asyncio.Event()) is None
        await moving.end(conn)


@pytest.mark.parametrize("fault", ["missing", "short", "damaged", "foreign", "not_set_up"])
async def test_an_object_that_cannot_be_read_is_told_and_the_rest_is_answered(
    database: DatabaseUnderTest, admin: Connection, store: Store, tmp_path: Path, fault: str
) -> None:
    tenant, vehicle = await truck(admin, database)
    other, _ = await truck(admin, database)
    tomorrow = OLD + timedelta(days=1)
    await insert(admin, tenant, vehicle, [tomorrow])
    await archive(database, store)
    (path,) = (tmp_path / f"org={tenant.org_id}" / f"day={DAY}").iterdir()
    content = path.read_bytes()
    match fault:
        case "missing":
            path.unlink()
        case "short":
            path.write_bytes(content[:-9])
        case "damaged":
            path.write_bytes(content[:900] + bytes(20) + content[920:])
        case "foreign":
            (theirs,) = (tmp_path / f"org={other.org_id}" / f"day={DAY}").iterdir()
            path.write_bytes(theirs.read_bytes())
    read = None if fault == "not_set_up" else store
    with pytest.raises(ArchiveUnavailable) as told:
        await seen(database, tenant, read)
    assert told.value.day in (DAY, tomorrow.date())
    if read is not None:
        assert (await seen(database, tenant, read, since=tomorrow))[1] == 2
        assert (await seen(database, other, read))[1] == 101
    assert (await seen(database, tenant, read, since=tomorrow + timedelta(days=1)))[1] == 1
    await insert(admin, tenant, vehicle, minutes(300))  # ingest is not concerned
    if fault not in ("not_set_up",):
        passed = await archive(database, store)
        assert (passed.fixes, passed.failed_days) == (0, 1)
        assert await in_database(admin) == 1


@given(
    begin=some.integers(0, 20),
    length=some.integers(1, 20),
    hidden=some.lists(
        some.tuples(some.integers(0, 40), some.integers(0, 40)).map(sorted), max_size=4
    ),
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_hidden_spans_are_cut_out(begin: int, length: int, hidden: list[list[int]]) -> None:
    spans = [(first, last) for first, last in hidden]
    piece = Piece(UUID(int=7), begin, begin + length)
    left = [at for part in without(piece, spans) for at in range(part.since_us, part.until_us)]
    assert left == [
        at
        for at in range(begin, begin + length)
        if not any(first <= at < last for first, last in spans)
    ]
