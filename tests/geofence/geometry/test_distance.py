from itertools import product

import numpy as np
import pytest
import shapely
from pyproj import Geod
from shapely.affinity import translate

from geofence.geometry import containment, distance
from geofence.geometry.distance import (
    edge_distance_pairs_m,
    signed_distance_pairs_m,
    within_pairs_m,
)
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

WGS84 = Geod(ellps="WGS84")
covers = callable_from_python(containment.covers)
edge_distance_m = callable_from_python(distance.edge_distance_m)
signed_distance_m = callable_from_python(distance.signed_distance_m)
within_m = callable_from_python(distance.within_m)
_PARTS = 8  # of an edge, each with one nearest place


def least_m(rows, lon, lat) -> float:
    """Return the least geodesic distance to any place of the edges, by asking at ever closer
    places.
    """
    start, end = rows[:-1], rows[1:]
    whole = ~np.isnan(start + end).any(axis=1)
    first = np.repeat(np.arange(_PARTS) / _PARTS, np.count_nonzero(whole))
    last = first + 1 / _PARTS
    start, step = np.tile(start[whole], (_PARTS, 1)), np.tile((end - start)[whole], (_PARTS, 1))
    best_m = np.inf
    for _ in range(13):
        along = np.linspace(first, last, 9)
        place = start + along[:, :, None] * step
        here = np.full(along.shape, lon), np.full(along.shape, lat)
        metres = WGS84.inv(*here, place[:, :, 0], place[:, :, 1])[2]
        nearest, nearest_m = metres.argmin(axis=0), metres.min(axis=0)
        best_m = min(best_m, nearest_m.min())
        # Between two places of a part nothing is nearer than either by half their distance.
        lons, lats = place[:, :, 0], place[:, :, 1]
        apart_m = WGS84.inv(lons[:-1], lats[:-1], lons[1:], lats[1:])[2].max(axis=0)
        width = (last - first) / 8
        best = along[nearest, np.arange(len(start))]
        first, last = np.maximum(best - width, first), np.minimum(best + width, last)
        near = nearest_m - apart_m <= best_m
        start, step, first, last = start[near], step[near], first[near], last[near]
    return float(best_m)


def beside(rng, rows, most_m, count):
    """Return points up to `most_m` away from random places of the edges, most of them close."""
    rows = rows[~np.isnan(rows).any(axis=1)]
    edge = rng.integers(0, len(rows) - 1, count)
    place = rows[edge] + rng.uniform(0, 1, (count, 1)) * (rows[edge + 1] - rows[edge])
    length_m = most_m * rng.uniform(0, 1, count) ** 3
    lon, lat, _ = WGS84.fwd(place[:, 0], place[:, 1], rng.uniform(0, 360, count), length_m)
    return np.asarray(lon), np.asarray(lat)


RINGS = {
    "a jagged star": ring_rows(star(np.random.default_rng(2), 25, holes=2)),
    "a star far north": ring_rows(translate(star(np.random.default_rng(2), 25), 0, 33)),
    "over 180": ring_rows(translate(star(np.random.default_rng(3), 25), 170, -50)),
    "round a pole": np.array([(lon, 89.97) for lon in range(-180, 181, 45)], np.float64),
    "beside a pole": np.array([(10, 89.9), (80, 89.95), (100, 89.999), (10, 89.9)], np.float64),
    "a whole parallel": np.array([(-170, 60), (190, 60), (190, 65), (-170, 65), (-170, 60)], float),
    "long edges": np.array([(-20, 20), (70, 45), (0, 80), (-20, 20)], np.float64),
}


@pytest.mark.parametrize("name", RINGS)
@pytest.mark.parametrize(("most_m", "error_m"), [(2e4, 1e-3), (3e5, 0.5)])
def test_the_distance_to_an_area_is_the_least_geodesic_one(name, most_m, error_m):
    rows = RINGS[name]
    rng = np.random.default_rng(len(rows))
    lon, lat = beside(rng, rows, most_m, 30)
    packed = [packed_rows(rows, slabs=slabs) for slabs in (False, True)]
    for at_lon, at_lat in zip(lon, lat, strict=True):
        truth_m = least_m(rows, at_lon, at_lat)
        for (arena, shape), turns in product(packed, (-360, 0)):
            mine_m = edge_distance_m(arena, shape, at_lon + turns, at_lat)
            assert mine_m == pytest.approx(truth_m, abs=error_m)


