"""The flag `suspect` of fixes: set before they are stored, taken back if they prove to be true."""

import numpy as np

from db.history.gps_events import FixKey
from geofence.judging.evaluator import Evaluation
from ingest.registry.registry import Registry
from telemetry.fix import FixBatch, Flag

_KEY = ["tracker", "time_us", "seq"]


def flag(batch: FixBatch, evaluation: Evaluation, registry: Registry) -> list[FixKey]:
    """Set the flag in the rows of `batch`, anew if need be.

    Returns the fixes of earlier batches, stored with the flag, that lose it.
    """
    rows = batch.rows
    rows["flags"] &= ~np.uint8(Flag.SUSPECT)
    rows["flags"][evaluation.suspect] |= np.uint8(Flag.SUSPECT)
    earlier: list[FixKey] = []
    for tracker, time_us, seq in evaluation.healed[_KEY].tolist():
        here = (rows["tracker"] == tracker) & (rows["time_us"] == time_us) & (rows["seq"] == seq)
        here &= evaluation.suspect
        if here.any():
            rows["flags"][here] &= ~np.uint8(Flag.SUSPECT)
        else:
            earlier.append(FixKey(registry.trackers[tracker], time_us, seq))
    return earlier
