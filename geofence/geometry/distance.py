"""Signed distances from points to packed shapes, in metres on the ellipsoid, compiled.

An area's distance is the least one to any place of its rings; a circle's the distance to its centre
and a corridor's that to its line, less the radius. Right to 1 cm below 100 km.
"""

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.containment import axis_within_m, covers
from geofence.geometry.edges import line_distance_m, line_within_m
from geofence.geometry.geodesic import geodesic_m
from geofence.geometry.packing import Arena
from geofence.kernel.compiled import bare, compiled


@bare
def edge_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Return the least geodesic distance to the shape's edge in metres, never negative."""
    if np.isnan(shape["radius_m"]):
        return line_distance_m(arena, shape, lon, lat)
    return abs(_axis_distance_m(arena, shape, lon, lat) - shape["radius_m"])


@bare
def signed_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Return the least geodesic distance to the shape's edge in metres, negative inside.

    lon, lat: degrees; for an area in the shape's own frame, moved there by whole turns.
    """
    if np.isnan(shape["radius_m"]):
        distance_m = line_distance_m(arena, shape, lon, lat)
        return -distance_m if covers(arena, shape, lon, lat) else distance_m
    return _axis_distance_m(arena, shape, lon, lat) - shape["radius_m"]


@bare
def within_m(arena: Arena, shape: np.void, lon: float, lat: float, margin_m: float) -> bool:
    """Return whether the point is in the shape, or outside by at most `margin_m` (0 or more)."""
    if np.isnan(shape["radius_m"]):
        if margin_m > 0.0 and line_within_m(arena, shape, lon, lat, margin_m):
            return True
        return covers(arena, shape, lon, lat)
    return axis_within_m(arena, shape, lon, lat, shape["radius_m"] + margin_m)


@bare
def deeper_m(arena: Arena, shape: np.void, lon: float, lat: float, depth_m: float) -> bool:
    """Return whether a point that lies in the shape is farther than `depth_m` (above 0) from its
    edge.
    """
    if np.isnan(shape["radius_m"]):
        return not line_within_m(arena, shape, lon, lat, depth_m)
    reach_m = shape["radius_m"] - depth_m
    return reach_m > 0.0 and axis_within_m(arena, shape, lon, lat, reach_m)


@bare
def _axis_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Return distance to a circle's centre or a corridor's line."""
    if shape["last"] - shape["first"] > 1:
        return line_distance_m(arena, shape, lon, lat)
    centre = shape["first"]
    return geodesic_m(arena.vertices[centre, 0], arena.vertices[centre, 1], lon, lat)


@compiled
def edge_distance_pairs_m(
    arena: Arena, shapes: NDArray[np.void], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Apply `edge_distance_m` to point i and shape i. shapes: SHAPE_DTYPE, (n,); lon, lat: (n,)."""
    result = np.empty(len(lon))
    for row in range(len(lon)):
        result[row] = edge_distance_m(arena, shapes[row], lon[row], lat[row])
    return result


@compiled
def signed_distance_pairs_m(
    arena: Arena, shapes: NDArray[np.void], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Apply `signed_distance_m` to point i and shape i. shapes: SHAPE_DTYPE, (n,);
    lon, lat: (n,).
    """
    result = np.empty(len(lon))
    for row in range(len(lon)):
        result[row] = signed_distance_m(arena, shapes[row], lon[row], lat[row])
    return result


@compiled
def within_pairs_m(
    arena: Arena,
    shapes: NDArray[np.void],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    margin_m: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Apply `within_m` to point i, shape i and margin i. shapes: SHAPE_DTYPE, (n,); the others
    (n,).
    """
    result = np.empty(len(lon), dtype=np.bool_)
    for row in range(len(lon)):
        result[row] = within_m(arena, shapes[row], lon[row], lat[row], margin_m[row])
    return result
