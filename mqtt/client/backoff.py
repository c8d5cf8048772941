"""The wait before connecting again: capped exponential, with jitter, without a clock of its own."""

import random


class Backoff:
    """Delays for one session.

    The bound of the delay doubles as long as connections die sooner than the bound that preceded
    them, and starts again at `min_s` after one that lasted longer. A broker that restarts once is
    met again at once; one that accepts and drops in a circle is not hammered. The delay is drawn
    evenly from the upper half of the bound, so that a fleet cut at one moment does not come back
    at one moment.
    """

    def __init__(self, min_s: float, max_s: float, seed: int | None = None) -> None:
        self._min_s = min_s
        self._max_s = max_s
        self._bound_s = 0.0
        self._random = random.Random(seed)

    def next_delay_s(self, lived_s: float) -> float:
        """Return the delay after a connection that was ready for `lived_s` seconds (0: it never
        was).
        """
        if self._bound_s == 0.0 or lived_s > self._bound_s:
            self._bound_s = self._min_s
        else:
            self._bound_s = min(self._bound_s * 2, self._max_s)
        return self._random.uniform(self._bound_s / 2, self._bound_s)
