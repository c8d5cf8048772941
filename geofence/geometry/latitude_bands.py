"""Bands of latitude over an area's edges, so that a point looks at a few of them only.

An edge is in every band that its closed range of latitudes touches. The same function puts edges
and points into bands, and it never falls as the latitude rises; so what it rounds away can never
part a point from an edge at its latitude.
"""

import math

import numpy as np
from numpy.typing import NDArray

from geofence.kernel.compiled import bare, compiled

MAX_ENTRIES_PER_EDGE = 4
_LEAST_HEIGHT_DEG = 1e-9  # below, a single band


@bare
def band_of(lat: float, south: float, per_deg: float, bands: int) -> int:
    """Return the band of a latitude; the first or last one for what lies beyond."""
    return min(max(math.floor((lat - south) * per_deg), 0), bands - 1)


def slabs_of(
    vertices: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.int64], float, float]:
    """Divide an area into equal bands of latitude: (starts, edges, south, bands per degree).

    vertices: (n, 2), rings separated by rows of NaN, degrees. starts: (bands + 1,), edges: (m,), m
    at most MAX_ENTRIES_PER_EDGE times the number of edges. Band k is touched by the edges that
    start at vertices edges[starts[k]:starts[k + 1]], in ascending order.
    """
    south, north = float(np.nanmin(vertices[:, 1])), float(np.nanmax(vertices[:, 1]))
    climbs = np.abs(np.diff(vertices[:, 1]))
    climb, count = float(np.nansum(climbs)), int(np.count_nonzero(~np.isnan(climbs)))
    bands, per_deg = 1, 1.0
    if north - south > _LEAST_HEIGHT_DEG:
        # An edge is in at most 2 bands more than it climbs through: with as many heights of bands
        # as twice the edges over all climbs, the entries stay below four times the edges.
        share = (north - south) / max(climb, north - south)
        bands = max(1, int((MAX_ENTRIES_PER_EDGE - 2) * count * share))
        per_deg = bands / (north - south)
    starts, edges = edges_by_band(np.ascontiguousarray(vertices), south, per_deg, bands)
    return starts, edges, south, per_deg


@compiled
def edges_by_band(
    vertices: NDArray[np.float64], south: float, per_deg: float, bands: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the loops of `slabs_of`: (starts, edges)."""
    starts = np.zeros(bands + 1, dtype=np.int64)
    for edge in range(len(vertices) - 1):
        lat0, lat1 = vertices[edge, 1], vertices[edge + 1, 1]
        if lat0 == lat0 and lat1 == lat1:
            lowest = band_of(min(lat0, lat1), south, per_deg, bands)
            highest = band_of(max(lat0, lat1), south, per_deg, bands)
            for band in range(lowest, highest + 1):
                starts[band + 1] += 1
    starts = np.cumsum(starts)
    edges = np.empty(starts[bands], dtype=np.int64)
    free = starts.copy()
    for edge in range(len(vertices) - 1):
        lat0, lat1 = vertices[edge, 1], vertices[edge + 1, 1]
        if lat0 == lat0 and lat1 == lat1:
            lowest = band_of(min(lat0, lat1), south, per_deg, bands)
            highest = band_of(max(lat0, lat1), south, per_deg, bands)
            for band in range(lowest, highest + 1):
                edges[free[band]] = edge
                free[band] += 1
    return starts, edges
