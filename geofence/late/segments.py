"""An asset's fixes in segments, each with the state before it and the result of judging it."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate
from geofence.judging.state import State, StateDelta, blank_assets
from geofence.late.amendments import VisitKey
from geofence.late.visit_keys import key_of
from geofence.model.no_fix_events import Agenda
from geofence.model.records import MEMBERSHIP_DTYPE, PLACE_DTYPE
from geofence.model.rules import Gates
from geofence.model.transitions import TRANSITION_DTYPE, Transition
from geofence.zones.index import ZoneIndex
from geofence.zones.versions import MIN_TIME_US
from telemetry.fix import FIX_DTYPE, FixBatch, Flag

FIXES_PER_SEGMENT = 64
NO_TRANSITIONS = np.empty(0, TRANSITION_DTYPE)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """The rules and limits by which fixes are judged: see `geofence.judging.evaluator.evaluate`.

    agenda: all changes of the asset's trackers, and all schedule starts, in the time that the
    history covers.
    """

    index: ZoneIndex
    gates: Gates | None = None
    agenda: Agenda | None = None


@dataclass(slots=True)
class Segment:
    """Some fixes in order of time, and the result of judging them.

    rows: FIX_DTYPE. before: the state from which they are judged. transitions, suspect, healed: the
    result (see `geofence.judging.evaluator.Evaluation`).
    """

    before: StateDelta
    rows: NDArray[np.void] = field(default_factory=lambda: np.empty(0, FIX_DTYPE))
    transitions: NDArray[np.void] = field(default_factory=lambda: NO_TRANSITIONS)
    suspect: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, np.bool_))
    healed: NDArray[np.void] = field(default_factory=lambda: np.empty(0, PLACE_DTYPE))

    def followed_by(self, other: "Segment") -> "Segment":
        return Segment(
            self.before,
            joined(self.rows, other.rows),
            joined(self.transitions, other.transitions),
            joined(self.suspect, other.suspect),
            joined(self.healed, other.healed),
        )

    def suspects(self) -> NDArray[np.void]:
        return self.rows[self.suspect]


@dataclass(frozen=True, slots=True)
class Timeline:
    """Segments, and what happened after the last fix."""

    segments: list[Segment]
    tail: NDArray[np.void]

    @property
    def until_us(self) -> int:
        """The instant of the last fix, or of what is known to have happened after it."""
        last = self.segments[-1]
        before_us = int(last.before.assets["newest_us"][0])
        return max(int(last.rows["time_us"].max(initial=before_us)), self.tail_until_us)

    @property
    def tail_until_us(self) -> int:
        return int(self.tail["time_us"].max(initial=NO_TIMERS_US))

    def parts(self, first: int, settled: int) -> Iterator[NDArray[np.void]]:
        """Yield the transitions of the segments first..settled-1; the tail's go with the last
        segment.
        """
        last = len(self.segments) - 1
        for number in range(first, min(settled, last)):
            yield self.segments[number].transitions
        if settled > last:
            yield joined(self.segments[last].transitions, self.tail)

    def begun(self, first: int, settled: int, zones: Container[int]) -> list[VisitKey]:
        """Return the keys of the visits that are open when segment `first` begins or begin later.

        zones: only visits in these zones.
        """
        members = self.segments[first].before.memberships
        names = [key_of(member) for member in members[members["inside"]]]
        for transitions in self.parts(first, settled):
            names += map(key_of, transitions[transitions["transition"] == Transition.ENTER])
        return [name for name in names if name.zone in zones]

    def changed_zones(
        self, old: "Timeline", first: int, settled: int, old_settled: int
    ) -> set[int]:
        """Return the zones whose transitions differ from those of the old timeline."""
        was, now = old._by_zone(first, old_settled), self._by_zone(first, settled)
        return {zone for zone in was.keys() | now.keys() if was.get(zone) != now.get(zone)}

    def _by_zone(self, first: int, settled: int) -> dict[int, list[bytes]]:
        """Return the transitions of each zone as bytes, without row and step."""
        found: dict[int, list[bytes]] = defaultdict(list)
        for transitions in self.parts(first, settled):
            if len(transitions):
                transitions = transitions.copy()
                transitions["row"] = transitions["step"] = 0
                for row in transitions:
                    found[int(row["zone"])].append(row.tobytes())
        return found

    def schedule_starts_since(
        self, old: "Timeline", first: int, settled: int, old_settled: int
    ) -> NDArray[np.void]:
        """Return the schedule starts that the old timeline does not have."""
        before = old._schedule_starts(first, old_settled)
        now = self._schedule_starts(first, settled)
        new = [not np.any(before[["zone", "time_us"]] == one[["zone", "time_us"]]) for one in now]
        return now[np.array(new, bool)]

    def _schedule_starts(self, first: int, settled: int) -> NDArray[np.void]:
        found = joined(*self.parts(first, settled))
        return found[found["transition"] == Transition.SCHEDULE]

    def suspicions_since(
        self, old: "Timeline", first: int, settled: int, old_settled: int
    ) -> dict[tuple[int, int, int], bool]:
        """Return the fixes whose flag `suspect` changes, and the new suspect ones."""
        before, now = old._suspects(first, old_settled), self._suspects(first, settled)
        return dict.fromkeys(now - before, True) | dict.fromkeys(before - now, False)

    def schedule_starts(self) -> NDArray[np.void]:
        """Return all schedule starts."""
        return self._schedule_starts(0, len(self.segments))

    def suspicions(self, rows: NDArray[np.void]) -> dict[tuple[int, int, int], bool]:
        """Return the fixes whose stored flag `suspect` is wrong, with the right flag.

        rows: the stored fixes of the segments. Fixes from before them are included if they healed.
        """
        was = set(_identities(rows[rows["flags"] & Flag.SUSPECT != 0]))
        now = self._suspects(0, len(self.segments))
        healed = {one for segment in self.segments for one in _identities(segment.healed)}
        earlier = healed - set(_identities(rows))
        return dict.fromkeys(now - was, True) | dict.fromkeys((was - now) | earlier, False)

    def _suspects(self, first: int, settled: int) -> set[tuple[int, int, int]]:
        """Return the suspect fixes of some segments, and of the one before, which they may heal."""
        segments = self.segments[max(first - 1, 0) : settled + 1]
        suspects = [segment.suspects() for segment in segments if segment.suspect.any()]
        healed = [segment.healed for segment in segments if len(segment.healed)]
        found = {one for rows in suspects for one in _identities(rows)}
        return found - {one for rows in healed for one in _identities(rows)}


@dataclass(frozen=True, slots=True)
class Judging:
    """The evaluator and index that judge segments."""

    working_state: State
    asset: int
    circumstances: Circumstances

    def judge(self, segment: Segment) -> StateDelta:
        """Fill the segment's transitions, suspect and healed. Returns the state after it."""
        evaluation = self._evaluated(segment.before, FixBatch(segment.rows), NO_TIMERS_US)
        segment.transitions, segment.suspect = evaluation.transitions, evaluation.suspect
        segment.healed = evaluation.healed
        return evaluation.delta if len(segment.rows) else segment.before

    def tail(self, state: StateDelta, until_us: int) -> tuple[NDArray[np.void], StateDelta]:
        """Return what has happened up to then after the last fix, and the state then."""
        if until_us == NO_TIMERS_US:
            return NO_TRANSITIONS, replace(state, ticked_us=MIN_TIME_US, mark=None)
        evaluation = self._evaluated(state, FixBatch.empty(), until_us)
        own = evaluation.delta if len(evaluation.delta.assets) else state
        return evaluation.transitions, replace(own, ticked_us=MIN_TIME_US, mark=None)

    def _evaluated(self, state: StateDelta, batch: FixBatch, now_us: int) -> Evaluation:
        given = self.circumstances
        self.working_state.apply(state)
        try:
            return evaluate(
                batch, self.working_state, given.index, now_us, given.gates, given.agenda
            )
        finally:
            self.working_state.forget(self.asset)


