"""A walk with every rule and every change, without a broker: what is read back is what was known.

Time is the walk's own; what happens is drawn from a seed.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from db.core import leases
from db.core.connect import Connection, connect
from geofence.judging.evaluator import NO_TIMERS_US, TICK_US
from geofence.judging.state import State
from geofence.late.amendments import Visit
from geofence.late.history import History
from geofence.late.segments import Circumstances
from geofence.zones.versions import MIN_TIME_US
from ingest.late.lookup import MOST_CHECKPOINTS, NO_PAST, LateSpan, LookupNeeded, look_up
from ingest.metrics import IngestMetrics
from ingest.planning.decoded_batch import read
from ingest.planning.memory import Memory
from ingest.planning.plan import UNDER_WAY_US
from ingest.recovery import recover
from ingest.saved_states import checkpoints
from ingest.standby import Standby
from ingest.transaction import LEASE, LeaderTerm, plan_with_lookups, store
from mqtt import Message
from telemetry.ids import format_id
from telemetry.topics import fixes_topic
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, square
from tests.servers import DatabaseUnderTest, PostgresUnderTest

BEGIN = datetime(2026, 3, 2, 7, 50, tzinfo=UTC)  # a Monday
HOME = (13.4, 52.5)
BATCHES = 120
ACCURACIES_M = [None, 12.5, 20.0, 60.0, 400.0]  # not stated, fine, fine, coarse, inaccurate
SCHEDULE = {
    "timezone": "UTC",
    "windows": [
        {"days": ["mon", "tue"], "from": f"{h:02}:{m:02}", "to": f"{h:02}:{m + 4:02}"}
        for h in range(7, 11)
        for m in range(0, 60, 5)
    ],
}
ZONES: list[dict[str, Any]] = [
    {"rules": {"exit_confirm_fixes": 3, "exit_buffer_m": 20.0, "speed_limit_mps": 5.0}},
    {"kind": "allowed", "rules": {"enter_confirm_fixes": 2}},
    {"kind": "allowed", "schedule": SCHEDULE},
    {"schedule": SCHEDULE, "rules": {"exit_confirm_seconds": 20}},
    {"kind": "yard", "rules": {"dwell_seconds": 40, "close_after_silence_seconds": 90}},
    {"kind": "other", "assets": {"ids": [], "tags": ["crane"]}},
]


@dataclass
class Walk:
    """The same things happen, to the same tenant's assets, for the same seed."""

    tenant: Tenant
    random: Random
    now: datetime = BEGIN
    assets: list[UUID] = field(default_factory=list[UUID])
    carrier: dict[UUID, UUID | None] = field(default_factory=dict[UUID, UUID | None])
    place: dict[UUID, tuple[float, float]] = field(default_factory=dict[UUID, tuple[float, float]])
    zones: list[UUID] = field(default_factory=list[UUID])

    @classmethod
    async def begin(cls, database: DatabaseUnderTest, seed: int) -> "Walk":
        walk = cls(await Tenant.create(database), Random(seed))
        for shift, fields in enumerate(ZONES):
            place = (HOME[0] + shift * 0.0004, HOME[1])
            zone = await walk.tenant.zone(square(*place), name=f"Zone {shift}", **fields)
            walk.zones.append(zone)
        for number in range(4):
            vehicle = await walk.tenant.vehicle(name=f"Asset {number}")
            walk.assets.append(vehicle.asset_id)
            walk.carrier[vehicle.tracker_id] = vehicle.asset_id
            walk.place[vehicle.tracker_id] = HOME
        return walk

    async def step(self) -> list[Message]:
        """Time passes, something may be changed, and some trackers send."""
        self.now += timedelta(seconds=self.random.choice([2, 5, 5, 5, 30, 100]))
        if self.random.random() < 0.3:
            await self._change()
        self.now += timedelta(seconds=1)
        trackers = [tracker for tracker in self.carrier if self.random.random() < 0.6]
        return [self._message(tracker) for tracker in trackers]

    async def _change(self) -> None:
        change = self.random.choice([self._edit_zone, self._retag, self._reassign])
        await change()

    async def _edit_zone(self) -> None:
        place = (HOME[0] + self.random.uniform(-0.002, 0.002), HOME[1])
        await self.tenant.change_zone(self.random.choice(self.zones), square(*place), self.now)

    async def _retag(self) -> None:
        tags = self.random.choice([[], ["crane"], ["truck"]])
        await self.tenant.tag(self.random.choice(self.assets), *tags, at=self.now)

    async def _reassign(self) -> None:
        """Take a tracker off its asset, or put it on a free one."""
        tracker = self.random.choice(list(self.carrier))
        free = [asset for asset in self.assets if asset not in self.carrier.values()]
        if self.carrier[tracker] is not None:
            await self.tenant.take_off(tracker, self.now)
            self.carrier[tracker] = None
        elif free:
            self.carrier[tracker] = self.random.choice(free)
            await self.tenant.put_on(tracker, self.carrier[tracker] or free[0], self.now)

    def _message(self, tracker: UUID) -> Message:
        fixes = [self._fix(tracker, number) for number in range(self.random.choice([1, 1, 3]))]
        topic = fixes_topic(format_id("trk", tracker))
        return Message(topic, json.dumps(fixes).encode(), 1, 0, False, False, None, None)

    def _fix(self, tracker: UUID, number: int) -> dict[str, Any]:
        random = self.random
        lon, lat = self.place[tracker]
        lon += random.gauss(0, 0.0012)
        lat += random.gauss(0, 0.0008)
        if abs(lon - HOME[0]) > 0.006 or abs(lat - HOME[1]) > 0.004:
            lon, lat = HOME
        self.place[tracker] = lon, lat
        late_s = random.choice([0] * 30 + [4] * 10 + [40, 300])
        at = self.now - timedelta(milliseconds=300 * (2 - number), seconds=late_s)
        if random.random() < 0.06:
            lon += 1.0  # too far to be true, unless the next ones are there too
            self.place[tracker] = (lon, lat) if random.random() < 0.3 else self.place[tracker]
        accuracy_m = random.choice(ACCURACIES_M)
        accuracy = {} if accuracy_m is None else {"accuracy_m": accuracy_m}
        return fix(
            at, round(lon, 6), round(lat, 6), speed_mps=random.choice([0.1, 7.7]), **accuracy
        )


