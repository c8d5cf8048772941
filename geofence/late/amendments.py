"""The amendments of an asset's visits when a fix arrives out of order: stable ids, and the events
to publish.

Visits follow from the rules applied to all fixes in order of their own time
(`geofence.late.history`). This module compares the visits that follow now with the visits that were
known. A visit keeps its id as long as any part of it remains: a split visit leaves its id to the
earlier part, and two joined visits keep the id of the earlier one. New facts are published;
published facts are amended. The later part of a split visit is a new visit with its own enter,
dwell, overspeed and exit. A retracted visit stays retracted: a stay that proves true after all is a
new visit.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from geofence.model.transitions import SILENT, Transition, rank_in_instant


class VisitKey(NamedTuple):
    """The parts of a visit's id beside its asset (see `geofence.model.visit_ids.visit_id`).

    The zone, the fix that first opened the visit, the change that opened it or 0, and how many
    visits that the same fix opened had the key before.
    """

    zone: int
    tracker: int
    time_us: int
    seq: int
    change_us: int
    again: int = 0


class VisitBoundary(NamedTuple):
    """The place and time of a visit's beginning or end.

    tracker, fix_us, fix_seq: the identity of the fix that shows it; fix_us is None where it is not
    known any more.
    """

    time_us: int
    lat: float
    lon: float
    tracker: int
    fix_us: int | None
    fix_seq: int
    accuracy_m: float | None
    speed_mps: float | None
    cause: int  # geofence.model.transitions.Cause
    inferred: int  # geofence.model.transitions.Inferred

    @property
    def is_silent(self) -> bool:
        """True where nothing on the ground made the change, so that no event is published."""
        return self.cause in SILENT


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay of the asset in a zone, as it is known now.

    left: None while the visit lasts. dwelled: when and where it had lasted for the dwell time.
    overspeed: when and where the asset first was faster than the zone allows. *_announced: whether
    an event of its beginning, end, dwell or overspeed was published, even if that does not hold any
    more. A change that nothing on the ground made (`geofence.model.transitions.SILENT`) has no
    event. revision counts from 1.
    """

    key: VisitKey
    version: int
    entered: VisitBoundary
    left: VisitBoundary | None = None
    dwelled: VisitBoundary | None = None
    returning: bool = False
    revision: int = 1
    retracted: bool = False
    enter_announced: bool = False
    exit_announced: bool = False
    dwell_announced: bool = False
    overspeed: VisitBoundary | None = None
    overspeed_announced: bool = False

    @property
    def end_us(self) -> float:
        return float("inf") if self.left is None else self.left.time_us

    def overlaps(self, other: "Visit", until_us: float) -> bool:
        """Return whether they have some time in common, or their beginning; not only one's end.

        until_us: up to when this one, if it lasts, was known to last.
        """
        begin_us, other_us = self.entered.time_us, other.entered.time_us
        end_us = until_us + 1 if self.left is None else self.left.time_us
        return begin_us == other_us or (begin_us < other.end_us and other_us < end_us)


class AnnouncementKind(StrEnum):
    """An event to publish about a visit. The last five correct an earlier event."""

    ENTER = "enter"
    EXIT = "exit"
    DWELL = "dwell"
    OVERSPEED = "overspeed"
    START = "start"
    END = "end"
    SPLIT = "split"
    MERGED = "merged"
    RETRACTED = "retracted"


# The transition that an announcement is about, if it is about one.
_TRANSITIONS = {
    AnnouncementKind.ENTER: Transition.ENTER,
    AnnouncementKind.EXIT: Transition.EXIT,
    AnnouncementKind.DWELL: Transition.DWELL,
    AnnouncementKind.OVERSPEED: Transition.OVERSPEED,
    AnnouncementKind.END: Transition.EXIT,
    AnnouncementKind.SPLIT: Transition.EXIT,
}


