"""The points that tell most of a track."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from geofence.trips.thinning import kept_points

SECOND_US = 1_000_000


def kept(
    time_s: Sequence[float], lon: Sequence[float], lat: Sequence[float], most: int
) -> list[int]:
    time_us = (np.array(time_s) * SECOND_US).astype(np.int64)
    track = np.zeros(len(time_us), np.int64)
    return kept_points(track, time_us, np.array(lon), np.array(lat), most).tolist()


def test_a_turn_stays() -> None:
    lon = [0.0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3]
    lat = [0.0, 0.0, 0.0, 0.0, 0.1, 0.2, 0.3]
    assert kept([0, 1, 2, 3, 4, 5, 6], lon, lat, 3) == [0, 3, 6]


def test_a_stop_stays_on_a_straight_way() -> None:
    """Where it is at a time counts, and not the line alone: the stop has two ends."""
    time_s = [0, 1, 2, 3, 60, 120, 180, 181, 182, 183]
    lon = [0.0, 0.1, 0.2, 0.3, 0.3, 0.3, 0.3, 0.4, 0.5, 0.6]
    assert kept(time_s, lon, [0.0] * 10, 4) == [0, 3, 6, 9]


def test_the_ends_of_each_track_stay() -> None:
    track = np.array([0, 0, 0, 1, 2, 2])
    time_us = np.arange(6) * SECOND_US
    lon = np.array([0, 5, 1, 9, 3, 4.0])
    assert kept_points(track, time_us, lon, np.zeros(6), 5).tolist() == [0, 2, 3, 4, 5]
    assert kept_points(track, time_us, lon, np.zeros(6), 6).tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="3 tracks have 5 ends: more than 4"):
        kept_points(track, time_us, lon, np.zeros(6), 4)


def test_the_180th_meridian_is_no_turn() -> None:
    lon = [179.8, 179.9, -180.0, -179.9, -179.8, -179.8]
    assert kept([0, 1, 2, 3, 4, 5], lon, [0, 0, 0, 0, 0, 0.3], 3) == [0, 4, 5]


def test_nothing_is_kept_of_nothing() -> None:
    empty = np.empty(0)
    assert len(kept_points(empty.astype(int), empty.astype(int), empty, empty, 2)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_each_further_point_is_the_one_that_is_missed_most(seed: int) -> None:
    """What is not kept lies no farther from a steady move than what was kept last did."""
    chances = np.random.default_rng(seed)
    number, most = 300, 40
    time_us = np.cumsum(chances.integers(1, 30, number)) * SECOND_US
    lon, lat = np.cumsum(chances.normal(0, 0.01, (2, number)), axis=1)
    track = np.zeros(number, np.int64)
    chosen = kept_points(track, time_us, lon, lat, most)
    fewer = kept_points(track, time_us, lon, lat, most - 1)
    assert set(fewer) < set(chosen)
    (last,) = set(chosen) - set(fewer)

    def missed_m(points: NDArray[np.int64]) -> NDArray[np.float64]:
        place_m = np.stack((lon * np.cos(np.radians(lat)), lat)) * 111_195.0
        steady_m = [np.interp(time_us, time_us[points], axis[points]) for axis in place_m]
        return np.hypot(*(place_m - np.stack(steady_m)))

    assert missed_m(fewer)[last] == pytest.approx(missed_m(fewer).max())
