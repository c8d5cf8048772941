"""The rows that transitions make: visits, their changes, events."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.events import Event
from db.history.visits import Departure, Dwelling, FirstOverspeed, VisitRow
from geofence.late.amendments import AnnouncedState, AnnouncementKind
from geofence.model.policy import BREACH, event_type, schedule_start_breach
from geofence.model.transitions import (
    CAUSE_WORDS,
    INFERRED_WORDS,
    SILENT,
    TRANSITION_WORDS,
    Transition,
    rank_in_instant,
)
from geofence.model.visit_ids import event_id, schedule_start_event_id
from ingest.events.amendment import amendment_event
from ingest.events.detected import AFTER_FIXES, DetectedEvent, Detection, FlagsOf
from ingest.events.event_data import breach_or_dwell_data, overspeed_data
from ingest.events.transition_rows import TransitionRow, read_transitions, visit_of
from ingest.registry.registry import Registry
from telemetry.times import format_time, to_datetime


@dataclass(slots=True)
class Outcome:
    """The changes that one batch makes, in the order in which they happened."""

    visits: dict[UUID, VisitRow] = field(default_factory=dict[UUID, VisitRow])
    dwellings: list[Dwelling] = field(default_factory=list[Dwelling])
    overspeeds: list[FirstOverspeed] = field(default_factory=list[FirstOverspeed])
    departures: list[Departure] = field(default_factory=list[Departure])
    events: list[DetectedEvent] = field(default_factory=list[DetectedEvent])

    def __bool__(self) -> bool:
        noted = self.dwellings or self.overspeeds or self.departures
        return bool(self.visits or noted or self.events)


def outcome_of(
    transitions: NDArray[np.void],
    registry: Registry,
    detected_us: int,
    announced: Mapping[UUID, AnnouncedState],
    flags_of: FlagsOf,
) -> Outcome:
    """Return the rows that `transitions` (TRANSITION_DTYPE) make.

    detected_us: when the transitions became known. announced: by open visit, the published facts
    that do not hold any more.
    """
    outcome = Outcome()
    detected_at = format_time(detected_us)
    for transition in _in_order(read_transitions(transitions, registry), registry):
        fix = AFTER_FIXES if transition.row < 0 else transition.row
        detection = Detection(detected_at, by_late_fix=False, flags=flags_of(fix, transition))
        if transition.kind == Transition.SCHEDULE:
            event = _schedule_start_event(transition, detection, registry)
        else:
            visit = visit_of(transition, registry)
            before = announced.get(visit) if announced else None
            _note(outcome, transition, visit, registry, amends=before is not None and before.exit)
            event = _event(transition, visit, before, detection, registry)
        if event is not None:
            outcome.events.append(DetectedEvent(fix, event))
    return outcome


def _event(
    transition: TransitionRow,
    visit: UUID,
    before: AnnouncedState | None,
    detection: Detection,
    registry: Registry,
) -> Event | None:
    kind = AnnouncementKind(TRANSITION_WORDS[transition.kind])
    instead = kind if before is None else before.instead_of(kind)
    if instead is kind:
        return visit_event(transition, visit, detection, registry)
    if before is None or instead is None:
        return None
    end = (instead, before.revision + 1, transition.time_us)
    return amendment_event(transition, *end, detection, registry)


def _in_order(transitions: list[TransitionRow], registry: Registry) -> Iterator[TransitionRow]:
    """Keep the order, but sort transitions of one kind and one instant by zone id."""
    place = 0
    while place < len(transitions):
        first, moment = place, _moment(transitions[place])
        while place < len(transitions) and _moment(transitions[place]) == moment:
            place += 1
        yield from sorted(
            transitions[first:place], key=lambda transition: registry.zones[transition.zone]
        )


def _moment(transition: TransitionRow) -> tuple[int, int, int, int]:
    rank = rank_in_instant(transition.kind, transition.entered_us, transition.time_us)
    return transition.row, transition.step, transition.time_us, rank


def _note(
    outcome: Outcome, transition: TransitionRow, visit: UUID, registry: Registry, *, amends: bool
) -> None:
    """Note the visit that begins, goes on or ends. amends: another end was published before."""
    at, org_id = to_datetime(transition.time_us), registry.organizations[transition.organization]
    opened = outcome.visits.get(visit)
    if transition.kind == Transition.ENTER:
        outcome.visits[visit] = opened_visit(transition, visit, registry)
    elif transition.kind == Transition.DWELL:
        if opened is None:
            outcome.dwellings.append(Dwelling(org_id, visit, at))
        else:
            outcome.visits[visit] = opened._replace(dwelled_at=at, dwell_announced=True)
    elif transition.kind == Transition.OVERSPEED:
        assert transition.speed_mps is not None  # an overspeed always has one
        overspeed = FirstOverspeed(
            org_id, visit, at, transition.lat, transition.lon, transition.speed_mps
        )
        if opened is None:
            outcome.overspeeds.append(overspeed)
        else:
            outcome.visits[visit] = opened._replace(
                **_of_visit(overspeed), overspeed_announced=True
            )
    else:
        how = (
            at,
            transition.lat,
            transition.lon,
            CAUSE_WORDS[transition.cause],
            INFERRED_WORDS[transition.inferred],
        )
        fix = (
            registry.trackers[transition.tracker],
            to_datetime(transition.fix_us),
            transition.fix_seq,
        )
        is_published = transition.cause not in SILENT
        departure = Departure(org_id, visit, *how, *fix, exit_announced=is_published, amends=amends)
        if opened is None:
            outcome.departures.append(departure)
        else:
            outcome.visits[visit] = opened._replace(**_of_visit(departure))


def _of_visit(row: Departure | FirstOverspeed) -> dict[str, Any]:
    """Return the columns of the visit that it fills."""
    return {name: value for name, value in row._asdict().items() if name in _FILLED}


_FILLED = frozenset(VisitRow._fields) - {"org_id"}


def opened_visit(transition: TransitionRow, visit: UUID, registry: Registry) -> VisitRow:
    change_us = transition.change_us
    return VisitRow(
        org_id=registry.organizations[transition.organization],
        id=visit,
        asset_id=registry.assets[transition.asset],
        zone_id=registry.zones[transition.zone],
        zone_version=transition.version,
        tracker_id=registry.trackers[transition.first_fix_tracker],
        first_fix_time=to_datetime(transition.first_fix_us),
        first_fix_seq=transition.first_fix_seq,
        change_time=to_datetime(change_us) if change_us else None,
        entered_at=to_datetime(transition.time_us),
        entry_lat=transition.lat,
        entry_lon=transition.lon,
        entry_cause=CAUSE_WORDS[transition.cause],
        entry_inferred=INFERRED_WORDS[transition.inferred],
        again=transition.again,
    )


def visit_event(
    transition: TransitionRow, visit: UUID, detection: Detection, registry: Registry
) -> Event | None:
    """Return the event of a transition of a visit, if it has one."""
    facts = registry.zone_facts(transition.zone, transition.version)
    word = TRANSITION_WORDS[transition.kind]
    cause, inferred = CAUSE_WORDS[transition.cause], INFERRED_WORDS[transition.inferred]
    kind = event_type(
        facts.policy, word, cause, inferred, transition.time_us, left_before=transition.returning
    )
    if kind is None:
        return None
    return Event(
        org_id=registry.organizations[transition.organization],
        id=event_id(visit, word),
        type=kind,
        occurred_at=to_datetime(transition.time_us),
        data=overspeed_data(transition, visit, facts, detection, registry)
        if word == "overspeed"
        else breach_or_dwell_data(transition, word, visit, facts, detection, registry),
        is_for_webhooks=detection.is_for_webhooks,
    )


def _schedule_start_event(
    transition: TransitionRow, detection: Detection, registry: Registry
) -> Event | None:
    """Return the event of an asset that is in the wrong place when the zone's hours begin."""
    facts = registry.zone_facts(transition.zone, transition.version)
    word = schedule_start_breach(facts.policy, inside=True)
    visit = None if word is None else visit_of(transition, registry)
    word = word or schedule_start_breach(facts.policy, inside=False)
    if word is None:
        return None
    return Event(
        org_id=registry.organizations[transition.organization],
        id=schedule_start_event_id(
            registry.assets[transition.asset], registry.zones[transition.zone], transition.time_us
        ),
        type=BREACH,
        occurred_at=to_datetime(transition.time_us),
        data=breach_or_dwell_data(transition, word, visit, facts, detection, registry),
        is_for_webhooks=detection.is_for_webhooks,
    )
