"""Shapes as they are stored once they were checked: well-known binary, which numpy and GEOS read as
it stands.

A polygon or multipolygon is the area that `read_shape` gave, a corridor the LineString of its
vertices, a circle the Point of its centre. Width and radius are stored beside it.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import Any, NamedTuple

import shapely

from geofence.shapes.types import Circle, Corridor, Polygonal, Shape


class StoredShape(NamedTuple):
    """wkb: as `write_wkb` gives it. radius_m: of a circle. width_m: of a corridor."""

    wkb: bytes
    radius_m: float | None = None
    width_m: float | None = None


def write_wkb(shape: Shape) -> bytes:
    """Return the coordinates of a shape, to the last bit."""
    match shape:
        case Polygonal(geometry):
            written = geometry
        case Corridor(vertices):
            written = shapely.linestrings(vertices)
        case Circle(lon, lat):
            written = shapely.points(lon, lat)
    return bytes(shapely.to_wkb(written, byte_order=1))


def read_stored(stored: Sequence[StoredShape]) -> list[Shape]:
    """Return the shapes that were written."""
    geometries = shapely.from_wkb([row.wkb for row in stored])
    return [_shape(row, geometry) for row, geometry in zip(stored, geometries, strict=True)]


def _shape(stored: StoredShape, geometry: Any) -> Shape:
    if stored.radius_m is not None:
        return Circle(geometry.x, geometry.y, stored.radius_m)
    if stored.width_m is not None:
        return Corridor(shapely.get_coordinates(geometry), stored.width_m)
    return Polygonal(geometry)
