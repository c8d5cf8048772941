"""Fixes from before an assignment are judged as if it had been there from the beginning."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
import pytest

from db.core.connect import Connection
from db.ingest.asset_backlogs import Backlog
from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State
from geofence.late.history import History
from geofence.late.segments import Circumstances
from ingest.late import lookup as past
from ingest.late.lookup import Lookup, look_up
from ingest.metrics import IngestMetrics
from ingest.planning.backlogs import PAUSE_US, Backlogs
from ingest.planning.memory import Memory
from ingest.planning.plan import UNDER_WAY_US
from ingest.recovery import recover
from ingest.runtime import IngestRuntime
from ingest.saved_states import checkpoints
from ingest.standby import Standby
from ingest.transaction import LEASE, LeaderTerm
from mqtt import Message
from telemetry.fix import blank_rows
from telemetry.ids import format_id
from telemetry.times import to_datetime
from telemetry.topics import fixes_topic
from tests.ingest.conftest import Device, fix
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.ingest.walking import (
    BEGIN,
    EVERYTHING,
    HOME,
    ZONES,
    all_known,
    fail_to_take,
    lease_of,
    microseconds,
    take,
)
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

Stay = tuple[Any, ...]  # asset, zone, entered_at, left_at

_OPEN = datetime.max.replace(tzinfo=UTC)
SEEDS = [(0, 3), (1, 20), (112, 20)]
STEPS = 60
TRACKERS = 3
ASSETS = 2


class Episode(NamedTuple):
    """A tracker on an asset, by numbers of steps: written at `written`, perhaps first without the
    time before `middle`, perhaps ended."""

    tracker: int
    asset: int
    begin: int
    middle: int
    written: int
    extended: int
    end: int


@dataclass
class Script:
    """The events of a run: by step the time, the fixes that arrive, and the assignments."""

    times: list[datetime]
    arrivals: list[list[tuple[int, list[dict[str, Any]]]]]
    episodes: list[Episode]

    def begun(self, tracker: int) -> datetime:
        """Return when the tracker was put on an asset last."""
        steps = [one.begin for one in self.episodes if one.tracker == tracker]
        times = [self.times[step] for step in steps if step < len(self.times)]
        return max(times, default=BEGIN - timedelta(hours=1))


def drawn(seed: int, *, late: bool, jumps: bool = True) -> Script:
    """Draw a script. late: some fixes arrive after later ones. jumps: some are too far to be true.

    With jumps, none from before its tracker was put on an asset comes later than that: where the
    tracker was then is not asked again when a fix turns out to be suspect, or not to be.
    """
    random, now = Random(seed), BEGIN
    place = [HOME] * TRACKERS
    script = Script([], [], _episodes(random))
    for _ in range(STEPS):
        now += timedelta(seconds=random.choice([3, 6, 6, 31, 101]))
        script.times.append(now)
        sending = [tracker for tracker in range(TRACKERS) if random.random() < 0.6]
        script.arrivals.append([])
        for one in sending:
            not_before = script.begun(one) if jumps else BEGIN - timedelta(days=1)
            fixes = _fixes(random, place, one, now, not_before if late else now, jumps=jumps)
            script.arrivals[-1].append((one, fixes))
    return script


def _episodes(random: Random) -> list[Episode]:
    """Return random ones, none of which has its tracker or its asset twice at a time."""
    found: list[Episode] = []
    free_tracker, free_asset = [1] * TRACKERS, [1] * ASSETS
    for _ in range(12):
        tracker, asset = random.randrange(TRACKERS), random.randrange(ASSETS)
        begin = max(free_tracker[tracker], free_asset[asset]) + random.randrange(6)
        end = begin + random.randint(4, 30)
        if end >= STEPS:
            continue
        written = random.randint(begin, end - 1)
        middle = random.choice([begin, random.randint(begin, written)])
        extended = written if middle == begin else random.randint(written, end - 1)
        found.append(Episode(tracker, asset, begin, middle, written, extended, end))
        free_tracker[tracker] = free_asset[asset] = end
    return found


def _fixes(
    random: Random,
    place: list[tuple[float, float]],
    tracker: int,
    now: datetime,
    not_before: datetime,
    *,
    jumps: bool,
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(random.choice([1, 1, 3])):
        lon, lat = place[tracker]
        lon, lat = lon + random.gauss(0, 0.0012), lat + random.gauss(0, 0.0008)
        if abs(lon - HOME[0]) > 0.006 or abs(lat - HOME[1]) > 0.004:
            lon, lat = HOME
        place[tracker] = lon, lat
        at = now + timedelta(milliseconds=300 * number)
        delayed = at - timedelta(seconds=random.choice([0] * 30 + [4] * 10 + [40, 300]))
        at = at if delayed < not_before else delayed
        if random.random() < 0.06 and jumps:
            lon += 1.0
        accuracy = random.choice([{}, {"accuracy_m": 12.5}, {"accuracy_m": 400.0}])
        made.append(fix(at, round(lon, 6), round(lat, 6), **accuracy))
    return made


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets how many fixes are a piece; checkpoints lie a minute apart."""

    def set_piece(piece: int) -> None:
        monkeypatch.setattr(checkpoints, "SPACING_US", 60_000_000)
        monkeypatch.setattr(past, "PIECE_FIXES", piece)

    return set_piece


