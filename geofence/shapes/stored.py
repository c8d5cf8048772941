"""Shapes as they are stored once they were checked: well-known binary, which numpy and GEOS read as
it stands.

A polygon or multipolygon is the area that `read_shape` gave, a corridor the LineString of its
vertices, a circle the Point of its centre. Width and radius are stored beside it.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes.antimeridian import POLAR_LAT_DEG
from geofence.shapes.geojson import read_shape
from geofence.shapes.types import Circle, Corridor, Polygonal, Shape

_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


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


class CheckedGeometry(NamedTuple):
    """A GeoJSON geometry that `read_shape` has let through before, as its text."""

    text: str
    radius_m: float | None = None
    width_m: float | None = None


def read_checked(checked: Sequence[CheckedGeometry]) -> list[Shape]:
    """Return the shapes, as `read_shape` gave them. Raises ShapeError where one is not plain, and
    no shape.

    `read_shape` spends most of its time on whether rings bound an area. Plain areas, which stay
    clear of the 180th meridian and of the poles, need no second look; all other shapes go through
    it again, which lays them out.
    """
    geometries = shapely.from_geojson([row.text for row in checked], on_invalid="ignore")
    shapes: list[Shape] = []
    for row, geometry, plain in zip(checked, geometries, _is_plain(geometries), strict=True):
        if plain:
            shapes.append(Polygonal(geometry))
        else:
            document = json.loads(row.text)
            shapes.append(read_shape(document, radius_m=row.radius_m, width_m=row.width_m))
    return shapes


def _is_plain(geometries: NDArray[Any]) -> NDArray[np.bool_]:
    """Return areas in two dimensions within half a turn, clear of the 180th meridian and the poles;
    (n,).

    Among such no edge leaps, and no ring goes round the axis.
    """
    kind = shapely.get_type_id(geometries)
    west, south, east, north = shapely.bounds(geometries).reshape(-1, 4).T
    plain = np.isin(kind, _AREAS) & ~shapely.has_z(geometries)
    plain &= (west > -180) & (east < 180) & (east - west <= 180)
    return plain & (south > -POLAR_LAT_DEG) & (north < POLAR_LAT_DEG)
