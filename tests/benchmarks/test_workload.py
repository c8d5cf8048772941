"""The workload is what the benchmark's table says it is."""

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from benchmarks.common.workload import (
    CENTRE_LAT,
    CENTRE_LON,
    M_PER_DEGREE_LAT,
    M_PER_DEGREE_LON,
    Plan,
    rows_in_order_of_sending,
    tracks,
    zone_rings,
)

PLAN = Plan(trackers=300)
FIXES_PER_TRACKER = 240


@pytest.fixture(scope="module")
def zones() -> NDArray[np.object_]:
    """The zones in metres around the centre."""
    return np.array([shapely.Polygon(_metres(ring[:, 0], ring[:, 1])) for ring in zone_rings(PLAN)])


@pytest.fixture(scope="module")
def fixes() -> NDArray[np.void]:
    return tracks(PLAN, FIXES_PER_TRACKER)


def test_zones_are_valid_and_of_the_stated_size(zones: NDArray[np.object_]) -> None:
    assert shapely.is_valid(zones).all()
    vertices = shapely.get_num_coordinates(zones) - 1
    assert vertices.min() >= 20
    assert vertices.max() <= 60
    assert np.median(np.sqrt(shapely.area(zones) / np.pi)) == pytest.approx(300, rel=0.1)


def test_the_median_step_is_15_metres(fixes: NDArray[np.void]) -> None:
    east_north_m = _metres(fixes["lon"], fixes["lat"])
    steps_m = np.hypot(*np.moveaxis(np.diff(east_north_m, axis=1), -1, 0))
    assert np.median(steps_m) == pytest.approx(15, rel=0.1)


def test_a_tenth_of_the_fixes_lies_near_an_edge(
    zones: NDArray[np.object_], fixes: NDArray[np.void]
) -> None:
    points = np.asarray(shapely.points(_metres(fixes["lon"], fixes["lat"])[:, ::10].reshape(-1, 2)))
    edges = shapely.STRtree(shapely.boundary(zones))
    near = np.unique(edges.query(points, predicate="dwithin", distance=50.0)[0])
    assert len(near) / len(points) == pytest.approx(0.10, abs=0.02)


def test_two_percent_of_the_fixes_change_a_membership(
    zones: NDArray[np.object_], fixes: NDArray[np.void]
) -> None:
    points = shapely.points(_metres(fixes["lon"], fixes["lat"]).reshape(-1, 2))
    fix, zone = shapely.STRtree(zones).query(points, predicate="intersects")
    n = fixes.shape[1]
    inside = set(zip(fix.tolist(), zone.tolist(), strict=True))
    entered = {f for f, z in inside if f % n and (f - 1, z) not in inside}
    left = {f + 1 for f, z in inside if (f + 1) % n and (f + 1, z) not in inside}
    assert len(entered | left) / fixes.size == pytest.approx(0.02, abs=0.004)


def test_a_tracker_comes_back_to_where_it_began(fixes: NDArray[np.void]) -> None:
    assert (fixes["lat"][:, 0] == fixes["lat"][:, -1]).all()
    assert (fixes["lon"][:, 0] == fixes["lon"][:, -1]).all()


def test_messages_keep_each_trackers_order(fixes: NDArray[np.void]) -> None:
    messages = rows_in_order_of_sending(fixes, 20)
    assert messages.shape == (fixes.size // 20, 20)
    assert (messages["tracker"] == messages["tracker"][:, :1]).all()
    of_one = messages[messages["tracker"][:, 0] == 7].reshape(-1)
    assert (np.diff(of_one["time_us"]) > 0).all()


def test_the_same_plan_gives_the_same_fixes(fixes: NDArray[np.void]) -> None:
    assert (tracks(PLAN, FIXES_PER_TRACKER) == fixes).all()
    assert not (tracks(Plan(300, seed=2), FIXES_PER_TRACKER) == fixes).all()


def _metres(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> NDArray[np.float64]:
    east_m = (lon - CENTRE_LON) * M_PER_DEGREE_LON
    north_m = (lat - CENTRE_LAT) * M_PER_DEGREE_LAT
    return np.stack([east_m, north_m], axis=-1)
