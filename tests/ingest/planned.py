"""Plans that are made and taken one after the other; values stand where the database would be."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import numpy as np

from db.history.events import Event
from db.history.gps_events import FixKey, Place
from db.history.visits import VisitRow
from db.ingest.registry import (
    MAX_TIME_US,
    MIN_TIME_US,
    AssetRow,
    AssignmentRow,
    RegistryChanges,
    TrackerRow,
    ZoneVersionRow,
)
from geofence.judging.state import State
from ingest.late import lookup as past
from ingest.late.lookup import AssetPast, LateSpan, Lookup, Past, Planning
from ingest.planning.decoded_batch import decode_batch
from ingest.planning.memory import Memory
from ingest.planning.pace import LatePace
from ingest.planning.plan import WritePlan, advance, make_plan
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.saved_states.saved_state import SavedStates
from telemetry.fix import FIX_DTYPE
from telemetry.ids import format_id
from telemetry.times import format_time
from telemetry.topics import fixes_topic
from tests.ingest.seam import DeviceMessage

ORG = UUID(int=1)
BEGAN_US = 1_790_000_000_000_000
S = 1_000_000  # microseconds
_IDENTITY_AND_PLACE = ["tracker", "time_us", "seq", "lat", "lon"]
_Made = TypeVar("_Made")


def made(planning: Planning[_Made]) -> _Made:
    """Return what a function makes that asks for nothing."""
    try:
        question = next(planning)
    except StopIteration as end:
        return end.value
    raise AssertionError(question)


def tracker_id(vehicle: int) -> UUID:
    return UUID(int=100 + vehicle)


def asset_id(vehicle: int) -> UUID:
    return UUID(int=200 + vehicle)


def zone_id(zone: int) -> UUID:
    """Return zones, of which those that come to be known earlier have the greater ids."""
    return UUID(int=400 - zone)


def message(vehicle: int, *fixes: tuple[int, float, float]) -> DeviceMessage:
    """Return fixes (seconds after the beginning, longitude, latitude) of a vehicle's tracker."""
    body = [
        {"time": format_time(BEGAN_US + after_s * S), "lon": lon, "lat": lat}
        for after_s, lon, lat in fixes
    ]
    topic = fixes_topic(format_id("trk", tracker_id(vehicle)))
    return DeviceMessage(None, topic, json.dumps(body).encode())


class Planned:
    """An organization, its plans and what they would have stored. events: in order."""

    def __init__(self, zones: Sequence[ZoneVersionRow], vehicles: int) -> None:
        registry = Registry()
        registry.apply(_changes(zones, vehicles))
        self.memory = Memory(registry, Watermarks(), State(), SavedStates())
        self.rows = np.empty(0, FIX_DTYPE)
        self.visits: dict[UUID, VisitRow] = {}
        self.events: list[Event] = []

    def settle(self, messages: Sequence[DeviceMessage], after_s: int) -> None:
        """Settle the messages: plan and take them as one batch, received then."""
        now_us = BEGAN_US + after_s * S
        self.memory.late_pace = LatePace()  # how long a plan takes here must not matter
        arrivals = decode_batch(messages, now_us)
        planning = make_plan(arrivals, self.memory, now_us)
        plan = advance(planning)
        while isinstance(plan, Lookup):
            plan = advance(planning, self._look_up(plan))
        assert not len(plan.deferred)
        self.memory.apply(plan)
        self.rows = np.concatenate((self.rows, plan.new.rows))
        self.events += plan.events
        self._store_visits(plan)

    def told(self) -> list[dict[str, Any]]:
        """Return the events as the API gives them, as far as the tests look."""
        found: list[dict[str, Any]] = []
        for event in self.events:
            data = json.loads(event.data)
            at = data.get("occurred_at", event.occurred_at.isoformat())
            found.append({"id": event.id, "type": event.type, "occurred_at": at, "data": data})
        return found

    def _look_up(self, need: Lookup) -> Past:
        registry = self.memory.registry
        stored = {
            FixKey(registry.trackers[tracker], time_us, seq): Place(lat, lon)
            for tracker, time_us, seq, lat, lon in self.rows[_IDENTITY_AND_PLACE].tolist()
        }
        return Past(
            stored={key: stored[key] for key in need.fixes if key in stored},
            assets={asset: self._past_of(asset, span) for asset, span in need.assets.items()},
        )

    def _past_of(self, asset: int, span: LateSpan) -> AssetPast:
        """Return all of it."""
        registry = self.memory.registry
        rows = np.sort(self.rows[self.rows["asset"] == asset], order=["time_us", "seq"])
        own = [one for one in self.visits.values() if one.asset_id == registry.assets[asset]]
        return AssetPast(span, None, None, rows, [past._visit(one, registry) for one in own])

    def _store_visits(self, plan: WritePlan) -> None:
        outcome = plan.outcome
        for dwelling in outcome.dwellings:
            self._change(dwelling.visit_id, dwelled_at=dwelling.dwelled_at, dwell_announced=True)
        for one in outcome.departures:
            ended = one._asdict()
            before = self.visits[one.visit_id]
            ended["revision"] = before.revision + ended.pop("amends")
            ended["exit_announced"] |= before.exit_announced
            del ended["org_id"], ended["visit_id"]
            self._change(one.visit_id, **ended)
        self.visits |= outcome.visits
        self.visits |= {visit.id: visit for visit in plan.late.visits}

    def _change(self, visit_id: UUID, **changes: Any) -> None:
        self.visits[visit_id] = self.visits[visit_id]._replace(**changes)


def _changes(zones: Sequence[ZoneVersionRow], vehicles: int) -> RegistryChanges:
    every = range(vehicles)
    return RegistryChanges(
        revision=1,
        trackers=[TrackerRow(ORG, tracker_id(n), revoked=False, receipts=False) for n in every],
        assets=[AssetRow(ORG, asset_id(n), f"Truck {n}", "vehicle") for n in every],
        asset_tags=[],
        assignments=[
            AssignmentRow(tracker_id(n), asset_id(n), MIN_TIME_US, MAX_TIME_US) for n in every
        ],
        zone_versions=list(zones),
    )
