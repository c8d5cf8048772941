"""Distances from points to the edges of areas, on the ellipsoid, many pairs at once.

The nearest place on an edge is looked for in the plane that touches the ellipsoid between the point
and that edge; the distance to the place that was found is then the geodesic one. Up to some tens of
kilometres the two steps together stay within a centimetre; beyond, the error grows slowly with the
distance but the answer is never too short.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")
_E2 = _WGS84.es
_A_M = _WGS84.a
_MAX_EDGES = 500_000  # held at a time


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
