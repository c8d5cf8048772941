"""How large shapes are, held against formulas and known countries' worth of land."""

import math

import pytest

from geofence.geometry.measures import measures
from geofence.shapes.geojson import read_shape

DEGREE_M = 111_319.49  # of longitude at the equator


def square(west: float, south: float, east: float, north: float) -> list[list[float]]:
    return [[west, south], [east, south], [east, north], [west, north], [west, south]]


def polygon(*rings: list[list[float]]) -> dict[str, object]:
    return {"type": "Polygon", "coordinates": list(rings)}


def test_a_square_at_the_equator() -> None:
    found = measures(read_shape(polygon(square(10, 0, 11, 1))))
    assert found.area_m2 == pytest.approx(DEGREE_M * 110_574, rel=0.001)
    assert found.bbox == (10, 0, 11, 1)


def test_a_hole_is_not_counted_whichever_way_it_turns() -> None:
    outer, hole = square(0, 0, 1, 1), square(0.25, 0.25, 0.75, 0.75)
    whole = measures(read_shape(polygon(outer))).area_m2
    for ring in (hole, hole[::-1]):
        left = measures(read_shape(polygon(outer, ring))).area_m2
        assert left == pytest.approx(whole * 0.75, rel=0.001)


def test_parts_are_added() -> None:
    parts = [[square(0, 0, 1, 1)], [square(5, 0, 6, 1)]]
    both = measures(read_shape({"type": "MultiPolygon", "coordinates": parts}))
    one = measures(read_shape(polygon(square(0, 0, 1, 1))))
    assert both.area_m2 == pytest.approx(2 * one.area_m2)
    assert both.bbox == (0, 0, 6, 1)


def test_a_circle_and_its_box_hold_each_other_close() -> None:
    found = measures(read_shape({"type": "Point", "coordinates": [8.3, 47]}, radius_m=1000))
    assert found.area_m2 == pytest.approx(math.pi * 1e6)
    west, south, east, north = found.bbox
    assert (north - south) * 111_000 == pytest.approx(2000, rel=0.03)
    assert (east - west) * DEGREE_M * math.cos(math.radians(47)) == pytest.approx(2000, rel=0.03)


def test_a_corridor_is_about_its_length_by_its_width() -> None:
    line = {"type": "LineString", "coordinates": [[0, 0], [0.1, 0]]}
    found = measures(read_shape(line, width_m=20))
    assert found.area_m2 == pytest.approx(0.1 * DEGREE_M * 20 + math.pi * 100, rel=0.001)
    assert found.bbox[0] < 0 < 0.1 < found.bbox[2] < 0.1002


def test_a_box_over_the_180th_meridian_has_its_west_in_the_east() -> None:
    found = measures(read_shape(polygon(square(179, -1, 181, 1))))
    assert found.bbox == (179, -1, -179, 1)
    assert found.area_m2 == pytest.approx(4 * DEGREE_M * 110_574, rel=0.001)


@pytest.mark.parametrize("lat", [89.999, -89.999])
def test_what_reaches_a_pole_is_as_wide_as_the_world(lat: float) -> None:
    found = measures(read_shape({"type": "Point", "coordinates": [20, lat]}, radius_m=5000))
    assert (found.bbox[0], found.bbox[2]) == (-180, 180)
