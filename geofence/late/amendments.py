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


class Place(NamedTuple):
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
    overspeed: when and where the asset first was faster than the zone allows. told_*: whether an
    event of its beginning, end, dwell or overspeed was published, even if that does not hold any
    more. A change that nothing on the ground made (`geofence.model.transitions.SILENT`) has no
    event. revision counts from 1.
    """

    key: VisitKey
    version: int
    entered: Place
    left: Place | None = None
    dwelled: Place | None = None
    returning: bool = False
    revision: int = 1
    retracted: bool = False
    told_enter: bool = False
    told_exit: bool = False
    told_dwell: bool = False
    overspeed: Place | None = None
    told_overspeed: bool = False

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


class Telling(StrEnum):
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


# The transition that a telling is of, where it is of one.
_TRANSITIONS = {
    Telling.ENTER: Transition.ENTER,
    Telling.EXIT: Transition.EXIT,
    Telling.DWELL: Transition.DWELL,
    Telling.OVERSPEED: Transition.OVERSPEED,
    Telling.END: Transition.EXIT,
    Telling.SPLIT: Transition.EXIT,
}


class AnnouncedState(NamedTuple):
    """The published facts of an open visit that do not hold now: its end, its dwell,
    its overspeed.
    """

    revision: int
    exit: bool
    dwell: bool
    overspeed: bool = False

    def instead_of(self, telling: Telling) -> Telling | None:
        """Return what to publish when a published fact comes true after all; None for nothing."""
        if telling is Telling.EXIT and self.exit:
            return Telling.END
        if telling is Telling.OVERSPEED and self.overspeed:
            return None
        return None if telling is Telling.DWELL and self.dwell else telling


@dataclass(frozen=True, slots=True)
class News:
    """An event to publish, and the visit as it is then.

    late: a fix out of order made it known. fix: the number of the fix that made it known, among
    those that were taken together. step: see `geofence.model.transitions.TRANSITION_DTYPE`.
    """

    telling: Telling
    visit: Visit
    late: bool
    fix: int = 0
    step: int = 0

    @property
    def occurred(self) -> Place:
        """The place and time at which the news took place."""
        visit = self.visit
        if self.telling is Telling.DWELL and visit.dwelled is not None:
            return visit.dwelled
        if self.telling is Telling.OVERSPEED and visit.overspeed is not None:
            return visit.overspeed
        if self.telling in (Telling.EXIT, Telling.END, Telling.SPLIT) and visit.left is not None:
            return visit.left
        return visit.entered

    @property
    def occurred_us(self) -> int:
        return self.occurred.time_us

    @property
    def transition(self) -> Transition:
        """The transition that is told or amended, NONE where the visit as a whole is."""
        return _TRANSITIONS.get(self.telling, Transition.NONE)

    @property
    def order(self) -> tuple[int, int, int, int]:
        """The key to sort by, before the zone."""
        occurred_us = self.occurred_us
        rank = rank_in_instant(self.transition, self.visit.entered.time_us, occurred_us)
        return self.fix, self.step, occurred_us, rank


class Amended(NamedTuple):
    """The result of `amend`. visits: as they are from now on; names: the key of each by the key
    that it would have if nothing had been known; news: the events to publish, in order."""

    visits: list[Visit]
    names: dict[VisitKey, VisitKey]
    news: list[News]


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
    result.news.sort(key=by_order_and_zone)
    return result


def by_order_and_zone(one: News) -> tuple[tuple[int, int, int, int], int]:
    """Return what news of one asset are sorted by."""
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
                self._tell(Telling.RETRACTED, gone)

    def _continue(
        self, old: Visit, now: Visit, found: list[Visit], merged: Sequence[Visit]
    ) -> None:
        """Continue a known visit, perhaps with other facts. merged: those that it absorbs."""
        told_exit = old.told_exit or any(_was_told_to_end(one, now) for one in merged)
        visit = replace(
            now,
            key=old.key,
            revision=old.revision,
            told_enter=old.told_enter or not now.entered.is_silent,
            told_exit=told_exit,
            told_dwell=old.told_dwell,
            told_overspeed=old.told_overspeed,
        )
        if visit.told_enter and not old.told_enter:
            self._tell(Telling.ENTER, visit)
        parts = sum(old.overlaps(other, self._until_us) for other in found)
        is_split = self._late and parts > 1
        changes: list[Telling] = []
        if merged:
            changes.append(Telling.MERGED)
        elif old.entered.time_us != now.entered.time_us:
            changes.append(Telling.START)
        if old.end_us != now.end_us:
            if is_split:
                changes.append(Telling.SPLIT)
                visit = replace(visit, told_exit=True)
            elif not merged and (old.told_exit or old.left is not None):
                changes.append(Telling.END)
        for change in changes:
            visit = _revised(visit)
            self._tell(change, visit)
        self._settle(now.key, visit, is_end_new=old.left is None)

    def _begin(self, now: Visit) -> None:
        """Begin a visit that was not known; it may be the later part of one that is split."""
        key = unused(now.key._replace(again=0), self._used)
        visit = replace(now, key=key, told_enter=not now.entered.is_silent)
        self._tell(Telling.ENTER, visit)
        self._settle(now.key, visit, is_end_new=True)

    def _settle(self, found_key: VisitKey, visit: Visit, *, is_end_new: bool) -> None:
        """Add the facts of the visit that no event has published. is_end_new: no end of it was
        known.
        """
        if visit.dwelled is not None and not visit.told_dwell:
            visit = replace(visit, told_dwell=True)
            self._tell(Telling.DWELL, visit)
        if visit.overspeed is not None and not visit.told_overspeed:
            visit = replace(visit, told_overspeed=True)
            self._tell(Telling.OVERSPEED, visit)
        if visit.left is not None and not visit.told_exit:
            visit = replace(visit, told_exit=not visit.left.is_silent)
            if visit.told_exit or is_end_new:
                self._tell(Telling.EXIT, visit)
        self._result.visits.append(visit)
        self._result.names[found_key] = visit.key

    def _tell(self, telling: Telling, visit: Visit) -> None:
        self._result.news.append(News(telling, visit, self._late))


def _was_told_to_end(old: Visit, now: Visit) -> bool:
    """Return whether it was told that the visit ended where `now` does."""
    return old.told_exit and now.left is not None and old.end_us == now.end_us


def _revised(visit: Visit) -> Visit:
    return replace(visit, revision=visit.revision + 1)