class AnnouncedState(NamedTuple):
    """The published facts of an open visit that do not hold now: its end, its dwell,
    its overspeed.
    """

    revision: int
    exit: bool
    dwell: bool
    overspeed: bool = False

    def instead_of(self, kind: AnnouncementKind) -> AnnouncementKind | None:
        """Return what to publish when a published fact comes true after all; None for nothing."""
        if kind is AnnouncementKind.EXIT and self.exit:
            return AnnouncementKind.END
        if kind is AnnouncementKind.OVERSPEED and self.overspeed:
            return None
        return None if kind is AnnouncementKind.DWELL and self.dwell else kind


@dataclass(frozen=True, slots=True)
class Announcement:
    """An event to publish, and the visit as it is then.

    late: a fix out of order made it known. fix: the number of the fix that made it known, among
    those that were taken together. step: see `geofence.model.transitions.TRANSITION_DTYPE`.
    """

    kind: AnnouncementKind
    visit: Visit
    late: bool
    fix: int = 0
    step: int = 0

    @property
    def occurred(self) -> VisitBoundary:
        """The place and time of the change that is announced."""
        visit = self.visit
        if self.kind is AnnouncementKind.DWELL and visit.dwelled is not None:
            return visit.dwelled
        if self.kind is AnnouncementKind.OVERSPEED and visit.overspeed is not None:
            return visit.overspeed
        if (
            self.kind in (AnnouncementKind.EXIT, AnnouncementKind.END, AnnouncementKind.SPLIT)
            and visit.left is not None
        ):
            return visit.left
        return visit.entered

    @property
    def occurred_us(self) -> int:
        return self.occurred.time_us

    @property
    def transition(self) -> Transition:
        """The transition that is announced or amended; NONE where the whole visit is."""
        return _TRANSITIONS.get(self.kind, Transition.NONE)

    @property
    def order(self) -> tuple[int, int, int, int]:
        """The key to sort by, before the zone."""
        occurred_us = self.occurred_us
        rank = rank_in_instant(self.transition, self.visit.entered.time_us, occurred_us)
        return self.fix, self.step, occurred_us, rank


class Amended(NamedTuple):
    """The result of `amend`.

    visits: as they are from now on. names: the key of each visit, by the key that it would have if
    nothing had been known. announcements: the events to publish, in order.
    """

    visits: list[Visit]
    names: dict[VisitKey, VisitKey]
    announcements: list[Announcement]


def amend(
    known: Iterable[Visit],
    found: Iterable[Visit],
    used: Mapping[VisitKey, Visit],
    *,
    until_us: int,
    late: bool,
) -> Amended:
    """Match the known visits of one asset with those that its fixes give now.

    known: the visits that may be others now, none retracted. found: the visits that follow now in
    their place, with the keys that they would have if nothing were known, whatever their `again`.
    used: all visits of the asset so far, by key. until_us: up to when anything was known. late:
    whether the fix that brought this about arrived out of order.
    """
    result = Amended([], {}, [])
    by_zone: dict[int, tuple[list[Visit], list[Visit]]] = {}
    for side, some in enumerate((known, found)):
        for visit in some:
            by_zone.setdefault(visit.key.zone, ([], []))[side].append(visit)
    for zone_known, zone_found in by_zone.values():
        _Matching(result, used, until_us, late=late).match(zone_known, zone_found)
    result.announcements.sort(key=by_order_and_zone)
    return result


def by_order_and_zone(one: Announcement) -> tuple[tuple[int, int, int, int], int]:
    """Return the key by which announcements of one asset are sorted."""
    return one.order, one.visit.key.zone


def unused(key: VisitKey, used: Container[VisitKey]) -> VisitKey:
    """Return the key, told apart from those that are used."""
    while key in used:
        key = key._replace(again=key.again + 1)
    return key


