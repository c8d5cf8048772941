"""What is read back without a second look is what the first look gave."""

import json
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geofence.shapes.geojson import ShapeError, read_shape
from geofence.shapes.stored import StoredShape, read_stored
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
    stored = [StoredShape(json.dumps(shape), *measures) for shape, *measures in SHAPES]
    geometry, radius_m, width_m = SHAPES[number]
    first = read_shape(geometry, radius_m=radius_m, width_m=width_m)
    _assert_same(read_stored(stored)[number], first)


@given(
    st.lists(
        st.tuples(
            st.floats(-200, 200), st.floats(-89.9, 89.9), st.floats(0.001, 150), st.integers(3, 12)
        ),
        max_size=5,
    )
)
def test_areas_anywhere_are_read_as_they_were(
    places: list[tuple[float, float, float, int]],
) -> None:
    known = [found for place in places if (found := _checked(*place)) is not None]
    again = read_stored([StoredShape(json.dumps(geometry)) for geometry, _ in known])
    for one, (_, first) in zip(again, known, strict=True):
        _assert_same(one, first)


def _checked(lon: float, lat: float, radius_deg: float, corners: int) -> Any:
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    ring = [
        [
            lon + radius_deg * float(np.cos(at)),
            min(max(lat + radius_deg * float(np.sin(at)), -90), 90),
        ]
        for at in angles
    ]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    try:
        return geometry, read_shape(geometry)
    except ShapeError:
        return None


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
