"""Vehicles drive like vehicles, the same way each time."""

from itertools import islice

import numpy as np
import pytest

from device_sim.motion import StreetPlan
from telemetry.fix import Known

METRES_PER_DEGREE = 111_320.0


def rows(plan: StreetPlan, start_us: int = 1_800_000_000_000_000) -> np.ndarray:
    return np.concatenate([part.fixes.rows for part in plan.slices(start_us)])


PLAN = StreetPlan(vehicles=30, rate_hz=1, seconds=600, seed=1)


def test_the_same_plan_gives_the_same_tracks() -> None:
    assert (rows(PLAN) == rows(PLAN)).all()


def test_another_seed_gives_other_tracks() -> None:
    other = StreetPlan(vehicles=30, rate_hz=1, seconds=600, seed=2)
    assert (rows(PLAN)["lat"] != rows(other)["lat"]).mean() > 0.9


def test_nobody_leaps() -> None:
    found = rows(PLAN)
    for vehicle in range(30):
        own = found[found["tracker"] == vehicle]
        north_m = np.diff(own["lat"]) * METRES_PER_DEGREE
        east_m = np.diff(own["lon"]) * METRES_PER_DEGREE * np.cos(np.radians(52.52))
        assert np.hypot(north_m, east_m).max() < 16 + 40  # the way of a second, and receiver noise


def test_everybody_moves_turns_and_stands() -> None:
    found = rows(PLAN)
    for vehicle in range(30):
        own = found[found["tracker"] == vehicle]
        assert len(np.unique(own["course_deg"])) > 1
        assert (own["speed_mps"] == 0).any()
        assert (own["speed_mps"] > 5).any()


def test_nobody_leaves_the_streets() -> None:
    plan = StreetPlan(vehicles=20, rate_hz=0.2, seconds=7200, seed=3, blocks=2)
    found = rows(plan)
    assert np.abs(found["lat"] - 52.52).max() * METRES_PER_DEGREE < 2 * 120 + 60
    east_m = np.abs(found["lon"] - 13.405).max() * METRES_PER_DEGREE * np.cos(np.radians(52.52))
    assert east_m < 2 * 120 + 60


def test_every_vehicle_sends_at_its_rate_and_says_when() -> None:
    start_us = 1_800_000_000_123_456
    plan = StreetPlan(vehicles=5, rate_hz=4, seconds=10, seed=1)
    slices = list(plan.slices(start_us))
    assert len(slices) == 40
    due_s = np.concatenate([part.due_s for part in slices])
    times_us = np.concatenate([part.fixes.rows["time_us"] for part in slices])
    assert np.all(np.diff(due_s) >= 0)
    assert due_s.max() <= 10
    assert (times_us % 1000 == 0).all()
    assert np.abs(times_us - start_us - due_s * 1e6).max() <= 2000


def test_what_a_receiver_does_not_know_is_not_said() -> None:
    known = rows(PLAN)["known"]
    assert not (known & Known.ALTITUDE).any()
    assert (known & Known.ACCURACY).all()


def test_a_plan_without_end_goes_on() -> None:
    plan = StreetPlan(vehicles=1, rate_hz=1000, seconds=None, seed=1)
    assert len(list(islice(plan.slices(0), 5000))) == 5000


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("vehicles", 0),
        ("rate_hz", 0),
        ("rate_hz", float("nan")),
        ("seconds", 0),
        ("origin_lat", 89),
        ("blocks", 0),
    ],
)
def test_a_plan_that_makes_no_sense_is_refused(field: str, value: float) -> None:
    good = {"vehicles": 1, "rate_hz": 1, "seconds": 1, "seed": 1}
    with pytest.raises(ValueError, match=field.split("_")[0]):
        StreetPlan(**{**good, field: value})
