"""Compiles what is compiled, or takes it from where it is kept.

A process that is about to judge fixes calls `prepare` first, so that its first batch need not wait
half a minute where nothing is kept yet.
"""

import numpy as np

from geofence.evaluator import NO_TIMERS_US, evaluate, late_assets
from geofence.index import ZoneIndex
from geofence.lookup import signed_distances_m
from geofence.state import State
from telemetry.fix import FixBatch


def prepare() -> None:
    """Returns when everything is ready to run."""
    index, none = ZoneIndex(), np.empty(0)
    late_assets(FixBatch.empty(), State())
    evaluate(FixBatch.empty(), State(), index, NO_TIMERS_US)
    signed_distances_m(index, none.astype(np.int64), none.astype(np.int64), none, none)


if __name__ == "__main__":
    prepare()
