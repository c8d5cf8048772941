"""The assets to which a tracker was assigned, by time."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.zones.versions import MAX_TIME_US


class AssignmentSpan(NamedTuple):
    """[from_us, to_us), and the number of the other one that it is about."""

    from_us: int
    to_us: int
    other: int


class Spans:
    """The spans of each owner, which never overlap. Nearly all owners have one.

    The only span of an owner stands in arrays, which are small and are looked up for many owners at
    once; those of the few that have more stand in lists.

    from_us, to_us, other: of owners 0 to n - 1, (n,); `other` is -1 where an owner has no span, or
    where it `is_several`. last_from_us: when the last one began.
    """

    def __init__(self) -> None:
        self.from_us = np.empty(0, np.int64)
        self.to_us = np.empty(0, np.int64)
        self.other = np.empty(0, np.int32)
        self.is_several = np.empty(0, bool)
        self.last_from_us = np.empty(0, np.int64)
        self._several: dict[int, list[AssignmentSpan]] = {}

    def put(self, owner: int, span: AssignmentSpan) -> bool:
        """Add a span; what it overlaps was known of it before, and goes.

        Returns whether none began there.
        """
        known = self.of(owner)
        begins_there = any(known_span.from_us == span.from_us for known_span in known)
        spans = [
            known_span
            for known_span in known
            if known_span.to_us <= span.from_us or span.to_us <= known_span.from_us
        ]
        spans.append(span)
        self.hold(owner + 1)
        self.last_from_us[owner] = max(known_span.from_us for known_span in spans)
        if len(spans) == 1:
            self.from_us[owner], self.to_us[owner], self.other[owner] = span
            self.is_several[owner] = False
            self._several.pop(owner, None)
        else:
            self.other[owner], self.is_several[owner] = -1, True
            self._several[owner] = sorted(spans)
        return not begins_there

    def of(self, owner: int) -> list[AssignmentSpan]:
        """Return the spans in order."""
        if owner in self._several:
            return self._several[owner]
        if owner >= len(self.other) or self.other[owner] < 0:
            return []
        return [
            AssignmentSpan(int(self.from_us[owner]), int(self.to_us[owner]), int(self.other[owner]))
        ]

    def ended(self) -> Iterator[tuple[int, AssignmentSpan]]:
        """Return the spans that have an end, with their owners."""
        single = np.flatnonzero((self.other >= 0) & (self.to_us != MAX_TIME_US)).tolist()
        spans = ((owner, span) for owner in (*single, *self._several) for span in self.of(owner))
        return ((owner, span) for owner, span in spans if span.to_us != MAX_TIME_US)

    def hold(self, owners: int) -> None:
        """Make the arrays hold this many owners at least."""
        missing = owners - len(self.other)
        if missing > 0:
            room = max(missing, len(self.other) // 2)
            self.from_us = np.append(self.from_us, np.zeros(room, np.int64))
            self.to_us = np.append(self.to_us, np.zeros(room, np.int64))
            self.other = np.append(self.other, np.full(room, -1, np.int32))
            self.is_several = np.append(self.is_several, np.zeros(room, bool))
            never_us = np.full(room, np.iinfo(np.int64).min)
            self.last_from_us = np.append(self.last_from_us, never_us)


class Assignments(Spans):
    """The assignments of trackers, about assets; those of one tracker never overlap."""

    def assets(self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the ordinal of each fix's asset at the fix's own time, -1 where there is none.

        tracker (ordinals) and time_us: of the fixes, (n,).
        """
        self.hold(int(tracker.max(initial=-1)) + 1)
        held = (self.from_us[tracker] <= time_us) & (time_us < self.to_us[tracker])
        asset = np.where(held, self.other[tracker], np.int32(-1))
        for row in np.flatnonzero(self.is_several[tracker]).tolist():
            asset[row] = self._at(int(tracker[row]), int(time_us[row]))
        return asset

    def before_the_last(
        self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]
    ) -> NDArray[np.intp]:
        """Return the numbers of fixes whose tracker was put on an asset after them; arguments as
        above.
        """
        self.hold(int(tracker.max(initial=-1)) + 1)
        return np.flatnonzero(time_us < self.last_from_us[tracker])

    def _at(self, tracker: int, time_us: int) -> int:
        for from_us, to_us, asset in self.of(tracker):
            if from_us <= time_us < to_us:
                return asset
        return -1
