"""Shapes as plain numbers, laid out for compiled code: the one geometry path of the package.

A shape is a run of vertices in one long array, (n, 2) of longitude and latitude in degrees. An edge
leads from each vertex to the next; a row of NaN stands between two rings and has no edges. The
longitudes of a shape are continuous: over the 180th meridian they run on past 180.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SHAPE_DTYPE = np.dtype(
    [
        ("first", "<i8"),  # the shape's vertices: [first, last)
        ("real", "<i8"),  # [first, real) bound it; [real, last) only close it round a pole
        ("last", "<i8"),
        ("radius_m", "<f8"),  # of a circle, half the width of a corridor; NaN for an area
        ("slab", "<i8"),  # the shape's first slab; see Arena
        ("slabs", "<i4"),  # how many; 0: the shape has none
        ("slab_south", "<f8"),  # where the first slab begins, degrees
        ("slabs_per_deg", "<f8"),
    ]
)


class Arena(NamedTuple):
    """The numbers of many shapes, one behind the other.

    vertices: (n, 2), float64. slab_start: (s + 1,), int64; slab_edge: (e,), int64: an area of many
    vertices is cut into slabs of latitude, slab k of it crossed by the edges that start at
    vertices slab_edge[slab_start[k]:slab_start[k + 1]].
    """

    vertices: NDArray[np.float64]
    slab_start: NDArray[np.int64]
    slab_edge: NDArray[np.int64]


# --- stub until the real one lands
class Packed(NamedTuple):
    shapes: NDArray[np.void]
    arena: Arena


def pack_all(shapes):
    import shapely

    rows = np.zeros(len(shapes), SHAPE_DTYPE)
    parts = []
    n = 0
    for i, s in enumerate(shapes):
        if hasattr(s, "geometry"):
            rings = shapely.get_rings(shapely.get_parts(s.geometry))
            v = []
            for r in rings:
                v += [shapely.get_coordinates(r), np.full((1, 2), np.nan)]
            v = np.concatenate(v[:-1])
            radius = np.nan
        else:
            v = np.array([[s.lon, s.lat]])
            radius = s.radius_m
        rows[i] = (n, n + len(v), n + len(v), radius, 0, 0, 0.0, 0.0)
        parts.append(v)
        n += len(v)
    verts = np.concatenate(parts) if parts else np.empty((0, 2))
    return Packed(rows, Arena(verts, np.zeros(1, np.int64), np.zeros(0, np.int64)))


def boxes(shape):
    from geofence.shapes import boxes as b

    n = len(pack_all([shape]).arena.vertices)
    return [(*x, 0, n) for x in b(shape)]
