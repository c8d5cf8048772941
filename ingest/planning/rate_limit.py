"""The limit of fixes a second of each tracker, counted in the tracker's own time.

Each tracker has a token bucket. It fills with the time between the fix and the one that arrived
before it, in either direction. So a backlog that comes at once is within the rate, in either order,
and no clock of the server matters. A fix takes one token, or is over the rate. What is refused
depends on the order of arrival alone. The buckets are forgotten when the leader's term ends. Where
messages are sent again after that, the bucket is full once more, and up to a full bucket of refused
fixes may then be stored.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.undo import Undo, undo_of
from telemetry.fix import FixBatch

BURST_S = 10  # a full bucket is worth so much of the rate


class Bucket(NamedTuple):
    """last_us: time of the fix that came last."""

    last_us: int
    tokens: float


Buckets = Mapping[int, Bucket]  # by tracker


class Rates:
    """max_fixes_per_s: None for no limit. One bucket at most for each registered tracker."""

    def __init__(self, max_fixes_per_s: float | None = None) -> None:
        self.max_fixes_per_s = max_fixes_per_s
        self._buckets: dict[int, Bucket] = {}

    def over(self, batch: FixBatch) -> tuple[NDArray[np.bool_], Buckets]:
        """Return which fixes are over the rate, shape (n,), and the buckets
        afterwards, for `take`.
        """
        over = np.zeros(len(batch), bool)
        after: dict[int, Bucket] = {}
        rate = self.max_fixes_per_s
        if rate is None:
            return over, after
        full = max(1.0, rate * BURST_S)
        trackers, times_us = (batch.rows[name].tolist() for name in ("tracker", "time_us"))
        for row, (tracker, time_us) in enumerate(zip(trackers, times_us, strict=True)):
            bucket = after.get(tracker) or self._buckets.get(tracker) or Bucket(time_us, full)
            tokens = min(full, bucket.tokens + abs(time_us - bucket.last_us) * 1e-6 * rate)
            over[row] = tokens < 1.0
            after[tracker] = Bucket(time_us, tokens if over[row] else tokens - 1.0)
        return over, after

    def undo(self, buckets: Buckets) -> Undo:
        """Return a function that restores the present buckets of the trackers."""
        return undo_of(self._buckets, buckets)

    def take(self, buckets: Buckets) -> None:
        """Take the buckets of the batch that `over` was asked about."""
        self._buckets.update(buckets)
