"""One asset's fixes in order of their own time, whatever order they arrive in, and its visits.

    history = History(asset, bench, before)
    history.recall(rows, visits, until_us, circumstances)
    revision = history.take(fix, circumstances)
    revision = history.pass_time(now_us, circumstances)
    state.apply(history.state())

This is the path of assets with late fixes. Each fix is put in its place in the order of time, and
`geofence.judging.evaluator` judges again from there, by the same rules as every other fix. So the
visits are the same for every order of arrival; only the events depend on that order.

A history may also end at an instant whose state is known, if the effect of the fixes is over by
then. `Unsettled` is raised if it is not, so that more of the past is needed.

The fixes lie in segments, each with the state before it. Judging begins with the segment of the new
fix. It ends where a segment ends in the state from which the next segment was judged before.
"""

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State, StateDelta, is_same_state
from geofence.late.amendments import (
    AnnouncedState,
    News,
    Place,
    Visit,
    VisitKey,
    amend,
    by_order_and_zone,
)
from geofence.late.segments import (
    FIXES_PER_SEGMENT,
    NO_TRANSITIONS,
    Circumstances,
    Judging,
    Segment,
    Timeline,
    joined,
    nothing_known,
)
from geofence.late.visit_keys import key_of, name, pending
from geofence.model.transitions import Inferred, Transition

_BEGUN_BEFORE = -1  # `again` of the names of visits that go on at the beginning


@dataclass(frozen=True, slots=True)
class Revision:
    """The changes that one fix makes, or several fixes in order.

    news: what to tell, in order. visits: those that are others now, or new. schedule_starts:
    TRANSITION_DTYPE, schedules that opened on the asset where it should not be, as far as that was
    not known; row, step and time_us are theirs in the order of the news. suspect: (tracker,
    time_us, seq) of fixes with whether they are suspect from now on, the new fix's own included.
    is_new: False for a fix that is known. fixes: how many fixes it is of; 0 where none brought it.
    """

    news: list[News] = field(default_factory=list[News])
    visits: list[Visit] = field(default_factory=list[Visit])
    schedule_starts: NDArray[np.void] = field(default_factory=lambda: NO_TRANSITIONS)
    suspect: dict[tuple[int, int, int], bool] = field(
        default_factory=dict[tuple[int, int, int], bool]
    )
    is_new: bool = True
    fixes: int = 0


class Unsettled(Exception):
    """The end of the judged fixes does not agree with the known state at the end of the history.

    The history is worthless from then on.
    """


