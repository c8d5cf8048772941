"""Shapes: inside by exact rules, distances against independent geodesics."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.geometry.queries import covers, signed_distance_m
from geofence.shapes.types import Circle, Corridor, Polygonal
from tests.geofence.ellipsoid import WGS84

SQUARE = Polygonal(
    shapely.Polygon([(0, 0), (4, 0), (4, 4), (0, 4)], holes=[[(1, 1), (3, 1), (3, 3), (1, 3)]])
)


@pytest.mark.parametrize(
    ("lon", "lat", "inside"),
    [
        (0.5, 0.5, True),
        (0, 0, True),  # a vertex
        (4, 2, True),  # on an edge
        (2, 2, False),  # in the hole
        (1, 1, True),  # a vertex of the hole
        (1, 2, True),  # on an edge of the hole
        (np.nextafter(4, 5), 2, False),
        (np.nextafter(1, 2), 2, False),
        (-1, 2, False),
    ],
)
def test_a_polygon_holds_its_edges_and_not_its_holes(lon, lat, inside):
    assert covers(SQUARE, [lon], [lat]).tolist() == [inside]


@given(
    lon=st.floats(-180, 180),
    lat=st.floats(-90, 90),
    radius_m=st.floats(1, 900_000),
    bearing=st.floats(0, 360),
)
def test_a_circle_ends_at_its_radius(lon, lat, radius_m, bearing):
    circle = Circle(lon, lat, radius_m)
    for share, inside in ((1 - 1e-6, True), (1 + 1e-6, False)):
        edge_lon, edge_lat, _ = WGS84.fwd(lon, lat, bearing, radius_m * share)
        assert covers(circle, [edge_lon], [edge_lat]).tolist() == [inside]


def test_a_corridor_has_round_ends_and_half_its_width_on_either_side():
    corridor = Corridor(np.array([[8.0, 0.0], [8.01, 0.0]]), width_m=200.0)
    metre = 1 / 111_319.49079327358  # of longitude, on the equator
    lon = [8.005, 8.005, 8 - 99 * metre, 8 - 101 * metre, 8.01 + 80 * metre]
    lat = [99 / 110_574, 101 / 110_574, 0.0, 0.0, 80 / 110_574]
    assert covers(corridor, lon, lat).tolist() == [True, False, True, False, False]
    found = signed_distance_m(corridor, lon, lat)
    assert found == pytest.approx([-1, 1, -1, 1, 80 * 2**0.5 - 100], abs=0.01)


@given(
    lat=st.floats(-80, 80),
    size_deg=st.floats(1e-4, 0.1),
    east=st.floats(-0.1, 0.2),
    north=st.floats(-0.1, 0.2),
)
def test_distance_to_an_edge_is_the_least_over_all_its_points(lat, size_deg, east, north):
    triangle = shapely.Polygon([(8, lat), (8 + size_deg, lat), (8, lat + size_deg)])
    lon, at_lat = 8 + east, lat + north
    found = signed_distance_m(Polygonal(triangle), [lon], [at_lat])[0]
    dense = shapely.get_coordinates(shapely.segmentize(triangle.exterior, size_deg / 3000))
    away_m = WGS84.inv(
        np.full(len(dense), lon), np.full(len(dense), at_lat), dense[:, 0], dense[:, 1]
    )[2]
    step_m = 111_700 * size_deg / 3000
    # A point of the dense edge lies within half a step of the nearest one.
    slack_m = np.hypot(away_m.min(), step_m) - away_m.min() + 0.01
    assert away_m.min() - slack_m <= abs(found) <= away_m.min() + 0.01
    assert (found < 0) == (triangle.covers(shapely.Point(lon, at_lat)) and found != 0)


def test_distance_is_negative_inside_and_zero_on_an_edge():
    metre = 1 / 111_319.49079327358
    found = signed_distance_m(SQUARE, [5 * metre, -5 * metre, 2.0], [0.5, 0.5, 0.0])
    assert found == pytest.approx([-5, 5, 0], abs=0.01)


def test_distance_goes_the_short_way_round_the_globe():
    shape = Polygonal(shapely.box(179, -1, 180, 1))
    assert signed_distance_m(shape, [-179.999], [0.0])[0] == pytest.approx(111.32, abs=0.01)


def test_no_points_have_no_distances():
    assert signed_distance_m(SQUARE, [], []).tolist() == []