def joined(*parts: NDArray[Any]) -> NDArray[Any]:
    """Return the parts, of one dtype, one after the other; `np.concatenate` compares the dtypes
    field by field, which takes a hundred times as long as copying some rows.
    """
    filled = [part for part in parts if len(part)] or [parts[0]]
    if len(filled) == 1:
        return filled[0]
    rows, end = np.empty(sum(map(len, filled)), filled[0].dtype), 0
    for part in filled:
        rows[end : end + len(part)] = part
        end += len(part)
    return rows


def nothing_known(asset: int) -> StateDelta:
    """Return the state of an asset without a fix."""
    none = np.empty(0, MEMBERSHIP_DTYPE)
    return StateDelta(blank_assets(asset, 1), np.zeros(1, np.int64), none)


def segment_of(segments: Sequence[Segment], fix: np.void) -> int:
    """Return the number of the last segment that begins at or before the fix.

    Only the last segment may have no rows.
    """
    filled = len(segments) - (not len(segments[-1].rows))
    found = bisect_right(
        segments, _order(fix), 1, max(1, filled), key=lambda one: _order(one.rows[0])
    )
    return found - 1


def place_of(rows: NDArray[np.void], fix: np.void) -> int:
    """Return the row at which the fix belongs; -1 where there is a fix of its time and seq."""
    times_us: NDArray[np.int64] = rows["time_us"]
    first = int(np.searchsorted(times_us, int(fix["time_us"])))
    for place in range(first, len(rows)):
        if _order(rows[place]) >= _order(fix):
            return -1 if _order(rows[place]) == _order(fix) else place
    return len(rows)


def _order(row: Any) -> tuple[int, int]:
    return int(row["time_us"]), int(row["seq"])


def count_beyond(state: StateDelta, fixes: NDArray[np.void]) -> int:
    """Count the first fixes that are in order of time and come after the newest of the state."""
    newest_us, newest_seq = (int(state.assets[name][0]) for name in ("newest_us", "newest_seq"))
    time_us, seq = fixes["time_us"], fixes["seq"]
    before_us, before_seq = np.append(newest_us, time_us[:-1]), np.append(newest_seq, seq[:-1])
    beyond = (time_us > before_us) | ((time_us == before_us) & (seq > before_seq))
    return len(fixes) if beyond.all() else int(np.argmin(beyond))


def _identities(rows: NDArray[np.void]) -> Iterable[tuple[int, int, int]]:
    return zip(*(rows[name].tolist() for name in ("tracker", "time_us", "seq")), strict=True)