class History:
    """The fixes and visits of one asset, from its first fix on or from an instant whose state is
    known.

    visits: the visits of that time, by key, retracted ones too.
    """

    def __init__(
        self,
        asset: int,
        bench: State,
        before: StateDelta | None = None,
        end: StateDelta | None = None,
    ) -> None:
        """Begin a history without fixes.

        bench: a state to work at, empty but while fixes are taken; several histories may share
        it. before, end: the asset's states at the beginning and, where the history ends before the
        asset's last fix, at the end, after one fix each; their memberships name visits by their
        keys.
        """
        self.asset = asset
        self.visits: dict[VisitKey, Visit] = {}
        self._bench = bench
        self._names: dict[VisitKey, VisitKey] = {}
        self._after = before or nothing_known(asset)  # the last fix
        self._segments = [Segment(self._after)]
        self._now = self._after
        self._end = end
        self._tail = NO_TRANSITIONS  # what happened after the last fix, without one

    def recall(
        self,
        rows: NDArray[np.void],
        visits: Iterable[Visit],
        until_us: int,
        circumstances: Circumstances,
    ) -> Revision:
        """Take in what is known already: the fixes since the beginning, and the visits.

        rows: FIX_DTYPE, in order of time and seq. visits: all that go on after the beginning, and
        those whose keys are of fixes since then. until_us: up to when it is known what happened
        without a fix, as far as something did. The revision tells what does not agree: as a rule
        nothing does; it may be that a zone has got another beginning.

        This and `take` raise Unsettled.
        """
        before, known = self._begin(visits)
        self._segments = [Segment(before, rows)]
        if self._end is not None:
            self._segments.append(Segment(self._end))
            known = self._begun_before_end(known)
        settled = self._judge_from(0, self._judging(circumstances), until_us)
        now = Timeline(self._segments, self._tail)
        found = self._visits(now, 0, settled)
        return self._compared(known, found, now.until_us)

    def catch_up(
        self,
        rows: NDArray[np.void],
        visits: Iterable[Visit],
        until_us: int,
        circumstances: Circumstances,
        *,
        judged_us: int = NO_TIMERS_US,
        more_follow: bool,
        may_disagree: bool = True,
    ) -> Revision:
        """Take in fixes since the beginning that were stored, not all of them judged as the
        asset's.

        Unlike `recall`, this publishes all that the fixes show. judged_us: up to when the asset was
        judged before, as far as that is known. more_follow: further fixes follow, and later known
        visits wait for them. may_disagree: False raises Unsettled if the asset is in other zones
        after the last fix than it was known to be, and the known visits there depend on fixes that
        follow.
        """
        before, known = self._begin(visits)
        self._segments = [Segment(before, rows)]
        settled = self._judge_from(0, self._judging(circumstances), until_us)
        now = Timeline(self._segments, self._tail)
        found = self._visits(now, 0, settled)
        known_us = max(
            [int(before.assets["newest_us"][0]), judged_us]
            + [visit.entered.time_us for visit in known if visit.left is None]
        )
        if more_follow:
            if now.until_us < judged_us and not (may_disagree or self._agrees(known)):
                raise Unsettled
            known, found = _up_to(now.until_us, known, found)
        revision = self._compared(known, found, known_us)
        schedule_starts = _at_once(self._with_names(now.schedule_starts()))
        return replace(revision, schedule_starts=schedule_starts, suspect=now.suspicions(rows))

    def _agrees(self, known: list[Visit]) -> bool:
        """Return whether the asset is in the zones after its last fix that it was known to be in
        then, and no fix that follows can tell of stays before it.
        """
        asset = self._after.assets[0]
        at_us, way_us = int(asset["newest_us"]), way_begins_us(self._after)
        if asset["suspects"] or any(way_us < one.end_us <= at_us for one in known):
            return False
        then = {one.key.zone for one in known if one.entered.time_us <= at_us < one.end_us}
        return then == set(_inside(self._after)["zone"].tolist())

    def _begin(self, visits: Iterable[Visit]) -> tuple[StateDelta, list[Visit]]:
        """Return the state to judge from, and those of the visits that go on after it."""
        self.visits = {visit.key: visit for visit in visits}
        before = self._begun_before(self._after)
        lasting, since_us = set(self._names.values()), int(before.assets["newest_us"][0])
        way_us = way_begins_us(before)
        known = [
            visit
            for visit in self.visits.values()
            if not visit.retracted
            and (visit.end_us > since_us or visit.key in lasting or _is_on_way(visit, way_us))
        ]
        return before, known

    def _begun_before_end(self, known: list[Visit]) -> list[Visit]:
        """Return those that were known to begin when the fix at the end was judged.

        A passing through on the way that goes on there is shown by a later fix.
        """
        assert self._end is not None
        end_us, way_us = int(self._end.assets["newest_us"][0]), way_begins_us(self._end)
        lasting = self._known_to_last(len(self._segments) - 1).values()
        return [
            visit
            for visit in known
            if visit in lasting or (visit.end_us <= end_us and not _is_on_way(visit, way_us))
        ]

    def _begun_before(self, state: StateDelta) -> StateDelta:
        """Return the state, its visits having names that no fix to come can give."""
        members = state.memberships.copy()
        on_record = np.ones(len(members), bool)
        for number in np.flatnonzero(members["inside"]).tolist():
            key = key_of(members[number])
            if key in self.visits and not self.visits[key].retracted:
                self._names[key._replace(again=_BEGUN_BEFORE)] = key
                members[number]["opening_again"] = _BEGUN_BEFORE
            else:
                on_record[number] = False
        members = members[on_record]
        return replace(state, memberships=members, count=np.array([len(members)]))

    def take(self, fix: np.void, circumstances: Circumstances) -> Revision:
        """Put the fix (a row of FIX_DTYPE) in its place.

        Changes after the last fix that are known already are judged again, and no others: deadlines
        wait for `pass_time`, in case another fix is under way.
        """
        fixes = np.array([fix])
        if self._in_order(fixes):
            return self._append(fixes, circumstances)
        return self._insert(fix, circumstances)

    def _insert(self, fix: np.void, circumstances: Circumstances) -> Revision:
        """Put a fix that may be late, or known, in its place."""
        number = self._segment_of(fix)
        segment = self._segments[number]
        place = _place(segment.rows, fix)
        if place < 0:
            return Revision(is_new=False, fixes=1)
        old = Timeline(list(self._segments), self._tail)
        late = number < len(self._segments) - 1 or place < len(segment.rows)
        late |= int(fix["time_us"]) < old.until_us
        rows = joined(segment.rows[:place], np.array([fix]), segment.rows[place:])
        self._segments[number] = Segment(segment.before, rows)
        settled = self._judge_from(number, self._judging(circumstances), old.tail_until_us)
        revision = replace(self._revise(number, settled, old, late=late), fixes=1)
        if late:
            return replace(revision, schedule_starts=_at_once(revision.schedule_starts))
        last = self._segments[-1]
        return self._in_order_found(revision, last.transitions, len(last.rows) - 1)

    def take_all(self, fixes: NDArray[np.void], circumstances: Circumstances) -> Iterator[Revision]:
        """Take fixes (FIX_DTYPE) in order of arrival. Fixes that are in order of time are judged
        together, which is many times faster and gives the same events. Each revision covers the
        next `Revision.fixes` fixes.
        """
        first = 0
        while first < len(fixes):
            some = fixes[first : first + FIXES_PER_SEGMENT]
            number = self._in_order(some)
            if number:
                yield self._append(some[:number], circumstances)
            else:
                yield self._insert(some[0], circumstances)
            first += max(number, 1)

    def _in_order(self, fixes: NDArray[np.void]) -> int:
        """Count the fixes at the beginning that come after all that is known, one
        after the other.
        """
        if self._end is not None or len(self._tail):
            return 0
        newest = (int(self._after.assets["newest_us"][0]), int(self._after.assets["newest_seq"][0]))
        time_us, seq = fixes["time_us"], fixes["seq"]
        before_us, before_seq = np.append(newest[0], time_us[:-1]), np.append(newest[1], seq[:-1])
        beyond = (time_us > before_us) | ((time_us == before_us) & (seq > before_seq))
        return len(fixes) if beyond.all() else int(np.argmin(beyond))

    def _append(self, fixes: NDArray[np.void], circumstances: Circumstances) -> Revision:
        old = Timeline(list(self._segments), self._tail)
        judging, last = self._judging(circumstances), self._segments[-1]
        more = Segment(self._after, fixes)
        self._after = self._now = judging.judge(more)
        if len(last.rows) < FIXES_PER_SEGMENT:
            self._segments[-1] = last.followed_by(more)
        else:
            self._segments.append(more)
        if not (len(more.transitions) or more.suspect.any() or len(more.healed)):
            return Revision(fixes=len(fixes))
        revision = self._revise(len(old.segments) - 1, len(self._segments), old, late=False)
        revision = replace(revision, fixes=len(fixes))
        return self._in_order_found(revision, more.transitions, 0)

    def pass_time(self, now_us: int, circumstances: Circumstances) -> Revision:
        """Judge what has happened by now without a fix."""
        last = len(self._segments) - 1
        old = Timeline(list(self._segments), self._tail)
        self._tail, self._now = self._judging(circumstances).tail(self._after, now_us)
        revision = self._revise(last, last + 1, old, late=False)
        return self._in_order_found(revision, self._tail, -1)

    def state(self) -> StateDelta:
        """Return the present state for `State.apply`: its memberships name visits by their keys."""
        return self._named(self._now)

    def announced(self) -> dict[VisitKey, AnnouncedState]:
        """Return the published facts of open visits that do not hold now."""
        found: dict[VisitKey, AnnouncedState] = {}
        for member in _inside(self._now):
            visit = self.visits[self._names[key_of(member)]]
            unheld_dwell = visit.told_dwell > bool(member["dwelled"])
            unheld_overspeed = visit.told_overspeed > bool(member["overspeed"])
            if visit.told_exit or unheld_dwell or unheld_overspeed:
                found[visit.key] = AnnouncedState(
                    visit.revision,
                    exit=visit.told_exit,
                    dwell=visit.told_dwell,
                    overspeed=visit.told_overspeed,
                )
        return found

    def used_names(self) -> set[VisitKey]:
        """Return the keys of visits that fixes have opened which may, as it stands now, open
        others.
        """
        opening = {place[:3] for place in pending(self._now)}
        return {key for key in self.visits if (key.tracker, key.time_us, key.seq) in opening}

    def landmarks(self) -> Iterator[StateDelta]:
        """Yield states on the way from which another history may begin, in order of time."""
        for segment in self._segments[1:]:
            if segment.before is not self._end and not segment.before.assets["suspects"][0]:
                yield self._named(segment.before)

    def _named(self, state: StateDelta) -> StateDelta:
        members = state.memberships.copy()
        for number in np.flatnonzero(members["inside"]).tolist():
            name(members[number], self._names[key_of(members[number])])
        return replace(state, memberships=members)

    def _judging(self, circumstances: Circumstances) -> "Judging":
        return Judging(self._bench, self.asset, circumstances)

    def _segment_of(self, fix: np.void) -> int:
        """Return the last segment that begins at or before the fix. Only the last may
        have no rows.
        """
        filled = len(self._segments) - (not len(self._segments[-1].rows))
        found = bisect_right(
            self._segments, _key(fix), 1, max(1, filled), key=lambda one: _key(one.rows[0])
        )
        return found - 1

    def _judge_from(self, number: int, judging: "Judging", until_us: int) -> int:
        """Judge segments until nothing is other than before. Returns the first that stays."""
        while True:
            segment = self._segments[number]
            if len(segment.rows) > 2 * FIXES_PER_SEGMENT:
                head, rest = np.split(segment.rows, [FIXES_PER_SEGMENT])
                segment = Segment(segment.before, head)
                self._segments[number : number + 1] = [segment, Segment(_UNKNOWN, rest)]
            after = judging.judge(segment)
            number += 1
            if number == len(self._segments):
                self._after = after
                self._tail, self._now = judging.tail(after, until_us)
                return number
            following = self._segments[number]
            if following.before is not _UNKNOWN and is_same_state(after, following.before):
                return number
            if following.before is self._end:
                raise Unsettled
            self._segments[number] = Segment(after, following.rows)

    def _revise(self, first: int, settled: int, old: "Timeline", *, late: bool) -> Revision:
        now = Timeline(self._segments, self._tail)
        old_settled = settled - (len(now.segments) - len(old.segments))
        suspect = now.suspicions_since(old, first, settled, old_settled)
        zones = now.changed_zones(old, first, settled, old_settled)
        if not zones:
            return Revision(suspect=suspect)
        found, names = (
            self._visits(now, first, settled, zones),
            old.begun(first, old_settled, zones),
        )
        known = [self.visits[self._names.pop(name)] for name in names]
        revision = self._amended(known, found, old.until_us, late=late)
        schedule_starts = now.schedule_starts_since(old, first, settled, old_settled)
        return replace(revision, schedule_starts=self._with_names(schedule_starts), suspect=suspect)

    def _in_order_found(
        self, revision: Revision, transitions: NDArray[np.void], first: int
    ) -> Revision:
        """Return the revision of fixes in order, told in the order of the transitions that they
        make.

        transitions: TRANSITION_DTYPE; first: the row of the first of the fixes.
        """
        revision.schedule_starts["row"] -= first
        if not revision.news:
            return revision
        found: dict[tuple[VisitKey | None, int], tuple[int, int]] = {}
        for one in transitions[transitions["row"] >= first]:
            name = (self._names.get(key_of(one)), int(one["transition"]))
            found[name] = (int(one["row"]) - first, int(one["step"]))
        news: list[News] = []
        for one in revision.news:
            fix, step = found.get((one.visit.key, one.transition), (0, 0))
            news.append(replace(one, fix=fix, step=step))
        return replace(revision, news=sorted(news, key=by_order_and_zone))

    def _with_names(self, schedule_starts: NDArray[np.void]) -> NDArray[np.void]:
        """Return the schedule starts, those within a visit naming it by its key."""
        for number in range(len(schedule_starts)):
            key = key_of(schedule_starts[number])
            name(schedule_starts[number], self._names.get(key, key))
        return schedule_starts

    def _amended(
        self, known: list[Visit], found: list[Visit], until_us: int, *, late: bool
    ) -> Revision:
        amended = amend(known, found, self.visits, until_us=until_us, late=late)
        changed = [visit for visit in amended.visits if self.visits.get(visit.key) != visit]
        self.visits |= {visit.key: visit for visit in changed}
        self._names |= amended.names
        return Revision(amended.news, changed)

    def _compared(self, known: list[Visit], found: list[Visit], until_us: int) -> Revision:
        """Compare the visits that were found with those that were read back."""
        stored = dict(self.visits)
        revision = self._amended(known, found, until_us, late=True)
        changed = [one for one in revision.visits if not _is_same_record(one, stored.get(one.key))]
        return replace(revision, visits=changed)

    def _visits(
        self,
        timeline: "Timeline",
        first: int,
        settled: int,
        zones: Container[int] | None = None,
    ) -> list[Visit]:
        """Return the visits in these zones that the segments first..settled-1 bear on, each to its
        end.

        zones: None for all. Their keys are those that follow from the fixes alone. What comes after
        a segment that settles is what was known to come.
        """
        lasting = self._lasting(timeline.segments[first].before.memberships, zones)
        ended: list[Visit] = []
        for transitions in timeline.parts(first, settled):
            for transition in transitions:
                zone = int(transition["zone"])
                if zones is not None and zone not in zones:
                    continue
                if transition["transition"] == Transition.ENTER:
                    lasting[zone] = _opened(transition)
                elif zone not in lasting:
                    continue
                elif transition["transition"] == Transition.EXIT:
                    ended.append(replace(lasting.pop(zone), left=_place_of(transition)))
                elif transition["transition"] == Transition.DWELL:
                    lasting[zone] = replace(lasting[zone], dwelled=_place_of(transition))
                elif transition["transition"] == Transition.OVERSPEED:
                    lasting[zone] = replace(lasting[zone], overspeed=_place_of(transition))
        known = self._known_to_last(settled) if lasting else {}
        return [*ended, *(_to_its_end(visit, known) for visit in lasting.values())]

    def _known_to_last(self, number: int) -> dict[int, Visit]:
        """Return, by zone, the known visits that the asset is in when a segment begins."""
        if number == len(self._segments):
            return {}
        before = self._segments[number].before
        is_end = before is self._end
        keys = map(key_of, _inside(before))
        named = (key if is_end else self._names[key] for key in keys)
        return {key.zone: self.visits[key] for key in named if key in self.visits}

    def _lasting(
        self, memberships: NDArray[np.void], zones: Container[int] | None
    ) -> dict[int, Visit]:
        """Return the visits that are open in a state, as they were then."""
        found: dict[int, Visit] = {}
        for member in memberships[memberships["inside"]]:
            key = key_of(member)
            if zones is not None and key.zone not in zones:
                continue
            visit = self.visits[self._names[key]]
            dwelled = visit.dwelled if member["dwelled"] else None
            overspeed = visit.overspeed if member["overspeed"] else None
            found[key.zone] = replace(
                visit, key=key, left=None, dwelled=dwelled, overspeed=overspeed
            )
        return found


