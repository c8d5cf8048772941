"""Assets that walk among zones, a leader's term that takes what they send, and what it knows."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID

import numpy as np

from db.core import leases
from db.core.connect import Connection, connect
from geofence.zones.versions import MIN_TIME_US
from ingest.late.lookup import MOST_CHECKPOINTS, LateSpan
from ingest.planning.decoded_batch import decode_batch
from ingest.planning.deferral import joined
from ingest.planning.memory import Memory
from ingest.transaction import LEASE, LeaderTerm, plan_with_lookups, store
from mqtt import Message
from telemetry.ids import format_id
from telemetry.topics import fixes_topic
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, square
from tests.servers import DatabaseUnderTest

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


@asynccontextmanager
async def lease_of(database: DatabaseUnderTest) -> AsyncIterator[tuple[Connection, int]]:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        epoch = await leases.acquire(conn, LEASE, "test", 600)
        assert epoch is not None
        yield conn, epoch


def microseconds(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)


async def take(
    term: LeaderTerm, messages: list[Message], now: datetime, sources: Sequence[Any] = ()
) -> None:
    """Store the messages: also what a plan leaves over, which depends on how long plans took."""
    arrivals = decode_batch(messages, microseconds(now))
    while arrivals is not None:
        plan = await plan_with_lookups(term.conn, arrivals, term.memory, lambda: microseconds(now))
        await store(term, arrivals, plan, sources)
        left = [one.part for one in term.memory.deferred]
        arrivals = joined(left) if left else None


class _Failed(Exception): ...


class _Failing:
    """A source that ends the transaction when all is written."""

    async def remove_finished(self, *_: object) -> None:
        raise _Failed


async def fail_to_take(term: LeaderTerm, messages: list[Message], now: datetime) -> None:
    """Write the messages in a transaction that fails; what writes nothing has none."""
    with suppress(_Failed):
        await take(term, messages, now, [_Failing()])


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


EVERYTHING = LateSpan(0, 0, MOST_CHECKPOINTS + 1)
