"""The places that a zone covers at their time: as shapely and pyproj find them."""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from geofence.shapes.geojson import read_shape
from geofence.shapes.types import Circle
from geofence.zones.coverage import Coverage

WGS84 = Geod(ellps="WGS84")


def polygon(*ring: tuple[float, float]) -> dict[str, Any]:
    return {"type": "Polygon", "coordinates": [[*map(list, ring), list(ring[0])]]}


STAR = polygon((0, 0), (4, 1), (8, 0), (7, 4), (8, 8), (4, 7), (0, 8), (1, 4))
SQUARE = polygon((20, 0), (21, 0), (21, 1), (20, 1))
OVER_180 = polygon((179, -1), (-179, -1), (-179, 1), (179, 1))


def covered(
    coverage: Coverage, lon: NDArray[np.float64], lat: NDArray[np.float64], time_us: int = 0
) -> NDArray[np.bool_]:
    return coverage.covers(np.full(len(lon), time_us, np.int64), lon, lat)


def test_what_is_in_is_what_shapely_finds() -> None:
    chances = np.random.default_rng(1)
    lon, lat = chances.uniform(-1, 9, 20_000).round(1), chances.uniform(-1, 9, 20_000).round(1)
    found = covered(Coverage([read_shape(STAR)], [0]), lon, lat)
    ring = STAR["coordinates"][0]
    np.testing.assert_array_equal(found, shapely.intersects_xy(shapely.Polygon(ring), lon, lat))
    assert 0 < found.sum() < len(found)


@pytest.mark.parametrize("centre", [(13.4, 52.5), (179.99, 10.0), (-179.99, -10.0), (50.0, 89.9)])
def test_what_is_in_a_circle_is_at_most_its_radius_away(centre: tuple[float, float]) -> None:
    lon, lat = centre
    chances = np.random.default_rng(2)
    bearing, away_m = chances.uniform(0, 360, 5_000), chances.uniform(0, 40_000, 5_000)
    to_lon, to_lat, _ = WGS84.fwd(*np.broadcast_arrays(lon, lat, bearing), away_m)
    coverage = Coverage([Circle(lon, lat, 20_000)], [0])
    found = covered(coverage, np.asarray(to_lon), np.asarray(to_lat))
    sure = np.abs(away_m - 20_000) > 0.001
    np.testing.assert_array_equal(found[sure], away_m[sure] < 20_000)


def test_a_shape_over_the_180th_meridian_has_places_on_both_sides() -> None:
    lon = np.array([178.9, 179.0, 180.0, -180.0, -179.0, -178.9, 0.0])
    found = covered(Coverage([read_shape(OVER_180)], [0]), lon, np.zeros(7))
    assert found.tolist() == [False, True, True, True, True, False, False]


def test_each_place_is_looked_for_in_the_shape_of_its_time() -> None:
    newest, first = read_shape(SQUARE), read_shape(STAR)
    coverage = Coverage([newest, first, newest], [0, 100, 200])
    time_us = np.array([-5, 99, 100, 199, 200, 10**15])
    in_star = coverage.covers(time_us, np.full(6, 4.0), np.full(6, 4.0))
    in_square = coverage.covers(time_us, np.full(6, 20.5), np.full(6, 0.5))
    assert in_star.tolist() == [False, False, True, True, False, False]
    assert in_square.tolist() == [True, True, False, False, True, True]
    assert tuple(coverage.span) == (0, 0, 21, 8)