@dataclass
class World:
    """A tenant to which a script happens."""

    tenant: Tenant
    script: Script
    trackers: list[UUID] = field(default_factory=list[UUID])
    assets: list[UUID] = field(default_factory=list[UUID])
    zones: list[UUID] = field(default_factory=list[UUID])

    @classmethod
    async def make(cls, tenant: Tenant, script: Script) -> "World":
        world = cls(tenant, script)
        for shift, fields in enumerate(ZONES):
            place = (HOME[0] + shift * 0.0004, HOME[1])
            world.zones.append(await tenant.zone(square(*place), **fields))
        for number in range(ASSETS):
            world.assets.append(await tenant.asset(name=f"Asset {number}", tags=["crane"]))
        for _ in range(TRACKERS):
            world.trackers.append(await tenant.loose_tracker())
        return world

    async def change(self, step: int, *, at_once: bool) -> None:
        """Write the assignments of a step. at_once: as they begin, not as they are written."""
        times = self.script.times
        for one in self.script.episodes:
            tracker, asset = self.trackers[one.tracker], self.assets[one.asset]
            if one.end == step:
                await self.tenant.take_off(tracker, times[step])
            elif at_once and one.begin == step:
                await self.tenant.assign(tracker, asset, times[step], times[step])
            elif not at_once:
                for written, begin in ((one.written, one.middle), (one.extended, one.begin)):
                    if written == step:
                        await self.tenant.assign(tracker, asset, times[begin], times[step])

    def messages(self, step: int) -> list[Message]:
        return [
            Message(
                fixes_topic(format_id("trk", self.trackers[tracker])),
                json.dumps(fixes).encode(),
                *(1, 0, False, False, None, None),
            )
            for tracker, fixes in self.script.arrivals[step]
        ]

    def visits(self) -> list[Stay]:
        """Return the visits that are stored."""
        return self.tenant.rows(
            "SELECT asset_id, zone_id, entered_at, left_at FROM visits WHERE NOT retracted"
        )

    async def due(self, memory: Memory, conn: Connection, now: datetime) -> list[Stay]:
        """Return the visits that follow from all that is stored, judged in one go."""
        registry, until_us = memory.registry, microseconds(now) - UNDER_WAY_US
        need = Lookup(assets=dict.fromkeys(range(len(registry.assets)), EVERYTHING))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(past, "MOST_FIXES", 100_000)
            looked_up = await look_up(conn, need, registry)
        found: list[Stay] = []
        for asset, stored in looked_up.assets.items():
            agenda = registry.agenda_since(asset, 0, until_us)
            circumstances = Circumstances(registry.index, registry.gates, agenda)
            history = History(asset, State())
            assert stored.rows is not None
            history.recall(stored.rows, [], NO_TIMERS_US, circumstances)
            history.pass_time(until_us, circumstances)
            for visit in history.visits.values():
                left_at = None if visit.left is None else to_datetime(visit.left.time_us)
                zone_id, entered_at = registry.zones[visit.key.zone], visit.entered.time_us
                found.append((registry.assets[asset], zone_id, to_datetime(entered_at), left_at))
        return found

    def named(self, stays: list[Stay]) -> list[tuple[Any, ...]]:
        """Name assets and zones by numbers: ids are another tenant's."""
        number = {one: place for place, one in enumerate((*self.assets, *self.zones))}
        return sorted(
            (number[asset_id], number[zone_id], entered_at, left_at or _OPEN)
            for asset_id, zone_id, entered_at, left_at in stays
        )