class _Matching:
    """The visits of one zone, known and found."""

    def __init__(
        self, result: Amended, used: Mapping[VisitKey, Visit], until_us: int, *, late: bool
    ) -> None:
        self._result, self._used, self._until_us, self._late = result, used, until_us, late

    def match(self, known: list[Visit], found: list[Visit]) -> None:
        known = sorted(known, key=lambda visit: visit.entered.time_us)
        found = sorted(found, key=lambda visit: visit.entered.time_us)
        taken: set[VisitKey] = set()
        for visit in found:
            overlapping = [old for old in known if old.overlaps(visit, self._until_us)]
            free = [old for old in overlapping if old.key not in taken]
            if free:
                taken.add(free[0].key)
                self._continue(free[0], visit, found, free[1:])
            else:
                self._begin(visit)
        for old in known:
            if old.key not in taken:
                gone = replace(_revised(old), retracted=True)
                self._result.visits.append(gone)
                self._announce(AnnouncementKind.RETRACTED, gone)

    def _continue(
        self, old: Visit, now: Visit, found: list[Visit], merged: Sequence[Visit]
    ) -> None:
        """Continue a known visit, perhaps with other facts. merged: those that it absorbs."""
        exit_announced = old.exit_announced or any(_is_end_announced(one, now) for one in merged)
        visit = replace(
            now,
            key=old.key,
            revision=old.revision,
            enter_announced=old.enter_announced or not now.entered.is_silent,
            exit_announced=exit_announced,
            dwell_announced=old.dwell_announced,
            overspeed_announced=old.overspeed_announced,
        )
        if visit.enter_announced and not old.enter_announced:
            self._announce(AnnouncementKind.ENTER, visit)
        parts = sum(old.overlaps(other, self._until_us) for other in found)
        is_split = self._late and parts > 1
        changes: list[AnnouncementKind] = []
        if merged:
            changes.append(AnnouncementKind.MERGED)
        elif old.entered.time_us != now.entered.time_us:
            changes.append(AnnouncementKind.START)
        if old.end_us != now.end_us:
            if is_split:
                changes.append(AnnouncementKind.SPLIT)
                visit = replace(visit, exit_announced=True)
            elif not merged and (old.exit_announced or old.left is not None):
                changes.append(AnnouncementKind.END)
        for change in changes:
            visit = _revised(visit)
            self._announce(change, visit)
        self._settle(now.key, visit, is_end_new=old.left is None)

    def _begin(self, now: Visit) -> None:
        """Begin a visit that was not known; it may be the later part of one that is split."""
        key = unused(now.key._replace(again=0), self._used)
        visit = replace(now, key=key, enter_announced=not now.entered.is_silent)
        self._announce(AnnouncementKind.ENTER, visit)
        self._settle(now.key, visit, is_end_new=True)

    def _settle(self, found_key: VisitKey, visit: Visit, *, is_end_new: bool) -> None:
        """Add the facts of the visit that no event has published. is_end_new: no end of it was
        known.
        """
        if visit.dwelled is not None and not visit.dwell_announced:
            visit = replace(visit, dwell_announced=True)
            self._announce(AnnouncementKind.DWELL, visit)
        if visit.overspeed is not None and not visit.overspeed_announced:
            visit = replace(visit, overspeed_announced=True)
            self._announce(AnnouncementKind.OVERSPEED, visit)
        if visit.left is not None and not visit.exit_announced:
            visit = replace(visit, exit_announced=not visit.left.is_silent)
            if visit.exit_announced or is_end_new:
                self._announce(AnnouncementKind.EXIT, visit)
        self._result.visits.append(visit)
        self._result.names[found_key] = visit.key

    def _announce(self, kind: AnnouncementKind, visit: Visit) -> None:
        self._result.announcements.append(Announcement(kind, visit, self._late))


def _is_end_announced(old: Visit, now: Visit) -> bool:
    """Return whether an event was published that the visit ended where `now` does."""
    return old.exit_announced and now.left is not None and old.end_us == now.end_us


def _revised(visit: Visit) -> Visit:
    return replace(visit, revision=visit.revision + 1)
