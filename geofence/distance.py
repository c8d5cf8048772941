"""Signed distances from points to packed shapes, in metres on the ellipsoid, compiled.

An area's distance is the least one to any place of its rings; a circle's the distance to its centre
and a corridor's that to its line, less the radius. Right to 1 cm below 100 km.

`edge_distances_m` answers the same for areas that are shapely's geometries, many pairs at once: the
nearest place is looked for in the plane that touches the ellipsoid between point and edge; the
distance to it is then geodesic. Up to some tens of kilometres that stays within a centimetre.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

from geofence.compiled import bare, compiled
from geofence.containment import axis_within_m, covers
from geofence.edges import line_distance_m, line_within_m
from geofence.geodesic import geodesic_m
from geofence.packing import Arena

_WGS84 = Geod(ellps="WGS84")
_E2 = _WGS84.es
_A_M = _WGS84.a
_MAX_EDGES = 500_000  # held at a time


@bare
def edge_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Least geodesic distance to the shape's edge, never negative. lon, lat: degrees."""
    if np.isnan(shape["radius_m"]):
        return line_distance_m(arena, shape, lon, lat)
    return abs(_axis_distance_m(arena, shape, lon, lat) - shape["radius_m"])


@bare
def signed_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Least geodesic distance to the shape's edge, negative inside.

    lon, lat: degrees; for an area in the shape's own frame, moved there by whole turns.
    """
    if np.isnan(shape["radius_m"]):
        distance_m = line_distance_m(arena, shape, lon, lat)
        return -distance_m if covers(arena, shape, lon, lat) else distance_m
    return _axis_distance_m(arena, shape, lon, lat) - shape["radius_m"]


@bare
def within_m(arena: Arena, shape: np.void, lon: float, lat: float, margin_m: float) -> bool:
    """Whether the point is in the shape, or outside by at most `margin_m` (0 or more)."""
    if np.isnan(shape["radius_m"]):
        if margin_m > 0.0 and line_within_m(arena, shape, lon, lat, margin_m):
            return True
        return covers(arena, shape, lon, lat)
    return axis_within_m(arena, shape, lon, lat, shape["radius_m"] + margin_m)


@bare
def _axis_distance_m(arena: Arena, shape: np.void, lon: float, lat: float) -> float:
    """Distance to a circle's centre or a corridor's line."""
    if shape["last"] - shape["first"] > 1:
        return line_distance_m(arena, shape, lon, lat)
    centre = shape["first"]
    return geodesic_m(arena.vertices[centre, 0], arena.vertices[centre, 1], lon, lat)


@compiled
def edge_distance_pairs_m(
    arena: Arena, shapes: NDArray[np.void], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`edge_distance_m` of point i to shape i. shapes: SHAPE_DTYPE, (n,); lon, lat: (n,)."""
    result = np.empty(len(lon))
    for row in range(len(lon)):
        result[row] = edge_distance_m(arena, shapes[row], lon[row], lat[row])
    return result


@compiled
def signed_distance_pairs_m(
    arena: Arena, shapes: NDArray[np.void], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """`signed_distance_m` of point i to shape i. shapes: SHAPE_DTYPE, (n,); lon, lat: (n,)."""
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
    """`within_m` of point i, shape i and margin i. shapes: SHAPE_DTYPE, (n,); the others (n,)."""
    result = np.empty(len(lon), dtype=np.bool_)
    for row in range(len(lon)):
        result[row] = within_m(arena, shapes[row], lon[row], lat[row], margin_m[row])
    return result


# For shapely's geometries -----------------------------------------------------------------------


def edge_distances_m(
    geometries: NDArray[np.object_], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Geodesic distance of point i to the edge of geometry i, in metres, never negative.

    geometries: polygons or multipolygons, shape (n,), in degrees. lon, lat: degrees, shape (n,).
    """
    counts = shapely.get_num_coordinates(geometries)
    result = np.empty(len(lon))
    for rows in _portions(counts):
        result[rows] = _portion_m(geometries[rows], lon[rows], lat[rows])
    return result


def _portions(counts: NDArray[np.integer]) -> list[slice]:
    """Cut the rows so that a portion has at most _MAX_EDGES edges, or is a single row."""
    portion = np.cumsum(counts, dtype=np.int64) // _MAX_EDGES
    starts = np.flatnonzero(np.diff(portion, prepend=-1))
    return [
        slice(start, end)
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(counts)], strict=True)
    ]


def _portion_m(
    geometries: NDArray[np.object_], lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    row, start, end = _edges(geometries)
    # Longitudes relative to the point, the short way round.
    start_x = (start[:, 0] - lon[row] + 180) % 360 - 180
    start_y = start[:, 1] - lat[row]
    step_x, step_y = end[:, 0] - start[:, 0], end[:, 1] - start[:, 1]
    at_lat = lat[row]
    along = np.zeros(len(row))
    for _ in range(2):  # the second time the plane touches half-way to the place found first
        metres_x, metres_y = _metres_per_degree(at_lat)
        along = _nearest(
            start_x * metres_x, start_y * metres_y, step_x * metres_x, step_y * metres_y
        )
        at_lat = lat[row] + (start_y + along * step_y) / 2
    metres_x, metres_y = _metres_per_degree(at_lat)
    planar_m = np.hypot(
        (start_x + along * step_x) * metres_x, (start_y + along * step_y) * metres_y
    )
    nearest = _first_least(row, planar_m, len(lon))
    place_lon = lon + start_x[nearest] + along[nearest] * step_x[nearest]
    place_lat = np.clip(lat + start_y[nearest] + along[nearest] * step_y[nearest], -90, 90)
    return np.asarray(_WGS84.inv(lon, lat, place_lon, place_lat)[2], dtype=np.float64)


def _edges(
    geometries: NDArray[np.object_],
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Which geometry each edge belongs to, and the positions where it starts and ends."""
    parts, part_row = shapely.get_parts(geometries, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    positions, ring = shapely.get_coordinates(rings, return_index=True)
    within = ring[:-1] == ring[1:]
    row = part_row[ring_part[ring[:-1][within]]]
    return row, positions[:-1][within], positions[1:][within]


def _metres_per_degree(
    lat: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """East and north, at latitude `lat`: the radii of curvature N cos(lat) and M."""
    sine = np.sin(np.radians(lat))
    flattened = 1 - _E2 * sine * sine
    prime_m = _A_M / np.sqrt(flattened)
    meridian_m = prime_m * (1 - _E2) / flattened
    return np.radians(prime_m) * np.cos(np.radians(lat)), np.radians(meridian_m)


def _nearest(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    step_x: NDArray[np.float64],
    step_y: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Where on the edge (0 its start, 1 its end) the place nearest to the origin lies."""
    square = step_x * step_x + step_y * step_y
    along = -(x * step_x + y * step_y) / np.where(square > 0, square, 1.0)
    return np.clip(along, 0.0, 1.0)


def _first_least(row: NDArray[np.intp], value: NDArray[np.float64], n: int) -> NDArray[np.intp]:
    """For each of n rows (ascending in `row`, none missing) the position of its least value."""
    starts = np.searchsorted(row, np.arange(n))
    least = np.minimum.reduceat(value, starts)
    positions = np.flatnonzero(value == least[row])
    return positions[np.searchsorted(row[positions], np.arange(n))]