def test_of_many_vertices_the_nearest_is_found_from_everywhere():
    rows = ring_rows(star(np.random.default_rng(8), 3_000))
    plain, shape = packed_rows(rows)
    slabbed, with_slabs = packed_rows(rows, slabs=True)
    rng = np.random.default_rng(9)
    lon, lat = rng.uniform(-170, 170, 300), rng.uniform(-89, 89, 300)
    lon[100:], lat[100:] = rng.uniform(8, 12, 200), rng.uniform(48, 52, 200)
    every = edge_distance_pairs_m(plain, repeated(shape, 300), lon, lat)
    assert (edge_distance_pairs_m(slabbed, repeated(with_slabs, 300), lon, lat) == every).all()
    for row in (0, 100, 200):
        assert every[row] == pytest.approx(least_m(rows, lon[row], lat[row]), abs=0.01, rel=1e-6)


def test_it_is_negative_inside_and_in_a_hole_positive():
    area = shapely.box(0, 0, 4, 4).difference(shapely.box(1, 1, 3, 3))
    arena, shape = packed_area(area)
    signs = {(0.5, 2): -1, (2, 2): 1, (5, 2): 1, (4, 2): 0, (3, 3): 0}
    found = {at: signed_distance_m(arena, shape, *map(float, at)) for at in signs}
    assert {at: round(np.sign(np.round(value, 6))) for at, value in found.items()} == signs


def test_what_only_closes_a_shape_has_no_distance():
    edge = [(-180.0, -70.0), (180.0, -70.0), (np.nan, np.nan)]
    closing = [(180.0, -70.0), (180.0, -90.0), (-180.0, -90.0), (-180.0, -70.0)]
    for slabs in (False, True):
        arena, shape = packed_rows(np.array(edge + closing), real=len(edge), slabs=slabs)
        truth_m = WGS84.inv(0, -70, 0, -80)[2]
        for lon in (180.0, 0.0):
            assert signed_distance_m(arena, shape, lon, -80.0) == pytest.approx(-truth_m, rel=1e-9)


def test_circles_and_corridors_are_measured_from_centre_and_line():
    arena, shape = packed_circle(10.0, 50.0, 500.0)
    lon, lat, _ = WGS84.fwd(10, 50, 77, 620.0)
    assert signed_distance_m(arena, shape, lon, lat) == pytest.approx(120.0, abs=1e-6)
    assert signed_distance_m(arena, shape, 10.0, 50.0) == -500.0
    assert edge_distance_m(arena, shape, 10.0, 50.0) == 500.0
    line = np.array([(179.9, 0.0), (180.1, 0.0)])
    arena, shape = packed_corridor(line, 250.0)
    north_m = WGS84.inv(0, 0, 0, 0.01)[2]
    for turns in (-360, 0, 360):
        distance_m = signed_distance_m(arena, shape, 180.0 + turns, 0.01)
        assert distance_m == pytest.approx(north_m - 250, abs=1e-6)


@pytest.mark.parametrize("margin_m", [0.0, 3.0, 120.0, 9_000.0])
@pytest.mark.parametrize(
    "name", ["a jagged star", "a star far north", "beside a pole", "circle", "line"]
)
def test_within_a_margin_is_what_the_signed_distance_says(name, margin_m):
    line = np.array([(9.0, 50.0), (9.1, 50.1), (9.3, 50.05)])
    rows = RINGS.get(name, line)
    radius_m = {"circle": 300.0, "line": 80.0}.get(name, np.nan)
    arena, shape = packed_rows(line[:1] if name == "circle" else rows, radius_m)
    rng = np.random.default_rng(7)
    lon, lat = beside(rng, rows, 3 * max(margin_m, 100.0), 2_000)
    signed_m = signed_distance_pairs_m(arena, repeated(shape, len(lon)), lon, lat)
    found = within_pairs_m(arena, repeated(shape, len(lon)), lon, lat, np.full(len(lon), margin_m))
    clear = np.abs(signed_m - margin_m) > 1e-6
    assert (found == (signed_m <= margin_m))[clear].all()
    assert 0 < np.count_nonzero(found) < len(found)


def test_on_the_edge_nothing_is_outside_by_a_margin():
    arena, shape = packed_area(shapely.box(0, 0, 1, 1))
    for margin_m in (0.0, 1.0):
        assert covers(arena, shape, 1.0, 0.3)
        assert within_m(arena, shape, 1.0, 0.3, margin_m)
    assert not within_m(arena, shape, 1.00001, 0.3, 1.0)
    assert within_m(arena, shape, 1.00001, 0.3, 1.2)
