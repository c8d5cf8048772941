"""The shapes that a zone can have, and the two questions asked of them: inside, and how far.

WGS 84 in degrees, longitude before latitude. A polygon's edges are straight lines in the
longitude/latitude plane, as in RFC 7946 and PostGIS `geometry`; a circle is a distance on the
ellipsoid, never a polygon of some number of corners, and so is a corridor's width. A point on an
edge or a vertex is inside.

The questions here are for one shape and many points; `geofence.index` is for many shapes.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod

from geofence.containment import covers_pairs
from geofence.distance import edge_distance_pairs_m, signed_distance_pairs_m
from geofence.outlines import (
    MAX_RADIUS_M,
    MAX_WIDTH_M,
    Circle,
    Corridor,
    Polygonal,
    Shape,
)
from geofence.packing import Arena, pack
from geofence.seams import as_area, folded

__all__ = [
    "MAX_RADIUS_M",
    "MAX_WIDTH_M",
    "WGS84",
    "Circle",
    "Corridor",
    "Polygonal",
    "Shape",
    "as_geometries",
    "boxes",
    "covers",
    "signed_distance_m",
    "signed_distances_m",
]

WGS84 = Geod(ellps="WGS84")

_ROUNDING = 1e-12  # of turns: a point at the very west of an area is not missed
_RADIANS_PER_M = 1.01 / 6_335_439.0  # never too small: see geofence.boxes


def covers(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
    """Which points lie in the shape or on its edge. lon, lat: degrees, shape (n,) -> bool (n,).

    Longitudes may be given with any number of whole turns.
    """
    lon, lat = _float_arrays(lon, lat)
    arena, records = pack([shape])
    repeated = np.repeat(records, len(lon))
    if isinstance(shape, Polygonal):
        return _area_covers(arena, repeated, *_span(shape), lon, lat)
    return covers_pairs(arena, repeated, lon, lat)


def signed_distance_m(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Distances of points to the shape's edge in metres, negative inside. (n,) -> float64 (n,)."""
    lon, lat = _float_arrays(lon, lat)
    arena, records = pack([shape])
    repeated = np.repeat(records, len(lon))
    if not isinstance(shape, Polygonal):
        return signed_distance_pairs_m(arena, repeated, lon, lat)
    edge_m = edge_distance_pairs_m(arena, repeated, lon, lat)
    return np.where(_area_covers(arena, repeated, *_span(shape), lon, lat), -edge_m, edge_m)


def _span(area: Polygonal) -> tuple[float, float]:
    west, _, east, _ = area.geometry.bounds
    return west, east


def _area_covers(
    arena: Arena,
    area: NDArray[np.void],
    west: float,
    east: float,
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Whether the area between two longitudes covers the points in any turn in which it could."""
    turns = np.ceil((west - lon) / 360 - _ROUNDING)
    result = np.zeros(len(lon), dtype=bool)
    while len(rows := np.flatnonzero(~result & (lon + 360 * turns <= east))):
        turned = lon[rows] + 360 * turns[rows]
        result[rows] = covers_pairs(arena, area[rows], turned, lat[rows])
        turns += 1
    return result


def _float_arrays(lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    return np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))


# What the index of shapely's geometries asks for -------------------------------------------------


def signed_distances_m(
    shapes: Sequence[Shape], lon: ArrayLike, lat: ArrayLike
) -> NDArray[np.float64]:
    """Distances of n points to the edges of n shapes, pair by pair, in metres, negative inside."""
    lon, lat = _float_arrays(lon, lat)
    pairs = zip(shapes, lon.tolist(), lat.tolist(), strict=True)
    return np.array([signed_distance_m(shape, x, y)[0] for shape, x, y in pairs], np.float64)


def as_geometries(shapes: Any) -> NDArray[np.object_]:
    """Polygonal shapes as prepared geometries in [-180, 180]; None in the place of a circle."""
    array = np.empty(len(shapes), dtype=object)
    for number, shape in enumerate(shapes):
        if isinstance(shape, Corridor):
            raise TypeError("a corridor is no geometry")
        array[number] = None if isinstance(shape, Circle) else _in_one_turn(shape)
    shapely.prepare(array)
    return array


def _in_one_turn(area: Polygonal) -> Any:
    west, _, east, _ = area.geometry.bounds
    return area.geometry if west >= -180 and east <= 180 else as_area(folded(area.geometry))


def boxes(shape: Shape) -> list[tuple[float, float, float, float]]:
    """One or two boxes (west, south, east, north) in [-180, 180] that hold the shape."""
    if isinstance(shape, Circle):
        return _circle_boxes(shape)
    west, south, east, north = as_geometries([shape])[0].bounds
    return [(west, south, east, north)]


def _circle_boxes(circle: Circle) -> list[tuple[float, float, float, float]]:
    angle = circle.radius_m * _RADIANS_PER_M
    lat_span = np.degrees(angle)
    south, north = circle.lat - lat_span, circle.lat + lat_span
    # On a sphere the meridians that touch a circle lie asin(sin(angle) / cos(lat)) away.
    sine = np.sin(angle) / max(np.cos(np.radians(circle.lat)), 1e-12)
    if south <= -90 or north >= 90 or sine >= 1:
        return [(-180.0, max(south, -90.0), 180.0, min(north, 90.0))]
    lon_span = 1.01 * np.degrees(np.arcsin(sine))
    west, east = circle.lon - lon_span, circle.lon + lon_span
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    if west < -180:
        return [(-180.0, south, east, north), (west + 360, south, 180.0, north)]
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]