def way_begins_us(before: StateDelta) -> int:
    """Return the time from which the next good fix may show a passing through: where the way to it
    begins.

    Fixes that changed nothing may lie between.
    """
    asset = before.assets[0]
    if not asset["joined"]:
        return int(asset["newest_us"])
    return int(asset["fine" if asset["bridged"] else "good"]["time_us"])


def _is_on_way(visit: Visit, way_us: int) -> bool:
    left = visit.left
    return left is not None and left.inferred == Inferred.SEGMENT and left.time_us > way_us


def _up_to(end_us: int, known: list[Visit], found: list[Visit]) -> tuple[list[Visit], list[Visit]]:
    """Return both without what lies beyond the end: a visit that lasts then goes on as it was known
    to.

    A known one that is open goes on from it, wherever it began: an asset is in a zone once.
    """
    beyond = {
        one.key.zone: one for one in known if one.left is None and one.entered.time_us > end_us
    }
    known = [one for one in known if one.entered.time_us <= end_us]
    lasting = {one.key.zone: one for one in known if one.end_us > end_us}
    result: list[Visit] = []
    for visit in found:
        zone = visit.key.zone
        if visit.left is None and zone in lasting:
            visit = replace(visit, left=lasting[zone].left)
        elif visit.left is None and zone in beyond:
            known.append(beyond[zone])
        result.append(visit)
    return known, result


