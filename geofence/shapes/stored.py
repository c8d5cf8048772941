"""Shapes that were checked when they were stored, read back in bulk.

`read_shape` spends most of its time on whether rings bound an area. What it has let through needs
no second look: plain areas, which stay clear of the 180th meridian and of the poles, are taken as
they stand; all other shapes go through `read_shape` again, which lays them out.
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
from geofence.shapes.types import Polygonal, Shape

_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


class StoredShape(NamedTuple):
    """geometry: the text of a GeoJSON geometry."""

    geometry: str
    radius_m: float | None = None
    width_m: float | None = None


def read_stored(stored: Sequence[StoredShape]) -> list[Shape]:
    """Return the shapes, as `read_shape` gave them. Raises what it raises where one
    is not plain.
    """
    geometries = shapely.from_geojson([one.geometry for one in stored], on_invalid="ignore")
    shapes: list[Shape] = []
    for one, geometry, plain in zip(stored, geometries, _is_plain(geometries), strict=True):
        if plain:
            shapes.append(Polygonal(geometry))
        else:
            document = json.loads(one.geometry)
            shapes.append(read_shape(document, radius_m=one.radius_m, width_m=one.width_m))
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
