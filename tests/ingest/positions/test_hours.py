"""Hours of fixes: with their marks and their end they tell of every fix, whenever one came."""

import json
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from db.core.connect import connect
from db.core.errors import QueryCanceled
from db.core.leases import LeaseLost
from db.fixes import fix_hours, gps_history
from db.fixes.areas import Area, Box
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Cut
from db.history import retention
from ingest.positions.hours import BEHIND, HourKeeper, HoursEnd, hours_end
from ingest.transaction import LeaderTerm
from telemetry.fix import FixBatch, blank_rows
from telemetry.times import to_us
from telemetry.topics import fixes_topic
from tests.ingest.conftest import fix
from tests.ingest.seam import DeviceMessage, settle, term_of
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import DatabaseUnderTest

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(days=1)
EAST_OF_13 = Area(Box(13.0, -90.0, 180.0, 90.0))


def test_each_hour_of_each_tracker_is_to_be_marked() -> None:
    chances = np.random.default_rng(1)
    rows = blank_rows(2_000)
    rows["organization"], rows["tracker"] = 3, chances.choice([0, 1, 70_000, 2**31 - 1], 2_000)
    rows["time_us"] = to_us(START) + chances.integers(-200, 100, 2_000) * 3_600_000_000
    end = HoursEnd(to_us(START), marked={(3, 1, to_us(START) // 3_600_000_000 - 1)})
    places = zip(rows["tracker"].tolist(), rows["time_us"].tolist(), strict=True)
    old = {(3, tracker, us // 3_600_000_000) for tracker, us in places if us < to_us(START)}
    found = end.to_mark(FixBatch(rows))
    assert len(found) == len(set(found)) > 600
    assert set(found) == old - end.marked
    assert HoursEnd().to_mark(FixBatch(rows)) == []


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    database.run("admin", "TRUNCATE gps_events, fix_hours, fix_hours_changed")
    database.run("admin", "UPDATE fix_hours_end SET until = '-infinity'")
    return await Tenant.create(database)


@pytest.fixture
async def term(database: DatabaseUnderTest, tenant: Tenant) -> AsyncIterator[LeaderTerm]:
    async with term_of(database) as leading:
        yield leading


def keeper_of(term: LeaderTerm) -> HourKeeper:
    return HourKeeper(term.epoch, term.hours_end, term.metrics)


def beside(term: LeaderTerm, conn: Any) -> LeaderTerm:
    """Return the same term by another connection, which is in no transaction."""
    return LeaderTerm(
        conn, term.epoch, term.memory, term.metrics, term.now_us, hours_end=term.hours_end
    )


async def send(term: LeaderTerm, vehicle: Vehicle, *fixes: dict[str, Any]) -> None:
    payload = json.dumps(list(fixes)).encode()
    await settle(term, [DeviceMessage(None, fixes_topic(vehicle.name), payload)])


async def keep_all(term: LeaderTerm, now: datetime) -> None:
    keeper = keeper_of(term)
    while await keeper.keep_some(term.conn, now):
        pass


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def kept(tenant: Tenant) -> list[tuple[Any, ...]]:
    return tenant.rows(
        "SELECT tracker_id, hour, fixes, south, west, north, east FROM fix_hours"
        f" WHERE org_id = '{tenant.org_id}' ORDER BY hour, tracker_id"
    )


def marks(tenant: Tenant) -> int:
    query = f"SELECT count(*) FROM fix_hours_changed WHERE org_id = '{tenant.org_id}'"
    return tenant.rows(query)[0][0]


async def test_an_hour_has_the_number_of_its_fixes_and_their_box(
    term: LeaderTerm, tenant: Tenant
) -> None:
    truck = await tenant.vehicle()
    await send(
        term, truck, fix(at(0), 13.5, 52.1), fix(at(59), 13.4, 52.3), fix(at(60), 14.0, 50.0)
    )
    await keep_all(term, at(90))
    assert kept(tenant) == [
        (truck.tracker_id, at(0), 2, 52.1, 13.4, 52.3, 13.5),
        (truck.tracker_id, at(60), 1, 50.0, 14.0, 50.0, 14.0),
    ]
    assert await fix_hours.end(term.conn) == at(90) - BEHIND
    assert marks(tenant) == 0


async def test_a_late_fix_marks_its_hour_which_is_counted_again(
    term: LeaderTerm, tenant: Tenant
) -> None:
    truck = await tenant.vehicle()
    await send(term, truck, fix(at(0), 13.5, 52.1))
    await keep_all(term, at(90))
    await send(term, truck, fix(at(1), 13.7, 52.0))
    assert marks(tenant) == 1
    await keep_all(term, at(90))
    assert kept(tenant) == [(truck.tracker_id, at(0), 2, 52.0, 13.5, 52.1, 13.7)]
    assert marks(tenant) == 0


async def test_an_hour_is_marked_once_until_it_is_counted(term: LeaderTerm, tenant: Tenant) -> None:
    truck, other = await tenant.vehicle(), await tenant.vehicle()
    await send(term, truck, fix(at(0), 13.5, 52.1))
    await keep_all(term, at(90))
    for minute in (1, 2, 3):
        await send(term, truck, fix(at(minute), 13.7, 52.0))
    await send(term, other, fix(at(4), 13.7, 52.0), fix(at(-30), 13.7, 52.0))
    assert marks(tenant) == 3
    await keep_all(term, at(90))
    assert sorted(row[2] for row in kept(tenant)) == [1, 1, 4]
    await send(term, truck, fix(at(5), 13.7, 52.0))
    assert marks(tenant) == 1


async def test_a_fix_that_comes_while_its_hour_is_counted_marks_it_again(
    term: LeaderTerm, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    truck = await tenant.vehicle()
    await send(term, truck, fix(at(0), 13.5, 52.1))
    await keep_all(term, at(90))
    await send(term, truck, fix(at(1), 13.5, 52.1))
    read, count = fix_hours.marks, fix_hours.count_again

    async def slowly_read(conn: Any, most: int) -> list[fix_hours.Mark]:
        await send(term, truck, fix(at(2), 13.5, 52.1))
        return await read(conn, most)

    async def slowly_counted(conn: Any, counted: Any) -> None:
        await count(conn, counted)
        async with await connect(tenant.database.url("opsc_ingest"), "test") as other:
            await send(beside(term, other), truck, fix(at(3), 13.5, 52.1))

    monkeypatch.setattr(fix_hours, "marks", slowly_read)
    monkeypatch.setattr(fix_hours, "count_again", slowly_counted)
    await keeper_of(term).keep_some(term.conn, at(90))
    monkeypatch.undo()
    assert kept(tenant)[0][2] == 3
    assert marks(tenant) == 1
    await keep_all(term, at(90))
    assert kept(tenant)[0][2] == 4


async def test_a_fix_that_comes_while_its_hour_is_added_marks_it(
    term: LeaderTerm, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end is moved in memory before the statement looks at the fixes."""
    truck = await tenant.vehicle()
    await send(term, truck, fix(at(0), 13.5, 52.1))
    add = fix_hours.add

    async def slow_add(conn: Any, since: datetime, until: datetime) -> None:
        await add(conn, since, until)
        async with await connect(tenant.database.url("opsc_ingest"), "test") as other:
            await send(beside(term, other), truck, fix(at(1), 13.9, 52.1))

    monkeypatch.setattr(fix_hours, "add", slow_add)
    keeper = keeper_of(term)
    keeper.at_once = timedelta(days=1)
    await keeper.keep_some(term.conn, at(90))
    monkeypatch.undo()
    await keep_all(term, at(90))
    assert kept(tenant) == [(truck.tracker_id, at(0), 2, 52.1, 13.5, 52.1, 13.9)]


async def test_the_next_leader_goes_on_at_the_end(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    truck = await tenant.vehicle()
    async with term_of(database) as first:
        await send(first, truck, fix(at(0), 13.5, 52.1))
        await keep_all(first, at(90))
    async with term_of(database) as second:
        end = await hours_end(second.conn)
        assert end.until_us == to_us(at(90) - BEHIND)
        second.hours_end.until_us = end.until_us
        await send(second, truck, fix(at(2), 13.5, 52.1))
        assert marks(tenant) == 1


async def test_a_former_leader_adds_nothing(term: LeaderTerm, tenant: Tenant) -> None:
    truck = await tenant.vehicle()
    await send(term, truck, fix(at(0), 13.5, 52.1))
    keeper = HourKeeper(term.epoch - 1, term.hours_end, term.metrics)
    with pytest.raises(LeaseLost):
        await keeper.keep_some(term.conn, at(90))
    assert kept(tenant) == []


async def test_after_one_that_took_too_long_less_is_added_at_once(
    term: LeaderTerm, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def too_long(conn: Any, since: datetime, until: datetime) -> None:
        raise QueryCanceled

    await send(term, await tenant.vehicle(), fix(at(0), 13.5, 52.1))
    monkeypatch.setattr(fix_hours, "add", too_long)
    keeper = keeper_of(term)
    before = keeper.at_once
    with pytest.raises(QueryCanceled):
        await keeper.keep_some(term.conn, at(90))
    assert keeper.at_once == before / 4


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_when_the_fixes_in_an_area_are_found(
    term: LeaderTerm, tenant: Tenant, seed: int
) -> None:
    """Fixes come in order and late, hours are added and counted again, old fixes are removed, and
    leaders change: at each time a question is answered as by a look at all fixes.
    """
    chances = random.Random(seed)
    trucks = [await tenant.vehicle() for _ in range(3)]
    now, stored = 0.0, dict[tuple[Any, datetime], float]()
    keeper = HourKeeper(term.epoch, term.hours_end, term.metrics, timedelta(hours=2))
    for _ in range(50):
        match chances.choice(["fixes", "late", "late", "keep", "keep", "remove", "leader"]):
            case "remove":
                before = at(now - 60 * chances.uniform(3, 6))
                await _remove(tenant, before)
                stored = {key: lon for key, lon in stored.items() if key[1] >= before}
            case "leader":
                end = await hours_end(term.conn)
                term.hours_end.until_us = end.until_us
            case "keep":
                while await keeper.keep_some(term.conn, at(now)) and chances.random() < 0.8:
                    pass
            case kind:
                truck, lon = chances.choice(trucks), chances.choice([12.0, 12.5, 13.5, 14.0])
                if kind == "fixes":
                    now += chances.uniform(0, 40)
                time = at(now if kind == "fixes" else max(0, now - chances.uniform(0, 400)))
                time = time.replace(microsecond=time.microsecond // 1000 * 1000)
                if (truck.tracker_id, time) not in stored:
                    await send(term, truck, fix(time, lon, 52.0))
                    stored[truck.tracker_id, time] = lon
        await _check(tenant, trucks, stored, chances, now)


async def _remove(tenant: Tenant, before: datetime) -> None:
    """Remove the organization's fixes of before, as retention does."""
    async with tenant.database.connection("opsc_deliver") as conn:
        for chunk in await retention.chunks(conn):
            part = chunk._replace(until=min(chunk.until, before))
            await retention.remove_positions(conn, tenant.org_id, part, 10_000)


async def _check(
    tenant: Tenant,
    trucks: list[Vehicle],
    stored: dict[tuple[Any, datetime], float],
    chances: random.Random,
    now: float,
) -> None:
    since = chances.choice([None, None, at(chances.uniform(0, now + 1))])
    until = chances.choice([None, None, at(chances.uniform(0, now + 1))])
    of = chances.sample(trucks, chances.randint(1, 3))
    for area in (EAST_OF_13, None):
        wanted = FixFilter(
            tracker_ids=[truck.tracker_id for truck in of], area=area, since=since, until=until
        )
        expected = sorted(
            (time, tracker_id)
            for (tracker_id, time), lon in stored.items()
            if tracker_id in wanted.tracker_ids
            and (since is None or time >= since)
            and (until is None or time < until)
            and (area is None or lon > 13)
        )
        async with tenant.database.connection("admin") as conn:
            rows = await gps_history.listing(conn, wanted, Cut(False, None, 1_000, 0))
            assert [(row.time, row.tracker_id) for row in rows] == expected
            counted = await gps_history.count(conn, wanted, 1_000)
            assert counted == (len(expected), False)
