"""The visits and events that the transitions of a run make."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from geofence.judging.lookup import signed_distances_m
from geofence.late import amendments
from geofence.late.amendments import Announcement
from geofence.late.revision import Revision
from geofence.model.policy import (
    AMENDED,
    BREACH,
    OVERSPEED,
    event_type,
    schedule_start_breach,
)
from geofence.model.transitions import (
    TRANSITION_DTYPE,
    Cause,
    Inferred,
    Transition,
    rank_in_instant,
)
from geofence.model.visit_ids import amendment_event_id, event_id, schedule_start_event_id, visit_id
from geofence.zones.index import ZoneIndex
from stack.verify.judged_zones import policy_of
from stack.verify.results import AmendedEvent, Event, GeofenceEvent, OverspeedEvent, StoredVisit
from stack.verify.run_history import RunHistory
from telemetry.ids import format_id, parse_id

_NO_FIX = 2**62
_Order = tuple[int, int, int, int, UUID]
_FIRST = {
    amendments.AnnouncementKind.ENTER: Transition.ENTER,
    amendments.AnnouncementKind.EXIT: Transition.EXIT,
    amendments.AnnouncementKind.DWELL: Transition.DWELL,
    amendments.AnnouncementKind.OVERSPEED: Transition.OVERSPEED,
}


class _Step(NamedTuple):
    """A transition as plain values: columns of TRANSITION_DTYPE, then what is worked out."""

    row: int
    step: int
    asset: int
    zone: int
    version: int
    transition: int
    cause: int
    inferred: int
    returning: bool
    time_us: int
    lat: float
    lon: float
    tracker: int
    first_fix_tracker: int
    first_fix_us: int
    first_fix_seq: int
    change_us: int
    again: int
    entered_us: int
    accuracy_m: float | None
    speed_mps: float | None
    distance_m: float


class ExpectedEvents:
    """The visits and events that transitions make.

    Transitions are taken in order. events: in the order in which they become known. Events of one
    fix are in order of time, exits before enters, then by zone id.
    """

    def __init__(self, history: RunHistory, index: ZoneIndex) -> None:
        self._history = history
        self._index = index
        self._trackers = [parse_id("trk", tracker_id) for tracker_id in history.tracker_ids]
        self._assets = [parse_id("ast", asset_id) for asset_id in history.asset_ids]
        self._zones = [parse_id("zon", zone_id) for zone_id in history.zone_ids]
        self._policies = {
            (zone.zone, zone.version): policy_of(zone.is_like) for zone in history.zones
        }
        self._limits_mps = {
            (zone.zone, zone.version): zone.is_like.rules.get("speed_limit_mps")
            for zone in history.zones
        }
        self._visits: dict[UUID, StoredVisit] = {}
        self.events: list[Event] = []

    def all_visits(self) -> list[StoredVisit]:
        """Return all visits in order of their beginning."""
        return list(self._visits.values())

    def add(self, transitions: NDArray[np.void]) -> None:
        """Add the transitions that come next, TRANSITION_DTYPE."""
        for step in sorted(self._steps(transitions), key=self._order):
            if step.transition == Transition.SCHEDULE:
                self._add_schedule_start(step)
            else:
                visit = self._visit_of(step)
                self._note(step, visit)
                self._add_event(step, visit)

    def add_revision(self, asset: int, revision: Revision) -> None:
        """Add a revision of an asset's visits. The visits themselves come by `add_visits`."""
        steps: list[tuple[_Order, _Step, Announcement | None]] = []
        for step, announcement in zip(
            self._steps(_transitions(asset, revision.announcements, self._index)),
            revision.announcements,
            strict=True,
        ):
            steps.append(((*announcement.order, self._zones[step.zone]), step, announcement))
        steps += [(self._order(step), step, None) for step in self._steps(revision.schedule_starts)]
        for _, step, announcement in sorted(steps, key=lambda entry: entry[0]):
            if announcement is None:
                self._add_schedule_start(step)
            elif announcement.kind in _FIRST:
                self._add_event(step, self._visit_of(step), late=announcement.late)
            else:
                self.events.append(self._amended(step, announcement, self._visit_of(step)))

    def add_visits(self, asset: int, visits: Iterable[amendments.Visit]) -> None:
        """Add the final visits of an asset, without retracted ones."""
        for judged in visits:
            if judged.retracted:
                continue
            entered = [Announcement(amendments.AnnouncementKind.ENTER, judged, late=True)]
            [step] = self._steps(_transitions(asset, entered, self._index))
            visit = self._visit_of(step)
            self._note(step, visit)
            dwelled_us = None if judged.dwelled is None else judged.dwelled.time_us
            overspeed_us = None if judged.overspeed is None else judged.overspeed.time_us
            self._visits[visit] = self._visits[visit]._replace(
                dwelled_us=dwelled_us, overspeed_us=overspeed_us
            )
            if judged.left is not None:
                ended = step._replace(
                    transition=int(Transition.EXIT),
                    time_us=judged.left.time_us,
                    cause=judged.left.cause,
                    inferred=judged.left.inferred,
                )
                self._note(ended, visit)

    def _order(self, step: _Step) -> _Order:
        """Return the sort key: the fix that made the transition known, or the end if none did; then
        time, rank and zone.
        """
        row = _NO_FIX if step.row < 0 else step.row
        rank = rank_in_instant(step.transition, step.entered_us, step.time_us)
        return row, step.step, step.time_us, rank, self._zones[step.zone]

    def _steps(self, transitions: NDArray[np.void]) -> Iterator[_Step]:
        of_version = [transitions[name] for name in ("zone", "version", "lon", "lat")]
        names = _Step._fields[: _Step._fields.index("accuracy_m")]
        columns: list[list[Any]] = [transitions[name].tolist() for name in names]
        columns += [_known(transitions["accuracy_m"]), _known(transitions["speed_mps"])]
        columns.append(signed_distances_m(self._index, *of_version).round(2).tolist())
        return (_Step(*values) for values in zip(*columns, strict=True))

    def _visit_of(self, step: _Step) -> UUID:
        return visit_id(
            self._assets[step.asset],
            self._zones[step.zone],
            self._trackers[step.first_fix_tracker],
            step.first_fix_us,
            step.first_fix_seq,
            step.change_us,
            step.again,
        )

    def _note(self, step: _Step, visit: UUID) -> None:
        cause, inferred = Cause(step.cause).word, Inferred(step.inferred).word
        if step.transition == Transition.ENTER:
            self._visits[visit] = StoredVisit(
                visit_id=format_id("vis", visit),
                asset_id=self._history.asset_ids[step.asset],
                zone_id=self._history.zone_ids[step.zone],
                zone_version=step.version,
                entered_us=step.time_us,
                entry_cause=cause,
                entry_inferred=inferred,
                dwelled_us=None,
                left_us=None,
                exit_cause=None,
                exit_inferred=None,
            )
        elif step.transition == Transition.DWELL:
            self._visits[visit] = self._visits[visit]._replace(dwelled_us=step.time_us)
        elif step.transition == Transition.OVERSPEED:
            self._visits[visit] = self._visits[visit]._replace(overspeed_us=step.time_us)
        else:
            ended = {"left_us": step.time_us, "exit_cause": cause, "exit_inferred": inferred}
            self._visits[visit] = self._visits[visit]._replace(**ended)

    def _add_event(self, step: _Step, visit: UUID, *, late: bool = False) -> None:
        cause, inferred = Cause(step.cause).word, Inferred(step.inferred).word
        word = Transition(step.transition).word
        kind = event_type(
            self._policies[step.zone, step.version],
            word,
            cause,
            inferred,
            step.time_us,
            left_before=step.returning,
        )
        if kind == OVERSPEED:
            self.events.append(self._overspeed(step, visit, late=late))
        elif kind is not None:
            event = self._event(step, kind, event_id(visit, word), visit, word)
            self.events.append(event._replace(late=late))

    def _add_schedule_start(self, step: _Step) -> None:
        """Add the event of the start of a zone's hours. An asset outside has no visit."""
        policy = self._policies[step.zone, step.version]
        word = schedule_start_breach(policy, inside=True)
        visit = None if word is None else self._visit_of(step)
        word = word or schedule_start_breach(policy, inside=False)
        if word is not None:
            asset, zone = self._assets[step.asset], self._zones[step.zone]
            event = schedule_start_event_id(asset, zone, step.time_us)
            self.events.append(self._event(step, BREACH, event, visit, word))

    def _event(
        self, step: _Step, kind: str, event: UUID, visit: UUID | None, transition: str
    ) -> GeofenceEvent:
        has_been_in = visit is not None and transition != "enter"
        return GeofenceEvent(
            event_id=format_id("evt", event),
            type=kind,
            asset_id=self._history.asset_ids[step.asset],
            tracker_id=self._history.tracker_ids[step.tracker],
            zone_id=self._history.zone_ids[step.zone],
            zone_kind=self._policies[step.zone, step.version].kind,
            zone_version=step.version,
            visit_id=None if visit is None else format_id("vis", visit),
            transition=transition,
            occurred_us=step.time_us,
            lat=step.lat,
            lon=step.lon,
            accuracy_m=step.accuracy_m,
            speed_mps=step.speed_mps,
            distance_m=step.distance_m,
            initial=step.cause == Cause.INITIAL,
            inferred=Inferred(step.inferred).word,
            late=False,
            cause=Cause(step.cause).word,
            dwell_s=(step.time_us - step.entered_us) / 1_000_000 if has_been_in else None,
        )

    def _overspeed(self, step: _Step, visit: UUID, *, late: bool) -> OverspeedEvent:
        limit_mps = self._limits_mps[step.zone, step.version]
        assert limit_mps is not None  # else nothing is told
        return OverspeedEvent(
            event_id=format_id("evt", event_id(visit, "overspeed")),
            type=OVERSPEED,
            asset_id=self._history.asset_ids[step.asset],
            tracker_id=self._history.tracker_ids[step.tracker],
            zone_id=self._history.zone_ids[step.zone],
            zone_kind=self._policies[step.zone, step.version].kind,
            zone_version=step.version,
            visit_id=format_id("vis", visit),
            occurred_us=step.time_us,
            lat=step.lat,
            lon=step.lon,
            accuracy_m=step.accuracy_m,
            speed_mps=step.speed_mps,
            speed_limit_mps=limit_mps,
            distance_m=step.distance_m,
            late=late,
        )

    def _amended(self, step: _Step, announcement: Announcement, visit: UUID) -> AmendedEvent:
        return AmendedEvent(
            event_id=format_id("evt", amendment_event_id(visit, announcement.visit.revision)),
            type=AMENDED,
            asset_id=self._history.asset_ids[step.asset],
            zone_id=self._history.zone_ids[step.zone],
            zone_kind=self._policies[step.zone, step.version].kind,
            zone_version=step.version,
            visit_id=format_id("vis", visit),
            change=announcement.kind.value,
            revision=announcement.visit.revision,
            occurred_us=step.time_us,
            entered_us=step.entered_us,
            left_us=None if announcement.visit.left is None else announcement.visit.left.time_us,
            retracted=announcement.kind is amendments.AnnouncementKind.RETRACTED,
            late=announcement.late,
        )