async def _happened(
    postgres: PostgresUnderTest, script: Script, *, at_once: bool, trouble: Random | None = None
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return the visits that are stored in the end, and those that are due.

    trouble: transactions fail, and ingest starts anew.
    """
    database = postgres.migrated_database()
    world, now, step = await World.make(await Tenant.create(database), script), BEGIN, 0
    standby = Standby(LEASE)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(now)
        )
        while step < STEPS or term.memory.backlogs.assets:
            assert step < 50 * STEPS
            messages: list[Message] = []
            now += timedelta(seconds=1)
            if step < STEPS:
                now = script.times[step] + timedelta(seconds=1)
                messages = world.messages(step)
                await world.change(step, at_once=at_once)
            if trouble is not None and trouble.random() < 0.3:
                await standby.refresh(conn)
            if trouble is not None and trouble.random() < 0.3:
                await fail_to_take(term, messages, now)
                known, standby = standby.registry_of(epoch + 1), Standby(LEASE)
                term = replace(term, memory=await recover(conn, known))
            await take(term, messages, now)
            if trouble is not None:
                assert all_known(await recover(conn)) == all_known(term.memory), step
            step += 1
        now = script.times[-1] + timedelta(hours=3)
        await take(term, [], now)
        due = await world.due(term.memory, conn, now)
    stored = world.named(world.visits())
    postgres.drop(database)
    return stored, world.named(due)


@pytest.mark.parametrize(("seed", "piece"), SEEDS)
async def test_an_assignment_that_reaches_back_gives_the_visits_of_one_that_was_always_there(
    postgres: PostgresUnderTest, small: Callable[[int], None], seed: int, piece: int
) -> None:
    small(piece)
    script = drawn(seed, late=False)
    expected, _ = await _happened(postgres, script, at_once=True)
    assert len(expected) > 10
    stored, due = await _happened(postgres, script, at_once=False)
    assert stored == due
    assert stored == expected


@pytest.mark.parametrize(("seed", "piece"), SEEDS)
async def test_so_it_does_with_late_fixes_transactions_that_fail_and_restarts(
    postgres: PostgresUnderTest, small: Callable[[int], None], seed: int, piece: int
) -> None:
    small(piece)
    script = drawn(seed, late=True)
    stored, due = await _happened(postgres, script, at_once=False, trouble=Random(seed))
    assert stored == due
    assert len(stored) > 10


@pytest.mark.parametrize(("seed", "piece"), [(2, 4), (3, 20)])
async def test_so_it_does_where_late_fixes_lie_deep_and_before_their_tracker_was_put_on(
    postgres: PostgresUnderTest,
    small: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    seed: int,
    piece: int,
) -> None:
    small(piece)
    monkeypatch.setattr(past, "MOST_FIXES", 6)
    script = drawn(seed, late=True, jumps=False)
    stored, due = await _happened(postgres, script, at_once=False, trouble=Random(seed))
    assert stored == due
    assert len(stored) > 10


AWAY = (HOME[0], HOME[1] + 0.0013)  # 145 m north: outside, and near enough to be there at once


def _drive(start: datetime, fixes: int) -> list[dict[str, Any]]:
    """Return one fix a second: outside for three, then inside for three."""
    return [
        fix(start + timedelta(seconds=number), *(HOME if number // 3 % 2 else AWAY))
        for number in range(fixes)
    ]


def _told(tenant: Tenant) -> list[tuple[Any, ...]]:
    return tenant.rows(
        "SELECT occurred_at, data ->> 'transition', data ->> 'late' FROM events ORDER BY position"
    )


def _expected(start: datetime, fixes: int) -> list[tuple[Any, ...]]:
    return [
        (start + timedelta(seconds=number), "enter" if number // 3 % 2 else "exit", "true")
        for number in range(3, fixes, 3)
    ]


async def test_stored_fixes_are_judged_as_late_ones_once_their_tracker_is_on_an_asset(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    tracker, asset_id = await tenant.loose_tracker(), await tenant.asset()
    vehicle, start = Vehicle(tracker, asset_id), soon(-300)
    await tenant.zone(square(*HOME))
    await device.send(vehicle, *_drive(start, 20))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 20)
    assert tenant.rows("SELECT FROM visits") == []
    assert await tenant.assign(tracker, asset_id) == start
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    assert _told(tenant) == _expected(start, 20)
    await device.send(vehicle, *_drive(start, 24)[20:])
    await until(lambda: len(_told(tenant)) == 7)
    assert _told(tenant)[-1] == (start + timedelta(seconds=21), "enter", "false")
    assert b"opsc_ingest_backlogs 0.0" in ingest.metrics.page()


async def test_a_late_fix_from_before_a_tracker_was_put_on_judges_that_arrival_again(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    """It was in the zone when it was put on the asset, and not outside, as its last fix had it."""
    vehicle, asset_id, put_on = await tenant.vehicle(), await tenant.asset(), soon(-60)
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(put_on - timedelta(seconds=20), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    await tenant.reassign(vehicle, asset_id, put_on)
    own = "SELECT entered_at, left_at, entry_cause FROM visits WHERE entry_cause = 'reassigned'"
    await device.send(vehicle, fix(put_on + timedelta(seconds=30), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    assert tenant.rows(own) == []
    await device.send(vehicle, fix(put_on - timedelta(seconds=5), *HOME))
    await device.send(vehicle, fix(put_on + timedelta(seconds=31), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 4)
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    left_at = put_on + timedelta(seconds=30)
    await until(lambda: tenant.rows(own) == [(put_on, left_at, "reassigned")])


async def test_a_fix_from_before_a_tracker_was_put_on_that_is_older_than_its_place_changes_nothing(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    vehicle, asset_id, put_on = await tenant.vehicle(), await tenant.asset(), soon(-60)
    await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(put_on - timedelta(seconds=20), *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    await tenant.reassign(vehicle, asset_id, put_on)
    await device.send(vehicle, fix(put_on - timedelta(seconds=40), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 2)
    assert tenant.rows("SELECT FROM asset_backlogs") == []


async def test_sessions_that_are_terminated_lose_and_double_nothing_of_a_backlog(
    tenant: Tenant,
    device: Device,
    ingest: IngestRuntime,
    database: DatabaseUnderTest,
    small: Callable[[int], None],
) -> None:
    small(10)
    tracker, asset_id = await tenant.loose_tracker(), await tenant.asset()
    vehicle, start, fixes = Vehicle(tracker, asset_id), soon(-300), 240
    await tenant.zone(square(*HOME))
    await device.send(vehicle, *_drive(start, fixes)[:200])
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 200)
    await tenant.assign(tracker, asset_id)
    where, reached = "SELECT time FROM asset_backlogs", list[Any]()
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        for number in range(200, fixes, 10):  # the backlog becomes longer meanwhile
            await device.send(vehicle, *_drive(start, fixes)[number : number + 10])
            await until(lambda reached=reached: tenant.rows(where) != reached)
            reached = tenant.rows(where)
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_ingest' AND datname = current_database()"
            )
    await until(lambda: tenant.rows("SELECT FROM asset_backlogs") == [])
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)
    await until(lambda: len(_told(tenant)) == len(_expected(start, fixes)))
    assert [told[:2] for told in _told(tenant)] == [one[:2] for one in _expected(start, fixes)]


def test_organizations_take_turns_at_backlogs_also_after_the_clock_was_ahead() -> None:
    backlogs = Backlogs()
    for asset in range(4):
        ids = (UUID(int=1 + asset // 2), UUID(int=10 + asset))
        backlogs.put(asset, Backlog(*ids, 50, 0, b"state", judged_us=100, flags=0))
    turns, no_rows = list[int](), blank_rows(0)
    for now_s in (3600, 10, 11, 12, 13):
        due = backlogs.next(now_s * 1_000_000)
        assert due is not None
        asset = due.asset_id.int - 10
        backlogs.take(backlogs.progress(no_rows, {asset: due}, {}, now_s * 1_000_000))
        assert backlogs.next(now_s * 1_000_000 + PAUSE_US - 1) is None
        turns.append(asset)
    assert turns == [0, 2, 1, 3, 0]


async def test_a_backlog_does_not_keep_other_assets_waiting(
    tenant: Tenant, device: Device, ingest: IngestRuntime, small: Callable[[int], None]
) -> None:
    small(2)
    tracker, asset_id = await tenant.loose_tracker(), await tenant.asset()
    vehicle, other, start = Vehicle(tracker, asset_id), await tenant.vehicle(), soon(-900)
    await tenant.zone(square(*HOME))
    await device.send(vehicle, *_drive(start, 400))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 400)
    await tenant.assign(tracker, asset_id)
    await device.send(other, *_drive(soon(-60), 4))
    query = f"SELECT FROM visits WHERE asset_id = '{other.asset_id}'"
    await until(lambda: len(tenant.rows(query)) == 1)
    assert len(tenant.rows("SELECT FROM asset_backlogs")) == 1
