"""What is read back from binary is what the first look gave."""

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.shapes.geojson import ShapeError, read_shape
from geofence.shapes.stored import StoredShape, read_stored, write_wkb
from geofence.shapes.types import Circle, Corridor, Polygonal

SQUARE = [[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
HOLE = [[0.2, 0.1], [0.8, 0.1], [0.8, 0.7], [0.2, 0.1]]
AROUND = [[-180, 80], [-60, 70], [60, 70], [180, 80], [-180, 80]]  # the pole is in it
SHAPES: list[tuple[dict[str, Any], float | None, float | None]] = [
    ({"type": "Polygon", "coordinates": [SQUARE]}, None, None),
    ({"type": "Polygon", "coordinates": [SQUARE, HOLE]}, None, None),
    ({"type": "Polygon", "coordinates": [[[*at, 100.0] for at in SQUARE]]}, None, None),
    (
        {
            "type": "MultiPolygon",
            "coordinates": [[SQUARE], [[[lon + 2, lat] for lon, lat in SQUARE]]],
        },
        None,
        None,
    ),
    (
        {
            "type": "MultiPolygon",
            "coordinates": [[[[lon + shift, lat] for lon, lat in SQUARE]] for shift in (178, -178)],
        },
        None,
        None,
    ),
    ({"type": "Polygon", "coordinates": [[[lon + 179.5, lat] for lon, lat in SQUARE]]}, None, None),
    (
        {"type": "Polygon", "coordinates": [[[179, 0], [-179, 0], [-179, 1], [179, 1], [179, 0]]]},
        None,
        None,
    ),
    ({"type": "Polygon", "coordinates": [AROUND]}, None, None),
    ({"type": "Point", "coordinates": [13.4, 52.5]}, 250.0, None),
    ({"type": "LineString", "coordinates": [[13.4, 52.5], [13.5, 52.6]]}, None, 30.0),
]


@pytest.mark.parametrize("number", range(len(SHAPES)))
def test_each_kind_of_shape_is_read_as_it_was_when_it_was_checked(number: int) -> None:
    geometry, radius_m, width_m = SHAPES[number]
    first = read_shape(geometry, radius_m=radius_m, width_m=width_m)
    stored = [
        StoredShape(write_wkb(read_shape(shape, radius_m=radius, width_m=width)), radius, width)
        for shape, radius, width in SHAPES
    ]
    _assert_same(read_stored(stored)[number], first)


_PLACES = st.lists(
    st.tuples(
        st.floats(-200, 200), st.floats(-89.9, 89.9), st.floats(0.001, 150), st.integers(3, 12)
    ),
    max_size=5,
)


@given(_PLACES)
def test_areas_anywhere_are_read_as_they_were(
    places: list[tuple[float, float, float, int]],
) -> None:
    known = [found for place in places if (found := _checked(*place)) is not None]
    stored = read_stored([StoredShape(write_wkb(first)) for first in known])
    for one, first in zip(stored, known, strict=True):
        _assert_same(one, first)


_POSITIONS = st.tuples(st.floats(-540, 540), st.floats(-90, 90))


@given(st.lists(_POSITIONS, min_size=2, max_size=9), st.floats(0.001, 100_000))
def test_lines_and_circles_anywhere_are_read_from_their_binary_to_the_last_bit(
    positions: list[tuple[float, float]], metres: float
) -> None:
    circle = read_shape({"type": "Point", "coordinates": positions[0]}, radius_m=metres)
    _assert_same(read_stored([StoredShape(write_wkb(circle), metres)])[0], circle)
    try:
        line = read_shape({"type": "LineString", "coordinates": positions}, width_m=metres)
    except ShapeError:  # it goes round the axis too often
        return
    _assert_same(read_stored([StoredShape(write_wkb(line), None, metres)])[0], line)


@given(_PLACES)
def test_areas_of_several_parts_with_holes_are_read_from_their_binary_to_the_last_bit(
    places: list[tuple[float, float, float, int]],
) -> None:
    parts = [
        [_ring(lon, lat, size, corners), _ring(lon, lat, size / 3, corners)]
        for lon, lat, size, corners in places
    ]
    try:
        shape = read_shape({"type": "MultiPolygon", "coordinates": parts})
    except ShapeError:
        return
    _assert_same(read_stored([StoredShape(write_wkb(shape))])[0], shape)


def _checked(lon: float, lat: float, radius_deg: float, corners: int) -> Any:
    geometry = {"type": "Polygon", "coordinates": [_ring(lon, lat, radius_deg, corners)]}
    try:
        return read_shape(geometry)
    except ShapeError:
        return None


def _ring(lon: float, lat: float, radius_deg: float, corners: int) -> list[list[float]]:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = [
        [
            lon + radius_deg * float(np.cos(at)),
            min(max(lat + radius_deg * float(np.sin(at)), -90), 90),
        ]
        for at in angles
    ]
    return [*ring, ring[0]]


def _assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, Polygonal):
        assert shapely.equals_identical(one.geometry, other.geometry)
    elif isinstance(one, Corridor):
        assert np.array_equal(one.vertices, other.vertices)
        assert one.width_m == other.width_m
    else:
        assert isinstance(one, Circle)
        assert one == other
