"""Quantiles of latencies in fixed memory: a histogram whose buckets grow by 5 %.

A quantile is the upper bound of the bucket in which it lies: at most 5 % too high, never too low,
between 10 microseconds and 2.7 hours.
"""

import math

import numpy as np

_LEAST_S = 1e-5
_GROWTH = 1.05
_LOG_GROWTH = math.log(_GROWTH)
_BUCKETS = 426


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
        """The latency that `share` (0 to 1) of those recorded do not exceed; None without any."""
        if not self.count:
            return None
        reached = np.cumsum(self._counts)
        bucket = int(np.searchsorted(reached, share * self.count))
        return min(_LEAST_S * _GROWTH**bucket, self.worst_s)
