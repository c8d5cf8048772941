"""From transitions to the rows that tell of them: visits, their dwells and ends, events."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.events import Event
from db.visits import Departure, Dwelling, Visit
from geofence.lookup import signed_distances_m
from geofence.policy import BREACH, event_type, opening_breach
from geofence.transitions import Transition
from geofence.visits import event_id, opening_event_id, visit_id
from ingest.breach import CAUSES, INFERRED, Step, data
from ingest.registry import Registry, ZoneFacts
from telemetry.times import format_time, format_times, to_datetime

_WORDS: dict[int, Literal["enter", "exit", "dwell"]] = {
    Transition.ENTER: "enter",
    Transition.EXIT: "exit",
    Transition.DWELL: "dwell",
}


@dataclass(slots=True)
class Outcome:
    """What one batch changes, in the order in which it happened."""

    visits: dict[UUID, Visit] = field(default_factory=dict[UUID, Visit])
    dwellings: list[Dwelling] = field(default_factory=list[Dwelling])
    departures: list[Departure] = field(default_factory=list[Departure])
    events: list[Event] = field(default_factory=list[Event])

    def __bool__(self) -> bool:
        return bool(self.visits or self.dwellings or self.departures or self.events)


def tell(transitions: NDArray[np.void], registry: Registry, detected_us: int) -> Outcome:
    """The rows for `transitions` (TRANSITION_DTYPE). detected_us: when they became known."""
    outcome = Outcome()
    detected_at = format_time(detected_us)
    for step in _steps(transitions, registry):
        facts = registry.zone_facts(step.zone, step.version)
        if step.transition == Transition.SCHEDULE:
            event = _opening_event(step, facts, detected_at, registry)
        else:
            visit = _visit_id(step, registry)
            _note(outcome, step, visit, registry)
            event = _event(step, visit, facts, detected_at, registry)
        if event is not None:
            outcome.events.append(event)
    return outcome


def _steps(transitions: NDArray[np.void], registry: Registry) -> Iterator[Step]:
    """In the order of `transitions`; what happened in one instant exits first, then by zone id."""
    if not len(transitions):
        return
    distance_m = signed_distances_m(
        registry.index, *(transitions[name] for name in ("zone", "version", "lon", "lat"))
    )
    steps = [
        Step(*row, *more)
        for row, *more in zip(
            transitions.tolist(),
            _shortest(transitions["accuracy_m"]),
            _shortest(transitions["speed_mps"]),
            distance_m.round(2).tolist(),
            format_times(transitions["time_us"]),
            strict=True,
        )
    ]
    place = 0
    while place < len(steps):
        first, moment = place, _moment(steps[place])
        while place < len(steps) and _moment(steps[place]) == moment:
            place += 1
        yield from sorted(steps[first:place], key=lambda step: registry.zones[step.zone])


def _moment(step: Step) -> tuple[int, int, int, int]:
    rank = 1
    if step.transition == Transition.EXIT:
        rank = 0 if step.entered_us < step.time_us else 2
    return step.row, step.step, step.time_us, rank


def _shortest(values: NDArray[np.float32]) -> list[float | None]:
    """Each float32 in its shortest form, as it was sent; None for NaN, which is not known."""
    found = values.astype("U32").astype(np.float64).astype(object)
    found[np.isnan(values)] = None
    return found.tolist()


def _visit_id(step: Step, registry: Registry) -> UUID:
    return visit_id(
        registry.assets[step.asset],
        registry.zones[step.zone],
        registry.trackers[step.opening_tracker],
        step.opening_us,
        step.opening_seq,
        step.opening_change_us,
    )


def _note(outcome: Outcome, step: Step, visit: UUID, registry: Registry) -> None:
    """Notes the visit that begins, goes on or ends."""
    at, org_id = to_datetime(step.time_us), registry.organizations[step.organization]
    opened = outcome.visits.get(visit)
    if step.transition == Transition.ENTER:
        outcome.visits[visit] = _opened(step, visit, registry)
    elif step.transition == Transition.DWELL:
        if opened is None:
            outcome.dwellings.append(Dwelling(org_id, visit, at))
        else:
            outcome.visits[visit] = opened._replace(dwelled_at=at)
    else:
        how = (at, step.lat, step.lon, CAUSES[step.cause], INFERRED[step.inferred])
        departure = Departure(org_id, visit, *how)
        if opened is None:
            outcome.departures.append(departure)
        else:
            left = departure._asdict()
            del left["org_id"], left["visit_id"]
            outcome.visits[visit] = opened._replace(**left)


def _opened(step: Step, visit: UUID, registry: Registry) -> Visit:
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
        entry_cause=CAUSES[step.cause],
        entry_inferred=INFERRED[step.inferred],
    )


def _event(
    step: Step, visit: UUID, facts: ZoneFacts, detected_at: str, registry: Registry
) -> Event | None:
    """What is told of a transition of a visit, if anything is."""
    word = _WORDS[step.transition]
    cause, inferred = CAUSES[step.cause], INFERRED[step.inferred]
    kind = event_type(facts.policy, word, cause, inferred, step.time_us, left_before=step.returning)
    if kind is None:
        return None
    return Event(
        org_id=registry.organizations[step.organization],
        id=event_id(visit, word),
        type=kind,
        occurred_at=to_datetime(step.time_us),
        data=data(step, word, visit, facts, detected_at, registry),
    )


def _opening_event(
    step: Step, facts: ZoneFacts, detected_at: str, registry: Registry
) -> Event | None:
    """What is told of an asset that is in the wrong place when the zone's hours begin."""
    word = opening_breach(facts.policy, inside=True)
    visit = None if word is None else _visit_id(step, registry)
    word = word or opening_breach(facts.policy, inside=False)
    if word is None:
        return None
    return Event(
        org_id=registry.organizations[step.organization],
        id=opening_event_id(registry.assets[step.asset], registry.zones[step.zone], step.time_us),
        type=BREACH,
        occurred_at=to_datetime(step.time_us),
        data=data(step, word, visit, facts, detected_at, registry),
    )
