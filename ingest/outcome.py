"""From transitions to the rows that tell of them: visits, departures, events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.events import Event
from db.visits import Departure, Visit
from geofence.evaluator import Evaluation
from geofence.transitions import Cause, Transition
from geofence.visits import alerts, event_id, visit_id
from ingest.registry import Registry, ZoneFacts
from telemetry.fix import FixBatch, Known
from telemetry.ids import format_id
from telemetry.times import format_time, format_times, to_datetime

BREACH = "asset.geofence_breach"
_ENTRY_CAUSE: dict[int, str] = {
    Cause.MOVED: "moved",
    Cause.INITIAL: "initial",
    Cause.ZONE_CHANGED: "zone_changed",
}


@dataclass(slots=True)
class Outcome:
    """What one batch changes, in the order in which it happened."""

    visits: dict[UUID, Visit] = field(default_factory=dict[UUID, Visit])
    departures: list[Departure] = field(default_factory=list[Departure])
    events: list[Event] = field(default_factory=list[Event])


class Breach(msgspec.Struct):
    """`data` of an asset.geofence_breach, in the order in which it is written."""

    asset_id: str
    asset_name: str
    tracker_id: str
    zone_id: str
    zone_name: str
    zone_kind: str
    zone_version: int
    visit_id: str
    transition: str
    occurred_at: str
    detected_at: str
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None
    distance_m: float
    initial: bool
    inferred: str | None
    late: bool
    cause: str
    dwell_s: float | None


class _Step(NamedTuple):
    """One transition: the columns of TRANSITION_DTYPE, and what the fix and the zone add."""

    row: int
    asset: int
    zone: int
    version: int
    organization: int
    transition: int
    cause: int
    time_us: int
    lat: float
    lon: float
    opening_tracker: int
    opening_us: int
    opening_seq: int
    opening_change_us: int
    entered_us: int
    opening_version: int
    tracker: int  # of the fix
    accuracy_m: float | None
    speed_mps: float | None
    distance_m: float
    occurred_at: str


def tell(batch: FixBatch, evaluation: Evaluation, registry: Registry, detected_us: int) -> Outcome:
    """The rows for `evaluation`."""
    outcome = Outcome()
    detected_at = format_time(detected_us)
    for step in _steps(batch, evaluation.transitions, registry):
        visit = _visit(outcome, step, registry)
        facts = registry.zone_facts(step.zone, step.version)
        transition, cause = Transition(step.transition), Cause(step.cause)
        if alerts(facts.kind, facts.alert_on, transition, cause):
            breach = _breach(step, visit, facts, detected_at, registry)
            outcome.events.append(_event(step, visit, breach, registry))
    return outcome


def _steps(batch: FixBatch, transitions: NDArray[np.void], registry: Registry) -> Iterator[_Step]:
    """By fix; a zone's change before the fix itself; then time, exits first, zone id."""
    if not len(transitions):
        return
    fixes = batch.rows[transitions["row"]]
    distance_m = registry.index.signed_distances_m(
        *(transitions[name] for name in ("zone", "version", "lon", "lat"))
    )
    steps = [
        _Step(*row, *more)
        for row, *more in zip(
            transitions.tolist(),
            fixes["tracker"].tolist(),
            _known(fixes, "accuracy_m", Known.ACCURACY),
            _known(fixes, "speed_mps", Known.SPEED),
            distance_m.round(2).tolist(),
            format_times(transitions["time_us"]),
            strict=True,
        )
    ]
    yield from sorted(
        steps,
        key=lambda step: (
            step.row,
            step.cause != Cause.ZONE_CHANGED,
            step.time_us,
            step.transition == Transition.ENTER,
            registry.zones[step.zone],
        ),
    )


def _known(fixes: NDArray[np.void], column: str, bit: Known) -> list[float | None]:
    """The values as they were sent: each float32 in its shortest form; None where not known."""
    values = fixes[column].astype("U32").astype(np.float64).astype(object)
    values[fixes["known"] & bit == 0] = None
    return values.tolist()


def _visit(outcome: Outcome, step: _Step, registry: Registry) -> UUID:
    """Notes the visit that begins or ends, and returns its id."""
    visit = visit_id(
        registry.assets[step.asset],
        registry.zones[step.zone],
        registry.trackers[step.opening_tracker],
        step.opening_us,
        step.opening_seq,
        step.opening_change_us,
    )
    if step.transition == Transition.ENTER:
        outcome.visits[visit] = _opened(step, visit, registry)
        return visit
    cause = "zone_changed" if step.cause == Cause.ZONE_CHANGED else "moved"
    at, org_id = to_datetime(step.time_us), registry.organizations[step.organization]
    opened = outcome.visits.get(visit)
    if opened is None:
        outcome.departures.append(Departure(org_id, visit, at, step.lat, step.lon, cause))
    else:
        outcome.visits[visit] = opened._replace(
            left_at=at, exit_lat=step.lat, exit_lon=step.lon, exit_cause=cause
        )
    return visit


def _opened(step: _Step, visit: UUID, registry: Registry) -> Visit:
    change_us = step.opening_change_us
    return Visit(
        org_id=registry.organizations[step.organization],
        id=visit,
        asset_id=registry.assets[step.asset],
        zone_id=registry.zones[step.zone],
        zone_version=step.version,
        tracker_id=registry.trackers[step.opening_tracker],
        opening_time=to_datetime(step.opening_us),
        opening_seq=step.opening_seq,
        opening_change=to_datetime(change_us) if change_us else None,
        entered_at=to_datetime(step.time_us),
        entry_lat=step.lat,
        entry_lon=step.lon,
        entry_cause=_ENTRY_CAUSE[step.cause],
    )


def _breach(
    step: _Step, visit: UUID, facts: ZoneFacts, detected_at: str, registry: Registry
) -> Breach:
    leaving = step.transition == Transition.EXIT
    return Breach(
        asset_id=format_id("ast", registry.assets[step.asset]),
        asset_name=registry.asset_name(step.asset),
        tracker_id=format_id("trk", registry.trackers[step.tracker]),
        zone_id=format_id("zon", registry.zones[step.zone]),
        zone_name=facts.name,
        zone_kind=facts.kind,
        zone_version=step.version,
        visit_id=format_id("vis", visit),
        transition="exit" if leaving else "enter",
        occurred_at=step.occurred_at,
        detected_at=detected_at,
        lat=step.lat,
        lon=step.lon,
        accuracy_m=step.accuracy_m,
        speed_mps=step.speed_mps,
        distance_m=step.distance_m,
        initial=step.cause == Cause.INITIAL,
        inferred=None,
        late=False,
        cause="moved",
        dwell_s=(step.time_us - step.entered_us) / 1_000_000 if leaving else None,
    )


def _event(step: _Step, visit: UUID, breach: Breach, registry: Registry) -> Event:
    return Event(
        org_id=registry.organizations[step.organization],
        id=event_id(visit, breach.transition),
        type=BREACH,
        occurred_at=to_datetime(step.time_us),
        data=msgspec.json.encode(breach).decode(),
    )
