"""One asset's fixes in order of their own time, whatever order they arrive in, and its visits.

    history = History(asset, working_state, before)
    history.recall(rows, visits, until_us, circumstances)
    revision = history.take(fix, circumstances)
    revision = history.pass_time(now_us, circumstances)
    state.apply(history.state())

This is the path of assets with late fixes. Each fix is put in its place in the order of time, and
`geofence.judging.evaluator` judges again from there, by the same rules as every other fix. So the
visits are the same for every order of arrival; only the events depend on that order.

A history may also end at an instant whose state is known, if the effect of the fixes is over by
then. `Unsettled` is raised if it is not, so that more of the past is needed.

`derived_visits` works out the visits that follow from the fixes, `known_visits` those that were
known before, and `amendments` compares the two.

The fixes lie in segments, each with the state before it. Judging begins with the segment of the new
fix. It ends where a segment ends in the state from which the next segment was judged before.
"""

from collections.abc import Container, Iterable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US
from geofence.judging.state import State, StateDelta, is_same_state
from geofence.late.amendments import AnnouncedState, Visit, VisitKey, amend
from geofence.late.derived_visits import follow, inside, open_visits, to_its_end
from geofence.late.known_visits import (
    agree,
    going_on,
    is_on_way,
    is_same_record,
    up_to,
    way_begins_us,
    with_keys_of_before,
)
from geofence.late.revision import Revision, at_once, in_order_of
from geofence.late.segments import (
    FIXES_PER_SEGMENT,
    NO_TRANSITIONS,
    Circumstances,
    Judging,
    Segment,
    Timeline,
    count_beyond,
    joined,
    nothing_known,
    place_of,
    segment_of,
)
from geofence.late.visit_keys import key_of, pending_first_fixes, set_key


class Unsettled(Exception):
    """The end of the judged fixes does not agree with the known state at the end of the history.

    The history is worthless from then on.
    """