def _to_its_end(visit: Visit, known: Mapping[int, Visit]) -> Visit:
    """Return a visit that lasts where judging ended, with what is known of its zone's
    afterwards.
    """
    other = known.get(visit.key.zone)
    if other is None:
        return visit
    return replace(
        visit,
        left=other.left,
        dwelled=visit.dwelled or other.dwelled,
        overspeed=visit.overspeed or other.overspeed,
    )


def _is_same_record(visit: Visit, stored: Visit | None) -> bool:
    """Return whether a visit that was read back is as it is now, in all that is
    stored of visits.
    """
    if stored is None:
        return False
    left, as_stored = visit.left, stored.left
    if left is not None and as_stored is not None:
        left = left._replace(accuracy_m=as_stored.accuracy_m, speed_mps=as_stored.speed_mps)
    return left == as_stored and _other_record(visit) == _other_record(stored)


def _other_record(visit: Visit) -> tuple[object, ...]:
    entered, dwelled, overspeed = visit.entered, visit.dwelled, visit.overspeed
    told = (visit.told_enter, visit.told_exit, visit.told_dwell, visit.told_overspeed)
    return (
        *(entered.time_us, entered.lat, entered.lon, entered.cause, entered.inferred),
        *(visit.version, visit.revision, visit.retracted, *told),
        None if dwelled is None else dwelled.time_us,
        None if overspeed is None else (overspeed.time_us, overspeed.lat, overspeed.lon),
    )