def _transitions(
    asset: int, announcements: Sequence[Announcement], index: ZoneIndex
) -> NDArray[np.void]:
    """Return the announcements as transitions, TRANSITION_DTYPE, (n,)."""
    rows = np.zeros(len(announcements), TRANSITION_DTYPE)
    for row, announcement in zip(rows, announcements, strict=True):
        visit, at = announcement.visit, announcement.occurred
        key = visit.key
        row["asset"], row["zone"], row["version"] = asset, key.zone, visit.version
        kind = announcement.kind
        if kind is amendments.AnnouncementKind.OVERSPEED:  # the limit is that of its own time
            row["version"] = index.version_at(key.zone, at.time_us)
        row["transition"] = _FIRST.get(kind, Transition.NONE)
        row["cause"], row["inferred"], row["returning"] = at.cause, at.inferred, visit.returning
        for name in ("time_us", "lat", "lon", "tracker"):
            row[name] = getattr(at, name)
        row["accuracy_m"] = np.nan if at.accuracy_m is None else at.accuracy_m
        row["speed_mps"] = np.nan if at.speed_mps is None else at.speed_mps
        row["first_fix_tracker"], row["first_fix_us"] = key.tracker, key.time_us
        row["first_fix_seq"], row["change_us"] = key.seq, key.change_us
        row["again"], row["entered_us"] = key.again, visit.entered.time_us
    return rows


def _known(values: NDArray[np.float32]) -> list[float | None]:
    """Return each float32 in its shortest form; None where it is not known."""
    texts = values.astype("U32").astype(np.float64)
    return [None if np.isnan(value) else value for value in texts.tolist()]