class History:
    """The fixes and visits of one asset, from its first fix on or from an instant whose state is
    known.

    visits: the visits of that time by stable key, retracted ones too. The stable key of a visit is
    stored and published. After a late fix the fixes alone may give the same visit another key.
    """

    def __init__(
        self,
        asset: int,
        working_state: State,
        before: StateDelta | None = None,
        end: StateDelta | None = None,
    ) -> None:
        """Begin a history without fixes.

        working_state: a state that is filled only while fixes are judged; histories may share
        it. before, end: the asset's states at the beginning and, where the history ends before the
        asset's last fix, at the end, after one fix each; their memberships
        have the stable keys of visits.
        """
        self.asset = asset
        self.visits: dict[VisitKey, Visit] = {}
        self._working_state = working_state
        self._stable_keys: dict[VisitKey, VisitKey] = {}
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
        those whose first fix is one of the rows. until_us: the time up to which changes without a
        fix have been published. As a rule the revision is empty. It is not where the stored visits
        differ from what follows from the rows, for example because a zone's past was changed.

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
        """Take in stored fixes since the beginning, some of which were not judged as the asset's.

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
            if now.until_us < judged_us and not (may_disagree or agree(self._after, known)):
                raise Unsettled
            known, found = up_to(now.until_us, known, found)
        revision = self._compared(known, found, known_us)
        schedule_starts = at_once(self._with_stable_keys(now.schedule_starts()))
        return replace(revision, schedule_starts=schedule_starts, suspect=now.suspicions(rows))

    def _begin(self, visits: Iterable[Visit]) -> tuple[StateDelta, list[Visit]]:
        """Return the state to judge from, and the visits that go on after it."""
        self.visits = {visit.key: visit for visit in visits}
        before = with_keys_of_before(self._after, self.visits, self._stable_keys)
        return before, going_on(self.visits.values(), before, set(self._stable_keys.values()))

    def _begun_before_end(self, known: list[Visit]) -> list[Visit]:
        """Return the known visits that began before the end of the history.

        A passing through on the way that goes on there is left out: a later fix shows it.
        """
        assert self._end is not None
        end_us, way_us = int(self._end.assets["newest_us"][0]), way_begins_us(self._end)
        lasting = self._known_to_last(len(self._segments) - 1).values()
        return [
            visit
            for visit in known
            if visit in lasting or (visit.end_us <= end_us and not is_on_way(visit, way_us))
        ]

    def take(self, fix: np.void, circumstances: Circumstances) -> Revision:
        """Put the fix (a row of FIX_DTYPE) in its place.

        Changes after the last fix that are known already are judged again, and no others: deadlines
        wait for `pass_time`, in case another fix is under way.
        """
        fixes = np.array([fix])
        if self._count_in_order(fixes):
            return self._append(fixes, circumstances)
        return self._insert(fix, circumstances)

    def _insert(self, fix: np.void, circumstances: Circumstances) -> Revision:
        """Put a fix that may be late, or known, in its place."""
        number = segment_of(self._segments, fix)
        segment = self._segments[number]
        place = place_of(segment.rows, fix)
        if place < 0:
            return Revision(is_new=False, fixes=1)
        old = Timeline(list(self._segments), self._tail)
        late = number < len(self._segments) - 1 or place < len(segment.rows)
        late |= int(fix["time_us"]) < old.until_us
        rows = joined(segment.rows[:place], np.array([fix]), segment.rows[place:])
        self._segments[number] = Segment(segment.before, rows)
        # Before a fix in order lies all that is known; what falls due by it waits for the next one.
        until_us = old.tail_until_us if late else NO_TIMERS_US
        settled = self._judge_from(number, self._judging(circumstances), until_us)
        revision = replace(self._revise(number, settled, old, late=late), fixes=1)
        if late:
            return replace(revision, schedule_starts=at_once(revision.schedule_starts))
        last = self._segments[-1]
        return in_order_of(revision, last.transitions, len(last.rows) - 1, self._stable_keys)

    def take_all(self, fixes: NDArray[np.void], circumstances: Circumstances) -> Iterator[Revision]:
        """Take fixes (FIX_DTYPE) in order of arrival. Fixes that are in order of time are judged
        together, which is many times faster and gives the same events. Each revision covers the
        next `Revision.fixes` fixes.
        """
        first = 0
        while first < len(fixes):
            some = fixes[first : first + FIXES_PER_SEGMENT]
            number = self._count_in_order(some)
            if number:
                yield self._append(some[:number], circumstances)
            else:
                yield self._insert(some[0], circumstances)
            first += max(number, 1)

    def _count_in_order(self, fixes: NDArray[np.void]) -> int:
        """Count the first fixes that are in order of time and come after everything known."""
        if self._end is not None or len(self._tail):
            return 0
        return count_beyond(self._after, fixes)

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
        return in_order_of(revision, more.transitions, 0, self._stable_keys)

    def pass_time(self, now_us: int, circumstances: Circumstances) -> Revision:
        """Judge what has happened by now without a fix."""
        last = len(self._segments) - 1
        old = Timeline(list(self._segments), self._tail)
        self._tail, self._now = self._judging(circumstances).tail(self._after, now_us)
        revision = self._revise(last, last + 1, old, late=False)
        return in_order_of(revision, self._tail, -1, self._stable_keys)

    def state(self) -> StateDelta:
        """Return the present state for `State.apply`, with the stable keys of visits."""
        return self._state_with_stable_keys(self._now)

    def announced(self) -> dict[VisitKey, AnnouncedState]:
        """Return the published facts of open visits that do not hold now."""
        found: dict[VisitKey, AnnouncedState] = {}
        for member in inside(self._now):
            visit = self.visits[self._stable_keys[key_of(member)]]
            unheld_dwell = visit.dwell_announced > bool(member["dwelled"])
            unheld_overspeed = visit.overspeed_announced > bool(member["overspeed"])
            if visit.exit_announced or unheld_dwell or unheld_overspeed:
                found[visit.key] = AnnouncedState(
                    visit.revision,
                    exit=visit.exit_announced,
                    dwell=visit.dwell_announced,
                    overspeed=visit.overspeed_announced,
                )
        return found

    def used_names(self) -> set[VisitKey]:
        """Return the keys of visits whose first fix may open another visit later."""
        first_fixes = {place[:3] for place in pending_first_fixes(self._now)}
        return {key for key in self.visits if (key.tracker, key.time_us, key.seq) in first_fixes}

    def landmarks(self) -> Iterator[StateDelta]:
        """Yield states on the way from which another history may begin, in order of time."""
        for segment in self._segments[1:]:
            if segment.before is not self._end and not segment.before.assets["suspects"][0]:
                yield self._state_with_stable_keys(segment.before)

    def _state_with_stable_keys(self, state: StateDelta) -> StateDelta:
        members = state.memberships.copy()
        for number in np.flatnonzero(members["inside"]).tolist():
            set_key(members[number], self._stable_keys[key_of(members[number])])
        return replace(state, memberships=members)

    def _judging(self, circumstances: Circumstances) -> Judging:
        return Judging(self._working_state, self.asset, circumstances)

    def _judge_from(self, number: int, judging: Judging, until_us: int) -> int:
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

    def _revise(self, first: int, settled: int, old: Timeline, *, late: bool) -> Revision:
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
        known = [self.visits[self._stable_keys.pop(name)] for name in names]
        revision = self._amended(known, found, old.until_us, late=late)
        schedule_starts = now.schedule_starts_since(old, first, settled, old_settled)
        return replace(
            revision, schedule_starts=self._with_stable_keys(schedule_starts), suspect=suspect
        )

    def _with_stable_keys(self, schedule_starts: NDArray[np.void]) -> NDArray[np.void]:
        """Return the schedule starts; those within a visit have its stable key."""
        for number in range(len(schedule_starts)):
            key = key_of(schedule_starts[number])
            set_key(schedule_starts[number], self._stable_keys.get(key, key))
        return schedule_starts

    def _amended(
        self, known: list[Visit], found: list[Visit], until_us: int, *, late: bool
    ) -> Revision:
        amended = amend(known, found, self.visits, until_us=until_us, late=late)
        changed = [visit for visit in amended.visits if self.visits.get(visit.key) != visit]
        self.visits |= {visit.key: visit for visit in changed}
        self._stable_keys |= amended.names
        return Revision(amended.announcements, changed)

    def _compared(self, known: list[Visit], found: list[Visit], until_us: int) -> Revision:
        """Compare the visits that were found with those that were read back."""
        stored = dict(self.visits)
        revision = self._amended(known, found, until_us, late=True)
        changed = [one for one in revision.visits if not is_same_record(one, stored.get(one.key))]
        return replace(revision, visits=changed)

    def _visits(
        self,
        timeline: Timeline,
        first: int,
        settled: int,
        zones: Container[int] | None = None,
    ) -> list[Visit]:
        """Return the visits in these zones that the segments first..settled-1 bear on, each to its
        end.

        zones: None for all. Their keys are those that follow from the fixes alone. Behind a segment
        that settles nothing changes: a visit that is open there ends as it was known to.
        """
        opened = open_visits(timeline.segments[first].before, self.visits, self._stable_keys, zones)
        ended = follow(timeline.parts(first, settled), opened, zones)
        known = self._known_to_last(settled) if opened else {}
        return [*ended, *(to_its_end(visit, known) for visit in opened.values())]

    def _known_to_last(self, number: int) -> dict[int, Visit]:
        """Return, by zone, the known visits that the asset is in when a segment begins."""
        if number == len(self._segments):
            return {}
        before = self._segments[number].before
        is_end = before is self._end
        keys = map(key_of, inside(before))
        stable = (key if is_end else self._stable_keys[key] for key in keys)
        return {key.zone: self.visits[key] for key in stable if key in self.visits}


_UNKNOWN = nothing_known(0)
