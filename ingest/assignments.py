"""Which asset a tracker was assigned to at a time."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int, int]  # from_us, to_us (exclusive), ordinal of the asset


class Assignments:
    """All assignments, those of one tracker never overlapping.

    Nearly every tracker has one: those are looked up for a whole batch at once.
    """

    def __init__(self) -> None:
        self._spans: dict[int, dict[object, Span]] = defaultdict(dict)
        self._changed = True
        self._from_us = np.empty(0, np.int64)
        self._to_us = np.empty(0, np.int64)
        self._asset = np.empty(0, np.int32)
        self._several = np.empty(0, bool)

    def put(self, tracker: int, assignment_id: object, span: Span) -> None:
        """Adds an assignment, or replaces what was known of it."""
        self._spans[tracker][assignment_id] = span
        self._changed = True

    def assets(self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]) -> NDArray[np.int32]:
        """The ordinal of each fix's asset at the fix's own time, -1 where there is none.

        tracker (ordinals) and time_us: of the fixes, (n,).
        """
        self._index(int(tracker.max(initial=-1)) + 1)
        held = (self._from_us[tracker] <= time_us) & (time_us < self._to_us[tracker])
        asset = np.where(held, self._asset[tracker], np.int32(-1))
        for row in np.flatnonzero(self._several[tracker]).tolist():
            asset[row] = self._at(int(tracker[row]), int(time_us[row]))
        return asset

    def _at(self, tracker: int, time_us: int) -> int:
        for from_us, to_us, asset in self._spans[tracker].values():
            if from_us <= time_us < to_us:
                return asset
        return -1

    def _index(self, trackers: int) -> None:
        """Makes the arrays hold what was put, and so many trackers at least."""
        if not self._changed and len(self._asset) >= trackers:
            return
        trackers = max(trackers, len(self._asset), max(self._spans, default=-1) + 1)
        self._from_us = np.zeros(trackers, np.int64)
        self._to_us = np.zeros(trackers, np.int64)
        self._asset = np.full(trackers, -1, np.int32)
        self._several = np.zeros(trackers, bool)
        for tracker, spans in self._spans.items():
            from_us, to_us, asset = next(iter(spans.values()))
            self._from_us[tracker], self._to_us[tracker] = from_us, to_us
            self._asset[tracker] = asset
            self._several[tracker] = len(spans) > 1
        self._changed = False
