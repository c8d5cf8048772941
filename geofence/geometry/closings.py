"""Areas that go all the way round the axis, as runs of edges: the real ones, and those that close.

In the plane such an area ends at -180 and 180, and at a pole along a whole parallel. There nothing
ends on the ground: inside and outside need these edges, distances must not see them.
"""

import numpy as np
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.shapes.seams import rings_of, seam_stretches

_BREAK = np.full((1, 2), np.nan)


def rows_around(area: Polygon | MultiPolygon) -> tuple[NDArray[np.float64], int]:
    """Return the rows of an area that lies in [-180, 180]: runs of vertices with rows of NaN
    between.

    Returns (rows, real): rows[:real] are the runs on the ground, rows[real:] those that close.
    """
    rings = rings_of(area)
    stretches = seam_stretches(area)
    rings = [_with_ends_of(stretches, ring) for ring in rings]
    runs: tuple[list[NDArray[np.float64]], ...] = ([], [])
    for ring in rings:
        closing = _is_closing(ring, stretches)
        for edges in np.split(np.arange(len(closing)), np.flatnonzero(np.diff(closing)) + 1):
            runs[int(closing[edges[0]])].extend((_BREAK, ring[edges[0] : edges[-1] + 2]))
    real, closings = (np.concatenate(run) if run else np.empty((0, 2)) for run in runs)
    real = real[1:]
    return np.concatenate((real, closings)), len(real)


def _with_ends_of(stretches: NDArray[np.float64], ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ring with a vertex on the 180th meridian wherever a stretch ends there."""
    on_seam = (np.abs(ring[:-1, 0]) == 180) & (ring[1:, 0] == ring[:-1, 0])
    ends = np.unique(stretches)
    parts = [ring[:1]]
    after = 1
    for edge in np.flatnonzero(on_seam).tolist():
        lon, lat0, lat1 = float(ring[edge, 0]), float(ring[edge, 1]), float(ring[edge + 1, 1])
        south, north = min(lat0, lat1), max(lat0, lat1)
        after_south = int(np.searchsorted(ends, south, "right"))
        between = ends[after_south : int(np.searchsorted(ends, north))]
        if len(between):
            between = between[:: 1 if lat0 < lat1 else -1]
            new = np.column_stack((np.full(len(between), lon), between))
            parts += [ring[after : edge + 1], new]
            after = edge + 1
    return np.concatenate([*parts, ring[after:]])


def _is_closing(ring: NDArray[np.float64], stretches: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask of the edges, (n - 1,), that exist only in the drawing and not on
    the ground.
    """
    start, end = ring[:-1], ring[1:]
    at_pole = (np.abs(start[:, 1]) == 90) & (start[:, 1] == end[:, 1])
    if not len(stretches):
        return at_pole
    on_seam = (np.abs(start[:, 0]) == 180) & (start[:, 0] == end[:, 0])
    middle = (start[:, 1] + end[:, 1]) / 2
    stretch = np.searchsorted(stretches[:, 0], middle, "right") - 1
    held = (stretch >= 0) & (middle <= stretches[stretch, 1])
    return at_pole | (on_seam & held)