@pytest.fixture(autouse=True)
def checkpoints_lie_a_minute_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SPACING_US", 60_000_000)


@asynccontextmanager
async def lease_of(database: DatabaseUnderTest) -> AsyncIterator[tuple[Connection, int]]:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        epoch = await leases.acquire(conn, LEASE, "test", 600)
        assert epoch is not None
        yield conn, epoch


def microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


async def take(term: LeaderTerm, messages: list[Message], now: datetime) -> None:
    """Store the messages: also what a plan leaves over, which depends on how long plans took."""
    arrivals = read(messages, microseconds(now))
    while arrivals is not None:
        plan = await plan_with_lookups(term.conn, arrivals, term.memory, lambda: microseconds(now))
        await store(term, arrivals, plan)
        arrivals = term.memory.deferred


def all_known(memory: Memory) -> dict[UUID, Any]:
    """Return all that is known of each asset of which something is known, by UUIDs."""
    registry, state = memory.registry, memory.state
    known: dict[UUID, Any] = {}
    for row in state.assets:
        if row["newest_us"] == row["clock_us"] == MIN_TIME_US:
            continue
        clock_us = max(row["newest_us"], row["clock_us"])  # before its newest fix it tells nothing
        standing = (row["newest_us"], row["newest_seq"], clock_us, row["joined"], row["suspects"])
        good = _place(row["good"], registry) if row["located"] else None
        fine = _place(row["fine"], registry) if row["bridged"] else None
        suspects = [_place(place, registry) for place in row["suspect"][: row["suspects"]]]
        known[registry.assets[row["asset"]]] = (standing, good, suspects, {}, fine, row["vague"])
    for row in state.memberships():
        visit = run = None
        if row["inside"]:
            tracker = registry.trackers[row["first_fix_tracker"]]
            names = ("dwelled", "overspeed", "entered_us")
            names += ("first_fix_us", "first_fix_seq", "change_us")
            visit = (tracker, row["entered_version"], *(row[name] for name in names))
        if row["run"]:
            run = (row["run"], _place(row["run_first"], registry))
        zone = registry.zones[row["zone"]]
        known[registry.assets[row["asset"]]][3][zone] = (visit, run, row["returning"])
    return known


def _place(place: np.void, registry: Any) -> tuple[Any, ...]:
    tracker, *numbers = place.item()
    return registry.trackers[tracker], *(str(number) for number in numbers)  # NaN is not NaN


@pytest.mark.parametrize("seed", [1, 2, 6])
async def test_what_is_read_back_after_each_batch_is_what_was_known(
    postgres: PostgresUnderTest, seed: int
) -> None:
    database = postgres.migrated_database()
    walk = await Walk.begin(database, seed)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for number in range(BATCHES):
            await take(term, await walk.step(), walk.now)
            assert all_known(await recover(conn)) == all_known(term.memory), (seed, number)
    events, visits = _told(walk)
    causes = {cause for row in (*events, *visits) for cause in row[3:5]}
    assert causes >= {"moved", "zone_changed", "reassigned", "silence", "schedule_started"}
    postgres.drop(database)


