"""From transitions to the rows that tell of them: visits, departures, events."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

from db.events import Event
from db.visits import Departure, Visit
from geofence.evaluator import Evaluation
from geofence.transitions import Cause, Transition
from geofence.visits import alerts, event_id, visit_id
from ingest.registry import Registry
from telemetry.fix import FixBatch, Known
from telemetry.ids import format_id
from telemetry.times import format_time, to_datetime

BREACH = "asset.geofence_breach"
_ENTRY_CAUSE = {Cause.MOVED: "moved", Cause.INITIAL: "initial", Cause.ZONE_CHANGED: "zone_changed"}


@dataclass(slots=True)
class Outcome:
    """What one batch changes, in the order in which it happened."""

    visits: dict[UUID, Visit] = field(default_factory=dict[UUID, Visit])
    departures: list[Departure] = field(default_factory=list[Departure])
    events: list[Event] = field(default_factory=list[Event])


@dataclass(frozen=True, slots=True)
class _Step:
    """One transition with all that is known of it."""

    row: dict[str, Any]
    transition: Transition
    cause: Cause
    visit_id: UUID
    org_id: UUID
    asset_id: UUID
    zone_id: UUID
    tracker_id: UUID  # of the fix that opened the visit
    at: datetime


def tell(
    batch: FixBatch,
    evaluation: Evaluation,
    registry: Registry,
    detected_us: int,
) -> Outcome:
    """The rows for `evaluation`."""
    outcome = Outcome()
    transitions = evaluation.transitions
    distance_m = registry.index.signed_distances_m(
        *(transitions[name] for name in ("zone", "version", "lon", "lat"))
    )
    for place in _in_order(transitions, registry):
        step = _step(transitions[place], registry)
        _visit(outcome, step)
        if _is_breach(step, registry):
            distance = round(float(distance_m[place]), 2)
            data = _breach(batch, step, registry, distance, detected_us)
            outcome.events.append(_event(step, data))
    return outcome


def _in_order(transitions: NDArray[np.void], registry: Registry) -> list[int]:
    """By fix; a zone's change before the fix itself; then time, exits first, zone id."""
    zone_id = [registry.zones[zone].int for zone in transitions["zone"].tolist()]
    place = zip(
        transitions["row"].tolist(),
        (transitions["cause"] != Cause.ZONE_CHANGED).tolist(),
        transitions["time_us"].tolist(),
        (transitions["transition"] == Transition.ENTER).tolist(),
        zone_id,
        range(len(transitions)),
        strict=True,
    )
    return [number for *_, number in sorted(place)]


def _step(transition: np.void, registry: Registry) -> _Step:
    names = transition.dtype.names
    assert names is not None
    row = dict(zip(names, transition.item(), strict=True))
    asset_id, zone_id = registry.assets[row["asset"]], registry.zones[row["zone"]]
    tracker_id = registry.trackers[row["opening_tracker"]]
    identity = row["opening_us"], row["opening_seq"], row["opening_change_us"]
    return _Step(
        row=row,
        transition=Transition(row["transition"]),
        cause=Cause(row["cause"]),
        visit_id=visit_id(asset_id, zone_id, tracker_id, *identity),
        org_id=registry.organizations[row["organization"]],
        asset_id=asset_id,
        zone_id=zone_id,
        tracker_id=tracker_id,
        at=to_datetime(row["time_us"]),
    )


def _visit(outcome: Outcome, step: _Step) -> None:
    if step.transition is Transition.ENTER:
        outcome.visits[step.visit_id] = _opened(step)
        return
    cause = "zone_changed" if step.cause is Cause.ZONE_CHANGED else "moved"
    lat, lon = step.row["lat"], step.row["lon"]
    opened = outcome.visits.get(step.visit_id)
    if opened is None:
        departure = Departure(step.org_id, step.visit_id, step.at, lat, lon, cause)
        outcome.departures.append(departure)
    else:
        outcome.visits[step.visit_id] = opened._replace(
            left_at=step.at, exit_lat=lat, exit_lon=lon, exit_cause=cause
        )


def _opened(step: _Step) -> Visit:
    row = step.row
    change_us = row["opening_change_us"]
    return Visit(
        org_id=step.org_id,
        id=step.visit_id,
        asset_id=step.asset_id,
        zone_id=step.zone_id,
        zone_version=row["version"],
        tracker_id=step.tracker_id,
        opening_time=to_datetime(row["opening_us"]),
        opening_seq=row["opening_seq"],
        opening_change=to_datetime(change_us) if change_us else None,
        entered_at=step.at,
        entry_lat=row["lat"],
        entry_lon=row["lon"],
        entry_cause=_ENTRY_CAUSE[step.cause],
    )


def _is_breach(step: _Step, registry: Registry) -> bool:
    facts = registry.zone_facts(step.row["zone"], step.row["version"])
    return alerts(facts.kind, facts.alert_on, step.transition, step.cause)


def _breach(
    batch: FixBatch, step: _Step, registry: Registry, distance_m: float, detected_us: int
) -> dict[str, Any]:
    row = step.row
    facts = registry.zone_facts(row["zone"], row["version"])
    fix: np.void = batch.rows[row["row"]]  # pyright: ignore[reportAssignmentType]
    leaving = step.transition is Transition.EXIT
    return {
        "asset_id": format_id("ast", step.asset_id),
        "asset_name": registry.asset_name(row["asset"]),
        "tracker_id": format_id("trk", registry.trackers[int(fix["tracker"])]),
        "zone_id": format_id("zon", step.zone_id),
        "zone_name": facts.name,
        "zone_kind": facts.kind,
        "zone_version": row["version"],
        "visit_id": format_id("vis", step.visit_id),
        "transition": "exit" if leaving else "enter",
        "occurred_at": format_time(row["time_us"]),
        "detected_at": format_time(detected_us),
        "lat": row["lat"],
        "lon": row["lon"],
        "accuracy_m": _known(fix, "accuracy_m", Known.ACCURACY),
        "speed_mps": _known(fix, "speed_mps", Known.SPEED),
        "distance_m": distance_m,
        "initial": step.cause is Cause.INITIAL,
        "inferred": None,
        "late": False,
        "cause": "moved",
        "dwell_s": (row["time_us"] - row["entered_us"]) / 1_000_000 if leaving else None,
    }


def _event(step: _Step, data: dict[str, Any]) -> Event:
    return Event(
        org_id=step.org_id,
        id=event_id(step.visit_id, data["transition"]),
        type=BREACH,
        occurred_at=step.at,
        data=msgspec.json.encode(data).decode(),
    )


def _known(fix: np.void, column: str, bit: Known) -> float | None:
    """The value as it was sent: a float32 in its shortest form."""
    return float(str(fix[column])) if fix["known"] & bit else None
