"""Coordinates of GeoJSON as arrays of numbers, each number checked.

Longitudes may run on past 180 by up to a turn, as where a line was drawn over the 180th meridian. A
position's third and further numbers are ignored. ShapeError names the place.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from geofence.shapes.errors import Rings, ShapeError

MAX_VERTICES = 100_000
MAX_LON_DEG = 540
MAX_LAT_DEG = 90


def read_polygons(coordinates: Any, pointer: str) -> list[Rings]:
    """Return the rings of each polygon of a MultiPolygon."""
    return [
        read_rings(rings, f"{pointer}/{number}")
        for number, rings in enumerate(_array(coordinates, pointer))
    ]


def read_rings(coordinates: Any, pointer: str) -> Rings:
    """Return the rings of a polygon, each (vertices, 2), as they stand."""
    return [
        read_line(positions, f"{pointer}/{number}", number)
        for number, positions in enumerate(_array(coordinates, pointer))
    ]


def read_line(positions: Any, pointer: str, ring: int | None = None) -> NDArray[np.float64]:
    """Return the positions of a line, or of a ring with its number: (vertices, 2)."""
    found = _array(positions, pointer)
    if len(found) > MAX_VERTICES:
        raise ShapeError(
            f"{_place(ring)} has {len(found):,} vertices: at most {MAX_VERTICES:,} are allowed",
            pointer,
            ring=ring,
        )
    pairs = [
        read_position(position, pointer, ring=ring, vertex=vertex)
        for vertex, position in enumerate(found)
    ]
    return np.array(pairs, dtype=np.float64)


def read_position(
    value: Any, pointer: str, *, ring: int | None = None, vertex: int | None = None
) -> tuple[float, float]:
    """Return a position's longitude and latitude, degrees. pointer: of the line, or of itself."""
    if isinstance(value, list | tuple) and len(cast("list[Any]", value)) >= 2:
        lon, lat = cast("list[Any]", value)[:2]
        problem = _problem(lon, "longitude", MAX_LON_DEG) or _problem(lat, "latitude", MAX_LAT_DEG)
        if problem is None:
            return float(lon), float(lat)
    else:
        problem = "a position is an array of longitude and latitude"
    if vertex is not None:
        problem = f"{_place(ring)} vertex {vertex}: {problem}"
        pointer = f"{pointer}/{vertex}"
    raise ShapeError(problem, pointer, ring=ring, vertex=vertex)


def _problem(number: Any, name: str, limit: int) -> str | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return f"{name} is not a number"
    if not -limit <= number <= limit:  # NaN lies in no range
        return f"{name} {str(number)[:24]} is not in [-{limit}, {limit}]"
    return None


def _place(ring: int | None) -> str:
    return "the line" if ring is None else f"ring {ring}"


def _array(value: Any, pointer: str) -> Sequence[Any]:
    if not isinstance(value, list | tuple) or not value:
        raise ShapeError("coordinates must be arrays that are not empty", pointer)
    return cast("list[Any]", value)
