"""Boxes that hold shapes: what an index of zones looks at first.

Degrees, in a shape's own frame: longitudes run on past 180, and whoever asks about a point moves it
by whole turns. A box is never too small. A corridor has one for each piece of a few edges.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes.types import Circle, Corridor, Polygonal, Shape

BOX_DTYPE = np.dtype(
    [
        ("shape", "<i8"),  # the number of the shape that the box belongs to
        ("west", "<f8"),
        ("south", "<f8"),
        ("east", "<f8"),
        ("north", "<f8"),
        ("first", "<i8"),  # the piece of the shape that the box holds: vertices [first, last),
        ("last", "<i8"),  # counted from the shape's first; of areas and circles: all
    ]
)

EDGES_PER_PIECE = 8
MOST_PIECES = 1_024  # of a corridor: one of more edges has longer pieces

# The least radius of curvature of the ellipsoid is a(1 - e^2), 6,335,439 m: an angle made with it,
# and a percent for the difference between sphere and ellipsoid, is never too small.
_RADIANS_PER_M = 1.01 / 6_335_439.0


def boxes(shapes: Sequence[Shape], records: NDArray[np.void]) -> NDArray[np.void]:
    """Return the boxes of all shapes, BOX_DTYPE, (m,), in the shapes' order.

    records: the shapes packed (geofence.geometry.packing.pack), (n,).
    """
    length = records["last"] - records["first"]
    rows = np.concatenate([_areas(shapes, length), _circles(shapes), _corridors(shapes)])
    return rows[np.argsort(rows["shape"], kind="stable")]


def _areas(shapes: Sequence[Shape], length: NDArray[np.int64]) -> NDArray[np.void]:
    which = [number for number, s in enumerate(shapes) if isinstance(s, Polygonal)]
    geometries = np.empty(len(which), dtype=object)
    geometries[:] = [s.geometry for s in shapes if isinstance(s, Polygonal)]
    result = np.zeros(len(which), BOX_DTYPE)
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    for column, name in enumerate(("west", "south", "east", "north")):
        result[name] = bounds[:, column]
    result["shape"], result["last"] = which, length[which]
    return result


def _circles(shapes: Sequence[Shape]) -> NDArray[np.void]:
    which = [number for number, s in enumerate(shapes) if isinstance(s, Circle)]
    circles = [(s.lon, s.lat, s.radius_m) for s in shapes if isinstance(s, Circle)]
    lon, lat, radius_m = np.array(circles, dtype=np.float64).reshape(-1, 3).T
    result = _grown(lon, lat, lon, lat, radius_m)
    result["shape"], result["last"] = which, 1
    return result


def _corridors(shapes: Sequence[Shape]) -> NDArray[np.void]:
    pieces = [_pieces(number, s) for number, s in enumerate(shapes) if isinstance(s, Corridor)]
    return np.concatenate([np.empty(0, BOX_DTYPE), *pieces])


def _pieces(number: int, corridor: Corridor) -> NDArray[np.void]:
    lon, lat = corridor.vertices.T
    edges = max(EDGES_PER_PIECE, -(-(len(lon) - 1) // MOST_PIECES))
    first = np.arange(0, len(lon) - 1, edges)
    last = np.minimum(first + edges + 1, len(lon))
    # reduceat takes what lies before the next piece, so each piece's last vertex is added by hand.
    low, high = np.minimum.reduceat, np.maximum.reduceat
    west = np.minimum(low(lon, first), lon[last - 1])
    east = np.maximum(high(lon, first), lon[last - 1])
    south = np.minimum(low(lat, first), lat[last - 1])
    north = np.maximum(high(lat, first), lat[last - 1])
    result = _grown(west, south, east, north, np.full(len(first), corridor.width_m / 2))
    result["shape"], result["first"], result["last"] = number, first, last
    return result


def _grown(
    west: NDArray[np.float64],
    south: NDArray[np.float64],
    east: NDArray[np.float64],
    north: NDArray[np.float64],
    by_m: NDArray[np.float64],
) -> NDArray[np.void]:
    """Return boxes with all that is at most `by_m` away; those that reach a pole are 360 wide or
    more.
    """
    angle = by_m * _RADIANS_PER_M
    result = np.zeros(len(west), BOX_DTYPE)
    result["south"] = np.maximum(south - np.degrees(angle), -90.0)
    result["north"] = np.minimum(north + np.degrees(angle), 90.0)
    # On a sphere the meridians that touch a circle lie asin(sin(angle) / cos(lat)) away.
    farthest = np.radians(np.maximum(np.abs(south), np.abs(north)))
    sine = np.sin(angle) / np.maximum(np.cos(farthest), 1e-12)
    reaches_pole = (farthest + angle >= np.pi / 2) | (sine >= 1)
    span = np.where(reaches_pole, 180.0, 1.01 * np.degrees(np.arcsin(np.minimum(sine, 1.0))))
    result["west"], result["east"] = west - span, east + span
    return result
