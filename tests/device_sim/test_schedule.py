"""Trackers come in one after the other."""

import numpy as np

from device_sim.motion import StreetPlan
from device_sim.schedule import ramped

STREETS = StreetPlan(vehicles=10, rate_hz=2, seconds=20, seed=1)


def test_a_tracker_is_silent_until_it_comes_in_and_sends_everything_from_then_on() -> None:
    every = list(STREETS.slices(0))
    found = list(ramped(STREETS.slices, trackers=10, ramp_s=10)(0))
    due_s, rows = (
        np.concatenate([one.due_s for one in found]),
        np.concatenate([one.fixes.rows for one in found]),
    )
    all_due_s = np.concatenate([one.due_s for one in every])
    all_trackers = np.concatenate([one.fixes.rows["tracker"] for one in every])
    for tracker in range(10):
        own = due_s[rows["tracker"] == tracker]
        assert tracker <= own.min() < tracker + 0.5
        assert len(own) == np.count_nonzero((all_trackers == tracker) & (all_due_s >= tracker))
