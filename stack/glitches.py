"""Fixes as receivers spoil them now and then: far from the truth, or said to be inaccurate.

Such fixes are stored and change nothing: the far ones as suspect. Which ones they are depends on
tracker and seq alone, and no two of a tracker follow each other.
"""

from collections.abc import Iterator

import numpy as np

from device_sim.schedule import Schedule, Slice
from telemetry.fix import FixBatch, Known

_FAR_EACH, _INACCURATE_EACH = 53, 41  # fixes
_FAR_DEG = 0.1
_INACCURATE_M = 900.0


def with_glitches(schedule: Schedule) -> Schedule:
    """The same fixes at the same moments, some of them spoilt."""

    def spoilt(start_us: int) -> Iterator[Slice]:
        for one in schedule(start_us):
            yield one._replace(fixes=_spoilt(one.fixes))

    return spoilt


def _spoilt(fixes: FixBatch) -> FixBatch:
    rows = fixes.rows.copy()
    turn = rows["seq"].astype(np.int64) + 17 * rows["tracker"].astype(np.int64)
    rows["lat"][turn % _FAR_EACH == 5] += _FAR_DEG
    is_inaccurate = turn % _INACCURATE_EACH == 9
    rows["accuracy_m"][is_inaccurate] = _INACCURATE_M
    rows["lat"][is_inaccurate] -= _FAR_DEG / 2
    rows["known"][is_inaccurate] |= np.uint8(Known.ACCURACY)
    return FixBatch(rows, fixes.attributes)
