"""Token buckets of this process.

Each key may make `per_minute` requests at once, and the same number a minute on average. Each
process has its own buckets, so an installation admits this number times its processes.
"""

import time
from collections.abc import Callable, Hashable

from api.http.rate_limit_headers import Policy, Quota
from service.ttl_cache import TtlCache

_REMEMBERED = 20_000  # of those least recently seen a bucket is taken to be full
_MINUTE_S = 60.0


class Buckets:
    """A bucket is kept as one number: the time when it will be full again (GCRA)."""

    def __init__(
        self, policy: Policy, per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._policy: Policy = policy
        self._per_minute = per_minute
        self._token_s = _MINUTE_S / per_minute
        self._clock = clock
        self._full_s = TtlCache[Hashable, float](_REMEMBERED, clock)

    def spend(self, key: Hashable, tokens: float = 1.0) -> Quota:
        """Take tokens of the key's bucket, one or a part or several."""
        now_s = self._clock()
        full_s = self._full_s.get(key) or now_s
        empty_s = full_s - now_s  # what is missing, in time
        missing_s = empty_s + tokens * self._token_s
        retry_s = missing_s - _MINUTE_S
        if retry_s > 1e-9:
            self._full_s.put(key, full_s, full_s)
            return Quota(self._policy, self._per_minute, 0, empty_s, retry_s)
        self._full_s.put(key, now_s + missing_s, now_s + missing_s)
        remaining = int((_MINUTE_S - missing_s) / self._token_s + 1e-6)
        return Quota(self._policy, self._per_minute, remaining, missing_s)
