import numpy as np
import pytest
from pyproj import Geod

from geofence.geometry import geodesic
from tests.geofence.packed import callable_from_python

WGS84 = Geod(ellps="WGS84")
geodesics_m = geodesic.geodesics_m
geodesic_m = callable_from_python(geodesic.geodesic_m)
metres_per_degree = callable_from_python(geodesic.metres_per_degree)
short_way = callable_from_python(geodesic.short_way)
straight_m = callable_from_python(geodesic.straight_m)
HALF_MERIDIAN_M = 20_003_931.4586


def places(rng, count):
    """Return places all over the earth, with a tenth each near a pole, near the equator and near
    180.
    """
    lon, lat = rng.uniform(-180, 180, count), np.degrees(np.arcsin(rng.uniform(-1, 1, count)))
    tenth = count // 10
    lat[:tenth] = 90 - 10.0 ** rng.uniform(-9, 0, tenth)
    lat[tenth : 2 * tenth] = 10.0 ** rng.uniform(-9, 0, tenth)
    lon[2 * tenth : 3 * tenth] = 180 - 10.0 ** rng.uniform(-9, 0, tenth)
    return lon, lat


@pytest.mark.parametrize(
    ("least_m", "most_m", "error_m"),
    [
        (1e-4, 1.0, 1e-7),
        (1.0, 1e4, 1e-7),
        (9.9e4, 1.01e5, 1e-5),
        (1e4, 2e6, 1e-4),
        (2e6, 1.9e7, 1e-3),
        (1.9e7, 2e7, 2e5),
    ],
)
def test_distances_are_those_of_pyproj(least_m, most_m, error_m):
    rng = np.random.default_rng(1)
    lon0, lat0 = places(rng, 4_000)
    azimuth, length_m = rng.uniform(0, 360, 4_000), rng.uniform(least_m, most_m, 4_000)
    lon1, lat1, _ = WGS84.fwd(lon0, lat0, azimuth, length_m)
    truth_m = WGS84.inv(lon0, lat0, lon1, lat1)[2]
    turns = 360.0 * rng.integers(-1, 2, 4_000)
    # A turn of longitude rounds it to 1e-13 degrees, at most a hundredth of a micrometre.
    assert np.abs(geodesics_m(lon0, lat0, lon1, lat1) - truth_m).max() < error_m
    assert np.abs(geodesics_m(lon0, lat0, lon1 + turns, lat1) - truth_m).max() < error_m + 1e-7


@pytest.mark.parametrize(
    ("pair", "truth_m"),
    [
        ((5.0, 50.0, 5.0, 50.0), 0.0),
        ((-180.0, 10.0, 180.0, 10.0), 0.0),
        ((0.0, 90.0, 123.0, 90.0), 0.0),
        ((0.0, -90.0, 0.0, 90.0), HALF_MERIDIAN_M),
        ((0.0, 0.0, 180.0, 0.0), HALF_MERIDIAN_M),
        ((0.0, 0.0, 0.0, 90.0), HALF_MERIDIAN_M / 2),
        ((20.0, 89.9, 200.0, 89.9), 22_338.80),
    ],
)
def test_places_where_formulas_break(pair, truth_m):
    assert geodesic_m(*pair) == pytest.approx(
        truth_m, rel=0.01 if truth_m > 1.9e7 else 1e-6, abs=1e-8
    )


def test_a_degree_has_as_many_metres_as_pyproj_says():
    for lat in (-80.0, -33.3, 0.0, 50.0, 71.0, 89.0):
        east_m, north_m = metres_per_degree(lat)
        assert east_m * 1e-3 == pytest.approx(WGS84.inv(0, lat, 1e-3, lat)[2], rel=1e-7)
        truth_m = WGS84.inv(0, lat - 5e-4, 0, lat + 5e-4)[2]
        assert north_m * 1e-3 == pytest.approx(truth_m, rel=1e-7)


def test_a_difference_of_longitude_is_taken_the_short_way():
    cases = {0: 0, 180: 180, -180: -180, 181: -179, -350: 10, 539: 179, 720: 0, 1079: -1}
    assert {value: short_way(float(value)) for value in cases} == cases


def test_a_straight_line_in_degrees_is_as_long_as_its_parts():
    for line in (
        (0, 60, 1.5, 60.7),
        (179.5, -40, 180.5, -40),
        (5, 10, 5, 14),
        (7, 80, 12, 80.1),
        (0, 89.9, 9, 89.905),
    ):
        lon, lat = np.linspace(line[0], line[2], 2_001), np.linspace(line[1], line[3], 2_001)
        truth_m = WGS84.line_length(lon, lat)
        assert straight_m(*map(float, line)) == pytest.approx(truth_m, rel=1e-7)
