"""A recorded trace, sent again: each fix is due when its own time comes, `speed` times as fast.

All times move by one whole number of seconds, so that the newest fix lies at the start of the run
or less than a second before it; gaps, jumps, repeats and each device's order stay as recorded.
A fix that is older than the one before it is due together with that one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from device_sim.schedule import SLICE_FIXES, Slice
from telemetry.fix import FixBatch

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace in order of source; fixes.rows["tracker"] is the position in `devices`."""

    devices: tuple[str, ...]
    fixes: FixBatch

    def __post_init__(self) -> None:
        if not len(self.fixes):
            raise ValueError("the trace holds no fix")

    @property
    def oldest_us(self) -> int:
        return int(self.fixes.rows["time_us"].min())

    @property
    def newest_us(self) -> int:
        return int(self.fixes.rows["time_us"].max())

    def shifted_to(self, start_us: int) -> "Trace":
        """Return the trace with its newest fix at `start_us`, or less than a second before."""
        shift_us = (start_us - self.newest_us) // SECOND_US * SECOND_US
        rows = self.fixes.rows.copy()
        rows["time_us"] += shift_us
        return Trace(self.devices, FixBatch(rows, self.fixes.attributes))

    def slices(self, speed: float) -> Iterator[Slice]:
        """Yield the schedule at `speed` seconds of the trace in one second."""
        if not speed > 0:
            raise ValueError(f"speed must be above 0, not {speed}")
        due_s = _moments_us(self.fixes.rows, self.oldest_us) / SECOND_US / speed
        order = np.argsort(due_s, kind="stable")
        for start in range(0, len(order), SLICE_FIXES):
            chosen = order[start : start + SLICE_FIXES]
            yield Slice(due_s[chosen], self.fixes.take(chosen))


def _moments_us(rows: NDArray[np.void], oldest_us: int) -> NDArray[np.int64]:
    """Return per fix the microseconds after `oldest_us` at which its device has reached it: never
    falling.
    """
    by_device = np.argsort(rows["tracker"], kind="stable")
    elapsed_us = rows["time_us"][by_device].astype(np.int64) - oldest_us
    span_us = int(elapsed_us.max()) + 1
    # Devices are told apart by whole spans, so that one running maximum serves all of them.
    _, device = np.unique(rows["tracker"][by_device], return_inverse=True)
    reached_us = np.empty(len(rows), np.int64)
    reached_us[by_device] = np.maximum.accumulate(elapsed_us + device * span_us) - device * span_us
    return reached_us
