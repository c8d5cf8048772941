from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod

from geofence.geometry import containment
from geofence.geometry.containment import covers_pairs
from tests.geofence.packed import (
    callable_from_python,
    packed_area,
    packed_circle,
    packed_corridor,
    packed_rows,
    repeated,
    ring_rows,
    star,
)
from tests.geofence.worlds import polygons

WGS84 = Geod(ellps="WGS84")
covers = callable_from_python(containment.covers)
NAN = (np.nan, np.nan)


def answers(arena, shape, lon, lat):
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    return covers_pairs(arena, repeated(shape, len(lon)), lon, lat)


@pytest.mark.parametrize("slabs", [False, True])
@pytest.mark.parametrize("corners", [3, 12, 40, 700])
def test_an_area_covers_what_geos_says(corners, slabs):
    rng = np.random.default_rng(corners)
    area = shapely.union(star(rng, corners, holes=3), shapely.box(11.5, 50, 12, 51))
    arena, shape = packed_area(area, slabs=slabs)
    lon, lat = rng.uniform(8.9, 12.1, 5_000), rng.uniform(48.9, 51.1, 5_000)
    assert (answers(arena, shape, lon, lat) == shapely.intersects_xy(area, lon, lat)).all()


@pytest.mark.parametrize("slabs", [False, True])
@pytest.mark.parametrize("corners", [3, 12, 200])
def test_near_misses_and_exact_hits_are_told_apart_as_geos_does(corners, slabs):
    rng = np.random.default_rng(corners)
    area = star(rng, corners)
    arena, shape = packed_area(area, slabs=slabs)
    edges = ring_rows(area)[:-1]
    along = rng.choice([0.0, 0.25, 0.5, 1.0, 0.1], len(edges) - 1)[:, None]
    on = edges[:-1] + along * np.diff(edges, axis=0)  # on the edge, or a rounding beside it
    ulps = [(0.0, 0.0), (0.0, np.inf), (np.inf, 0.0), (-np.inf, 0.0), (0.0, -np.inf)]
    for step_x, step_y in ulps:
        lon = np.nextafter(on[:, 0], step_x) if step_x else on[:, 0].copy()
        lat = np.nextafter(on[:, 1], step_y) if step_y else on[:, 1].copy()
        assert (answers(arena, shape, lon, lat) == shapely.intersects_xy(area, lon, lat)).all()


@given(polygons(), st.booleans())
def test_on_a_grid_of_its_corners_an_area_covers_what_geos_says(polygonal, slabs):
    arena, shape = packed_area(polygonal.geometry, slabs=slabs)
    lon, lat = (
        axis.ravel() for axis in np.meshgrid(np.arange(-1, 11, 0.5), np.arange(-1, 11, 0.5))
    )
    truth = shapely.intersects_xy(polygonal.geometry, lon, lat)
    assert (answers(arena, shape, lon, lat) == truth).all()


def test_a_hole_is_outside_but_its_edge_is_inside():
    area = shapely.box(0, 0, 4, 4).difference(shapely.box(1, 1, 3, 3))
    arena, shape = packed_area(area)
    cases = {(2, 2): False, (1, 2): True, (1, 1): True, (0, 4): True, (0.5, 2): True, (5, 2): False}
    assert {at: bool(covers(arena, shape, *map(float, at))) for at in cases} == cases


def test_an_area_round_a_pole_is_closed_by_rows_that_are_not_its_edge():
    edge = [(-180.0, -70.0), (-60.0, -75.0), (60.0, -65.0), (180.0, -70.0), NAN]
    closing = [(180.0, -70.0), (180.0, -90.0), (-180.0, -90.0), (-180.0, -70.0), NAN]
    arena, shape = packed_rows(np.array(edge + closing), real=len(edge))
    inside = [(0, -90), (0, -80), (180, -80), (-180, -89), (180, -70), (-60, -75)]
    outside = [(0, -60), (180, -69.9), (60, -64.9)]
    assert all(covers(arena, shape, *map(float, at)) for at in inside)
    assert not any(covers(arena, shape, *map(float, at)) for at in outside)


CIRCLES = [(10, 50, 100), (10, 50, 1e6), (179.99, -17, 5e4), (0, 89.99, 3e4), (-180, -90, 1e6)]


@pytest.mark.parametrize("circle", CIRCLES)
def test_a_circle_covers_what_the_geodesic_says(circle):
    lon0, lat0, radius_m = map(float, circle)
    rng = np.random.default_rng(5)
    off_m = radius_m * rng.choice([-1e-1, -1e-2, -1e-4, 1e-4, 1e-2, 1e-1], 3_000)
    azimuth = rng.uniform(0, 360, 3_000)
    lon, lat, _ = WGS84.fwd(np.full(3_000, lon0), np.full(3_000, lat0), azimuth, radius_m + off_m)
    arena, shape = packed_circle(lon0, lat0, radius_m)
    for turns in (-360, 0, 360):
        assert (answers(arena, shape, np.asarray(lon) + turns, lat) == (off_m < 0)).all()


def test_a_circle_covers_its_centre_and_a_point_at_its_very_radius():
    arena, shape = packed_circle(10.0, 50.0, 0.0)
    assert covers(arena, shape, 10.0, 50.0)
    assert not covers(arena, shape, 10.0, 50.0000001)
    arena, shape = packed_circle(0.0, 0.0, 111_319.49079327358)  # a degree of the equator
    assert covers(arena, shape, 1.0, 0.0)
    assert not covers(arena, shape, 1.0000000001, 0.0)


CORRIDORS = [
    ([(9.0, 50.0), (9.1, 50.1), (9.3, 50.05)], 150.0),
    ([(179.9, 10.0), (180.1, 10.02), (180.3, 9.9)], 500.0),
    ([(20.0, 89.0), (24.0, 89.3)], 2_000.0),
    ([(9.0, 50.0), (9.0, 50.0)], 75.0),
]


@pytest.mark.parametrize(("line", "half_width_m"), CORRIDORS)
def test_a_corridor_covers_what_is_near_its_line(line, half_width_m):
    line = np.array(line)
    rng = np.random.default_rng(6)
    along = np.linspace(0, 1, 20_001)[:, None]
    dense = np.concatenate([a + along * (b - a) for a, b in pairwise(line)])
    start = dense[rng.integers(0, len(dense), 60)]
    off_m, azimuth = rng.uniform(0, 2 * half_width_m, 60), rng.uniform(0, 360, 60)
    lon, lat, _ = WGS84.fwd(start[:, 0], start[:, 1], azimuth, off_m)
    arena, shape = packed_corridor(line, half_width_m)
    for at_lon, at_lat in zip(lon, lat, strict=True):
        everywhere = np.full(len(dense), at_lon), np.full(len(dense), at_lat)
        nearest_m = WGS84.inv(*everywhere, dense[:, 0], dense[:, 1])[2].min()
        if abs(nearest_m - half_width_m) > 0.5:  # the dense line has gaps
            assert covers(arena, shape, at_lon, at_lat) == (nearest_m < half_width_m)
