"""The shapes that a zone can have, and the two questions asked of them: inside, and how far.

WGS 84 in degrees, longitude before latitude. A polygon's edges are straight lines in the
longitude/latitude plane, as in RFC 7946 and PostGIS `geometry`; a circle is a distance on the
ellipsoid, never a polygon of some number of corners, and so is a corridor's width. A point on an
edge or a vertex is inside.

The questions here are for one shape and many points; `geofence.zones.index` is for many shapes.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geofence.geometry.containment import covers_pairs
from geofence.geometry.distance import edge_distance_pairs_m, signed_distance_pairs_m
from geofence.geometry.packing import Arena, pack
from geofence.shapes.types import Polygonal, Shape

_ROUNDING = 1e-12  # of turns: a point at the very west of an area is not missed


def covers(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
    """Return a mask of the points that lie in the shape or on its edge.

    Longitudes may be given with any number of whole turns.
    """
    lon, lat = _float_arrays(lon, lat)
    arena, records = pack([shape])
    repeated = np.repeat(records, len(lon))
    if isinstance(shape, Polygonal):
        return _area_covers(arena, repeated, *_span(shape), lon, lat)
    return covers_pairs(arena, repeated, lon, lat)


def has_compiled_distances() -> bool:
    """Return whether this process has the compiled code of `signed_distance_m` for all shapes. Else
    a call may load it, which takes 0.2 s, or compile it, which takes ten or more.
    """
    functions: Any = (signed_distance_pairs_m, edge_distance_pairs_m)
    return all(function.signatures for function in functions)


def signed_distance_m(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Return distances of points to the shape's edge in metres, negative inside. (n,) -> float64
    (n,).
    """
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
    """Return whether the area between two longitudes covers the points in any turn in which it
    could.
    """
    turns = np.ceil((west - lon) / 360 - _ROUNDING)
    result = np.zeros(len(lon), dtype=bool)
    while len(rows := np.flatnonzero(~result & (lon + 360 * turns <= east))):
        turned = lon[rows] + 360 * turns[rows]
        result[rows] = covers_pairs(arena, area[rows], turned, lat[rows])
        turns += 1
    return result


def _float_arrays(lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    return np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