def _inside(state: StateDelta) -> NDArray[np.void]:
    return state.memberships[state.memberships["inside"]]


_UNKNOWN = nothing_known(0)


def _key(row: Any) -> tuple[int, int]:
    return int(row["time_us"]), int(row["seq"])


def _place(rows: NDArray[np.void], fix: np.void) -> int:
    """Return the row at which the fix belongs; -1 where there is a fix of its time and seq."""
    times_us: NDArray[np.int64] = rows["time_us"]
    first = int(np.searchsorted(times_us, int(fix["time_us"])))
    for place in range(first, len(rows)):
        if _key(rows[place]) >= _key(fix):
            return -1 if _key(rows[place]) == _key(fix) else place
    return len(rows)


def _at_once(schedule_starts: NDArray[np.void]) -> NDArray[np.void]:
    """Return the starts as of one instant of judgement: a late fix, or none, made them known."""
    schedule_starts["row"] = schedule_starts["step"] = 0
    return schedule_starts


def _opened(transition: np.void) -> Visit:
    return Visit(
        key=key_of(transition),
        version=int(transition["opening_version"]),
        entered=_place_of(transition),
        returning=bool(transition["returning"]),
    )


def _place_of(transition: np.void) -> Place:
    accuracy_m, speed_mps = float(transition["accuracy_m"]), float(transition["speed_mps"])
    return Place(
        time_us=int(transition["time_us"]),
        lat=float(transition["lat"]),
        lon=float(transition["lon"]),
        tracker=int(transition["tracker"]),
        fix_us=int(transition["fix_us"]),
        fix_seq=int(transition["fix_seq"]),
        accuracy_m=None if np.isnan(accuracy_m) else accuracy_m,
        speed_mps=None if np.isnan(speed_mps) else speed_mps,
        cause=int(transition["cause"]),
        inferred=int(transition["inferred"]),
    )
