"""The wall clock. It may be set while we run: a jump is noticed, and nothing is done."""

import time
from collections.abc import Callable

import structlog

MOST_DRIFT_US = 1_000_000  # between two looks; what sets a clock gradually moves both

_log = structlog.get_logger("ingest")


class Clock:
    """The wall clock, held against the time since the machine was started, which nobody sets and
    which goes on while the machine sleeps.

    on_jump: gets the seconds of each jump; negative: back.
    """

    def __init__(
        self,
        on_jump: Callable[[float], None],
        wall_ns: Callable[[], int] = lambda: time.time_ns(),
        steady_ns: Callable[[], int] = lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME),
    ) -> None:
        self._on_jump, self._wall_ns, self._steady_ns = on_jump, wall_ns, steady_ns
        self._started_us = (wall_ns() - steady_ns()) // 1000

    def now_us(self) -> int:
        """Return the wall clock as it is, microseconds since 1970."""
        wall_ns, steady_ns = self._wall_ns(), self._steady_ns()
        started_us = (wall_ns - steady_ns) // 1000
        jump_us, self._started_us = started_us - self._started_us, started_us
        if abs(jump_us) > MOST_DRIFT_US:
            by_s = round(jump_us / 1e6, 3)
            _log.warning("the clock of this machine jumped", by_s=by_s)
            self._on_jump(by_s)
        return wall_ns // 1000
