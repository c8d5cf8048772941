"""The schedule of fixes: slices of fixes with the moment at which each is due.

A schedule is a function of the moment at which the run starts and gives slices in order of time.
Within one tracker the order of a schedule is the order of sending, and so the order of arrival.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch

SLICE_FIXES = 4096
"""How many fixes a schedule puts into one slice at most; a slice is what is held in memory."""


class Slice(NamedTuple):
    """Fixes that are due one after the other.

    due_s: shape (n,), float64, seconds after the start of the run, never falling.
    fixes: n fixes; rows["tracker"] is the position of the tracker in the fleet.
    """

    due_s: NDArray[np.float64]
    fixes: FixBatch


Schedule = Callable[[int], Iterator[Slice]]
"""Takes the start of the run in microseconds since 1970 and gives the slices."""


def ramped(schedule: Schedule, trackers: int, ramp_s: float) -> Schedule:
    """Let trackers come in one after the other, evenly over `ramp_s`.

    What a tracker would have sent before it comes in is left out.
    """

    def gradual(start_us: int) -> Iterator[Slice]:
        for part in schedule(start_us):
            comes_in_s = part.fixes.rows["tracker"] * (ramp_s / trackers)
            chosen = np.flatnonzero(part.due_s >= comes_in_s)
            if len(chosen):
                yield Slice(part.due_s[chosen], part.fixes.take(chosen))

    return gradual
