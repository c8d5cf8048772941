"""The assets to which a tracker was assigned, by time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ingest.registry.spans import Span, Spans


class Assignments:
    """All assignments, those of one tracker never overlapping."""

    def __init__(self) -> None:
        self._spans = Spans()  # of trackers, about assets

    def put(self, tracker: int, span: Span) -> None:
        """Add an assignment, or replace what was known of it."""
        self._spans.put(tracker, span)

    def ended(self) -> Iterator[tuple[int, Span]]:
        """Return the assignments that have an end, with their trackers."""
        return self._spans.ended()

    def assets(self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]) -> NDArray[np.int32]:
        """Return the ordinal of each fix's asset at the fix's own time, -1 where there is none.

        tracker (ordinals) and time_us: of the fixes, (n,).
        """
        spans = self._spans
        spans.hold(int(tracker.max(initial=-1)) + 1)
        held = (spans.from_us[tracker] <= time_us) & (time_us < spans.to_us[tracker])
        asset = np.where(held, spans.other[tracker], np.int32(-1))
        for row in np.flatnonzero(spans.is_several[tracker]).tolist():
            asset[row] = self._at(int(tracker[row]), int(time_us[row]))
        return asset

    def before_the_last(
        self, tracker: NDArray[np.integer], time_us: NDArray[np.int64]
    ) -> NDArray[np.intp]:
        """Return the numbers of fixes whose tracker was put on an asset after them; arguments as
        above.
        """
        self._spans.hold(int(tracker.max(initial=-1)) + 1)
        return np.flatnonzero(time_us < self._spans.last_from_us[tracker])

    def of(self, tracker: int) -> list[Span]:
        """Return the assignments of a tracker, in order, about assets."""
        return self._spans.of(tracker)

    def _at(self, tracker: int, time_us: int) -> int:
        for from_us, to_us, asset in self._spans.of(tracker):
            if from_us <= time_us < to_us:
                return asset
        return -1
