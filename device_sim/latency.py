"""Quantiles of latencies in fixed memory: a histogram whose buckets grow by 5 %.

A quantile is the upper bound of the bucket in which it lies: at most 5 % too high, never too low,
between 10 microseconds and 2.7 hours.
"""

import math
from dataclasses import dataclass

import numpy as np

_LEAST_S = 1e-5
_GROWTH = 1.05
_LOG_GROWTH = math.log(_GROWTH)
_BUCKETS = 426

SHARES = ("p50", "p95", "p99", "max")
"""What is told of latencies: fields of Quantiles."""


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Latencies in short: how many there were, and milliseconds."""

    count: int
    p50: float
    p95: float
    p99: float
    max: float


class Latencies:
    """Counts how often which latency was seen."""

    def __init__(self) -> None:
        self._counts = [0] * _BUCKETS
        self.count = 0
        self.worst_s = 0.0

    def record(self, latency_s: float) -> None:
        """Take in one latency; what is shorter than the least bucket counts in it."""
        if latency_s > self.worst_s:
            self.worst_s = latency_s
        bucket = 0
        if latency_s > _LEAST_S:
            bucket = min(_BUCKETS - 1, math.ceil(math.log(latency_s / _LEAST_S) / _LOG_GROWTH))
        self._counts[bucket] += 1
        self.count += 1

    def quantile_s(self, share: float) -> float | None:
        """Return the latency that `share` (0 to 1) of those recorded do not exceed; None without
        any.
        """
        if not self.count:
            return None
        reached = np.cumsum(self._counts)
        bucket = int(np.searchsorted(reached, share * self.count))
        return min(_LEAST_S * _GROWTH**bucket, self.worst_s)

    def quantiles_ms(self) -> Quantiles | None:
        """Summarise what was recorded; None without any."""
        if not self.count:
            return None
        shares = [self.quantile_s(share) for share in (0.5, 0.95, 0.99)]
        p50, p95, p99 = (round(1000 * (seconds or 0.0), 3) for seconds in shares)
        return Quantiles(self.count, p50, p95, p99, round(1000 * self.worst_s, 3))

    def copy(self) -> "Latencies":
        """Give a snapshot, which later recordings do not change."""
        snapshot = Latencies()
        snapshot._counts = self._counts.copy()
        snapshot.count, snapshot.worst_s = self.count, self.worst_s
        return snapshot

    def since(self, earlier: "Latencies") -> "Latencies":
        """Give what was recorded after the snapshot `earlier`.

        The greatest of them is known to its bucket only, so it may be told 5 % too high.
        """
        later = Latencies()
        later._counts = [
            now - then for now, then in zip(self._counts, earlier._counts, strict=True)
        ]
        later.count = self.count - earlier.count
        last = max((bucket for bucket, count in enumerate(later._counts) if count), default=0)
        is_last = last == _BUCKETS - 1  # which has no upper bound
        bound_s = self.worst_s if is_last else min(_LEAST_S * _GROWTH**last, self.worst_s)
        later.worst_s = bound_s if later.count else 0.0
        return later
