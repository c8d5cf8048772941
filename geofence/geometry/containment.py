"""The test whether a point lies in a packed shape or on its edge, compiled.

Areas: a ray from the point to the east crosses an odd number of edges; exact, with an edge or a
vertex counted as inside, as in GEOS (`covers`). Circles and corridors: by the distance on the
ellipsoid, which two bounds from the sphere or the plane spare for most points.
"""

import math

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.edges import line_within_m
from geofence.geometry.geodesic import GREATEST_RADIUS_M, LEAST_RADIUS_M, geodesic_m
from geofence.geometry.latitude_bands import band_of
from geofence.geometry.orientation import orientation
from geofence.geometry.packing import Arena
from geofence.kernel.compiled import bare, compiled

_NOTHING, _CROSSED, _ON_IT = 0, 1, 2
_SLACK = 1e-9  # for rounding, relative; far less than two such bounds lie apart


@bare
def covers(arena: Arena, shape: np.void, lon: float, lat: float) -> bool:
    """Return whether the point lies in the shape or on its edge.

    lon, lat: degrees; for an area in the shape's own frame, moved there by whole turns.
    """
    if np.isnan(shape["radius_m"]):
        if shape["slabs"] > 0:
            return _slab_covers(arena, shape, lon, lat)
        return _area_covers(arena.vertices, shape["first"], shape["last"], lon, lat)
    return axis_within_m(arena, shape, lon, lat, shape["radius_m"])


@bare
def axis_within_m(arena: Arena, shape: np.void, lon: float, lat: float, reach_m: float) -> bool:
    """Return whether a circle's centre or a corridor's line is at most `reach_m` away."""
    if shape["last"] - shape["first"] == 1:
        return _centre_within_m(arena.vertices, shape["first"], lon, lat, reach_m)
    return line_within_m(arena, shape, lon, lat, reach_m)


@bare
def _area_covers(
    vertices: NDArray[np.float64], first: int, last: int, lon: float, lat: float
) -> bool:
    rows = vertices[first:last]  # from 0 on, so that no index is looked at for its sign
    inside = False
    above0 = rows[0, 1] - lat
    for edge in range(len(rows) - 1):
        above1 = rows[edge + 1, 1] - lat
        if above0 * above1 <= 0.0:  # never where one is NaN
            # Without a branch for east or west: which one it is cannot be foreseen.
            east = (rows[edge, 0] > lon) & (rows[edge + 1, 0] > lon)
            west = (rows[edge, 0] < lon) & (rows[edge + 1, 0] < lon)
            if east | west:
                inside ^= east & ((above0 > 0.0) != (above1 > 0.0))
            else:
                met = _meeting(rows, edge, lon, lat)
                if met == _ON_IT:
                    return True
                inside ^= met == _CROSSED
        above0 = above1
    return inside


@bare
def _slab_covers(arena: Arena, shape: np.void, lon: float, lat: float) -> bool:
    vertices = arena.vertices
    slab = shape["slab"] + band_of(lat, shape["slab_south"], shape["slabs_per_deg"], shape["slabs"])
    edges = arena.slab_edge[arena.slab_start[slab] : arena.slab_start[slab + 1]]
    inside = False
    for entry in range(len(edges)):
        edge = edges[entry]
        above0, above1 = vertices[edge, 1] - lat, vertices[edge + 1, 1] - lat
        if above0 * above1 <= 0.0:
            east = (vertices[edge, 0] > lon) & (vertices[edge + 1, 0] > lon)
            west = (vertices[edge, 0] < lon) & (vertices[edge + 1, 0] < lon)
            if east | west:
                inside ^= east & ((above0 > 0.0) != (above1 > 0.0))
            else:
                met = _meeting(vertices, edge, lon, lat)
                if met == _ON_IT:
                    return True
                inside ^= met == _CROSSED
    return inside


@bare
def _meeting(vertices: NDArray[np.float64], edge: int, lon: float, lat: float) -> int:
    """Classify how the ray to the east meets an edge that lies neither wholly east nor wholly west.

    The edge's closed range of latitudes holds `lat`. An edge counts as crossed by one of its ends:
    the upper one. So a ray through a vertex crosses the two edges there once, or twice where they
    turn back.
    """
    lon0, lat0 = vertices[edge, 0], vertices[edge, 1]
    lon1, lat1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
    if lat0 == lat1:
        return _ON_IT if lat0 == lat else _NOTHING
    if (lat0 == lat and lon0 == lon) or (lat1 == lat and lon1 == lon):
        return _ON_IT
    if (lat0 > lat) == (lat1 > lat):
        return _NOTHING
    side = orientation(lon0, lat0, lon1, lat1, lon, lat)
    if side == 0:
        return _ON_IT
    return _CROSSED if (side > 0) == (lat1 > lat0) else _NOTHING


@bare
def _centre_within_m(
    vertices: NDArray[np.float64], centre: int, lon: float, lat: float, reach_m: float
) -> bool:
    north = math.radians(lat - vertices[centre, 1])
    if abs(north) * LEAST_RADIUS_M > reach_m * (1 + _SLACK):
        return False
    east = math.radians(lon - vertices[centre, 0])
    sin_north, sin_east = math.sin(north / 2), math.sin(east / 2)
    cosines = math.cos(math.radians(lat)) * math.cos(math.radians(vertices[centre, 1]))
    # The square of the chord on the unit sphere. Up to a chord of 1, the angle is longer by less
    # than a twentieth of that square.
    square = 4 * (sin_north * sin_north + cosines * sin_east * sin_east)
    limit_m2 = reach_m * reach_m
    if square * LEAST_RADIUS_M * LEAST_RADIUS_M > limit_m2 * (1 + _SLACK):
        return False
    longest_m = (1 + square / 20) * GREATEST_RADIUS_M
    if square < 1.0 and square * longest_m * longest_m < limit_m2 * (1 - _SLACK):
        return True
    return geodesic_m(vertices[centre, 0], vertices[centre, 1], lon, lat) <= reach_m


@compiled
def covers_pairs(
    arena: Arena, shapes: NDArray[np.void], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Return whether shape i covers point i. shapes: SHAPE_DTYPE, (n,); lon, lat: (n,) -> (n,)."""
    result = np.empty(len(lon), dtype=np.bool_)
    for row in range(len(lon)):
        result[row] = covers(arena, shapes[row], lon[row], lat[row])
    return result
