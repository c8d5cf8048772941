"""Fixes as receivers spoil them now and then: far from the truth, said to be inaccurate, or coarse.

Such fixes are stored. The far ones are suspect and change nothing, nor do the inaccurate ones; the
coarse ones tell of a zone only where they lie deep inside or far outside. Which ones they are
depends on tracker and seq alone, and no two of a tracker follow each other.
"""

from collections.abc import Iterator

import numpy as np

from device_sim.schedule import Schedule, Slice
from telemetry.fix import FixBatch, Known

_FAR_EACH, _INACCURATE_EACH, _COARSE_EACH = 53, 41, 23  # fixes
_FAR_AT, _INACCURATE_AT = 5, 9  # which of them
_FAR_DEG = 0.1
_INACCURATE_M, _COARSE_M = 900.0, 65.0
_COARSE_DEG = 0.0006


def with_glitches(schedule: Schedule) -> Schedule:
    """Yield the same fixes at the same moments, some of them spoilt."""

    def spoilt(start_us: int) -> Iterator[Slice]:
        for one in schedule(start_us):
            yield one._replace(fixes=_spoilt(one.fixes))

    return spoilt


def _spoilt(fixes: FixBatch) -> FixBatch:
    rows = fixes.rows.copy()
    turn = rows["seq"].astype(np.int64) + 17 * rows["tracker"].astype(np.int64)
    rows["lat"][turn % _FAR_EACH == _FAR_AT] += _FAR_DEG
    is_inaccurate = turn % _INACCURATE_EACH == _INACCURATE_AT
    rows["accuracy_m"][is_inaccurate] = _INACCURATE_M
    rows["lat"][is_inaccurate] -= _FAR_DEG / 2
    is_coarse = turn % _COARSE_EACH == 3
    for beside in (-1, 0, 1):
        is_coarse &= (turn + beside) % _FAR_EACH != _FAR_AT
        is_coarse &= (turn + beside) % _INACCURATE_EACH != _INACCURATE_AT
    rows["accuracy_m"][is_coarse] = _COARSE_M
    rows["lat"][is_coarse] += np.where(turn[is_coarse] % 2, _COARSE_DEG, -_COARSE_DEG)
    rows["known"][is_inaccurate | is_coarse] |= np.uint8(Known.ACCURACY)
    return FixBatch(rows, fixes.attributes)
