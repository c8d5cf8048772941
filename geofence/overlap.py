"""Whether too many zones lie over one place: a place is named only where it is so.

Exact tests are dear, so few places are tried: some in the new shape, and in what it shares with the
boxes of others; of these the ones in most boxes are tried exactly. A crowd may be missed, never
made up.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.outlines import Circle, Corridor, Shape
from geofence.shapes import covers

_PLACES = 256
_TRIED = 8


class Box(NamedTuple):
    """Degrees; east is not below west, and may lie beyond 180."""

    west: float
    south: float
    east: float
    north: float


class Crowd(NamedTuple):
    """A place and how many of the shapes cover it."""

    lon: float
    lat: float
    shapes: int


def unrolled(west: float, south: float, east: float, north: float) -> Box:
    """A box of `geofence.measures`."""
    return Box(west, south, east if east >= west else east + 360.0, north)


def likely_places(
    shape: Shape, box: Box, others: NDArray[np.float64], most: int
) -> NDArray[np.float64]:
    """Places in the shape that lie in `most` or more of the other boxes, (n, 2), best first.

    others: (m, 4), as Box, of boxes that meet `box`.
    """
    moved = others.copy()
    for turn in (-360.0, 360.0):
        apart = (moved[:, 0] > box.east) if turn < 0 else (moved[:, 2] < box.west)
        moved[apart, 0] += turn
        moved[apart, 2] += turn
    step = max(1, len(moved) // _PLACES)
    low = np.maximum(moved[::step, :2], box[:2])
    shared = (low + np.minimum(moved[::step, 2:], box[2:])) / 2
    places = np.concatenate((_in(shape), shared))
    places[places[:, 0] < box.west, 0] += 360.0
    places[places[:, 0] > box.east, 0] -= 360.0
    places = places[covers(shape, places[:, 0], places[:, 1])]
    lon, lat = places[:, :1], places[:, 1:]
    west, south, east, north = moved.T
    depth = ((west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)).sum(axis=1)
    order = np.argsort(-depth, kind="stable")
    return places[order[depth[order] >= most]][:_TRIED]


def crowd(places: NDArray[np.float64], shapes: Sequence[Shape], most: int) -> Crowd | None:
    """The first of the places, (n, 2), that more than `most` of the shapes cover."""
    count = np.zeros(len(places), np.int64)
    for shape in shapes:
        count += covers(shape, places[:, 0], places[:, 1])
    found = np.flatnonzero(count > most)
    if not len(found):
        return None
    lon, lat = places[found[0]].tolist()
    return Crowd(lon - 360.0 if lon > 180.0 else lon, lat, int(count[found[0]]))


def _in(shape: Shape) -> NDArray[np.float64]:
    if isinstance(shape, Circle):
        return np.array([[shape.lon, shape.lat]])
    if isinstance(shape, Corridor):
        return shape.vertices[:: max(1, len(shape.vertices) // 16)]
    point = shape.geometry.representative_point()
    return np.array([[point.x, point.y]])