async def test_an_asset_is_where_its_tracker_left_it_and_the_tracker_elsewhere_by_now(
    postgres: PostgresUnderTest,
) -> None:
    """Before the change is taken in, which a fix of the asset or the next tick would do."""
    database = postgres.migrated_database()
    tenant = await Tenant.create(database)
    left, taken_up = await tenant.vehicle(), await tenant.vehicle()
    await tenant.take_off(taken_up.tracker_id, BEGIN)
    topic = fixes_topic(format_id("trk", left.tracker_id))
    now = BEGIN + timedelta(seconds=10)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(now)
        )
        for place in (HOME, (HOME[0], HOME[1] + 0.0001)):
            payload = json.dumps(fix(now, *place)).encode()
            await take(term, [Message(topic, payload, 1, 0, False, False, None, None)], now)
            now += timedelta(microseconds=TICK_US // 4)
            if place == HOME:
                await tenant.take_off(left.tracker_id, now)
                await tenant.put_on(left.tracker_id, taken_up.asset_id, now)
                now += timedelta(microseconds=TICK_US // 4)
        known = all_known(term.memory)
        assert known.keys() == {left.asset_id, taken_up.asset_id}
        assert all_known(await recover(conn)) == known
    postgres.drop(database)


def _told(walk: Walk) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Return events, those of one asset and zone in order, and visits.

    By names: ids are another tenant's.
    """
    events = walk.tenant.rows(
        "SELECT occurred_at, data->>'asset_name', data->>'zone_name', data->>'cause', type,"
        " data->>'transition', data->>'inferred', data->>'lat', data->>'accuracy_m',"
        " data->>'distance_m', data->>'dwell_s', data->>'zone_version' FROM events"
        " ORDER BY 2, 3, position"
    )
    visits = walk.tenant.rows(
        "SELECT entered_at, assets.name, zone_versions.name, entry_cause, exit_cause, left_at,"
        " entry_inferred, exit_inferred, dwelled_at, opening_time, opening_change, zone_version,"
        " overspeed_at, overspeed_mps"
        " FROM visits JOIN assets ON assets.id = asset_id JOIN zone_versions USING (zone_id)"
        " WHERE zone_versions.version = zone_version ORDER BY 1, 2, 3, 6"
    )
    return events, visits


@pytest.mark.parametrize("seed", [4, 5])
async def test_restarts_transactions_that_fail_and_late_fixes_left_over_change_nothing(
    postgres: PostgresUnderTest, seed: int
) -> None:
    told = [await _walk(postgres, seed, troubled) for troubled in (False, True)]
    assert told[0] == told[1]
    assert len(told[0][0]) > 20


async def _walk(
    postgres: PostgresUnderTest, seed: int, troubled: bool
) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    database, trouble = postgres.migrated_database(), Random(seed)
    walk, standby = await Walk.begin(database, seed), Standby(LEASE)
    async with lease_of(database) as (conn, epoch):
        memory = await recover(conn)
        for _ in range(BATCHES):
            term = LeaderTerm(conn, epoch, memory, IngestMetrics(), lambda: microseconds(walk.now))
            messages = await walk.step()
            if troubled and trouble.random() < 0.3:
                async with conn.transaction(force_rollback=True):
                    await take(term, messages, walk.now)
                term = replace(term, memory=await recover(conn))
            if troubled and trouble.random() < 0.3:
                await standby.refresh(conn)
            if troubled and trouble.random() < 0.3:
                term.memory.late_pace.saw({0: (1, 10.0)})  # a plan judges one late fix, then more
            await take(term, messages, walk.now)
            memory = term.memory
            if troubled and trouble.random() < 0.3:
                memory = await recover(conn, standby.registry_of(epoch + 1))
                standby = Standby(LEASE)
    told = _told(walk)
    postgres.drop(database)
    return told


EVERYTHING = LateSpan(0, 0, MOST_CHECKPOINTS + 1)


@pytest.mark.parametrize("seed", [7, 8, 9])
async def test_late_fixes_end_in_the_visits_of_the_order_of_time(
    postgres: PostgresUnderTest, seed: int
) -> None:
    """All that is stored of an asset, judged in one go, gives the visits that are stored."""
    database = postgres.migrated_database()
    walk = await Walk.begin(database, seed)
    async with lease_of(database) as (conn, epoch):
        term = LeaderTerm(
            conn, epoch, await recover(conn), IngestMetrics(), lambda: microseconds(walk.now)
        )
        for _ in range(BATCHES):
            await take(term, await walk.step(), walk.now)
        memory, due_us = term.memory, microseconds(walk.now) - UNDER_WAY_US
        need = LookupNeeded(assets=dict.fromkeys(range(len(memory.registry.assets)), EVERYTHING))
        known = await look_up(conn, need, NO_PAST, memory.registry)
    amended = walk.tenant.rows("SELECT count(*) FROM visits WHERE revision > 1")
    assert amended[0][0] > 5
    for asset, past in known.assets.items():
        agenda = memory.registry.agenda_since(asset, 0, due_us)
        circumstances = Circumstances(memory.registry.index, memory.registry.gates, agenda)
        history = History(asset, State())
        assert past.rows is not None
        history.recall(past.rows, [], NO_TIMERS_US, circumstances)
        history.pass_time(due_us, circumstances)
        expected = sorted(map(_span, history.visits.values()))
        assert sorted(_span(visit) for visit in past.visits if not visit.retracted) == expected
    postgres.drop(database)


def _span(visit: Visit) -> tuple[int, int, float]:
    return visit.key.zone, visit.entered.time_us, visit.end_us
