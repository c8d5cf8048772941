"""A search for too many zones over one place: a place is named only where it is so.

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

from geofence.geometry.queries import covers
from geofence.shapes.types import Circle, Corridor, Shape

MOST_PLACES = 256
_TRIED = 8


class Box(NamedTuple):
    """Degrees; east is not below west, and may lie beyond 180."""

    west: float
    south: float
    east: float
    north: float


class Likely(NamedTuple):
    """Places, (n, 2), and how many boxes each lies in, (n,); the deepest first."""

    places: NDArray[np.float64]
    depth: NDArray[np.int64]


class Crowd(NamedTuple):
    """A place and how many of the shapes cover it."""

    lon: float
    lat: float
    shapes: int


def unrolled(west: float, south: float, east: float, north: float) -> Box:
    """Return a box of `geofence.geometry.measures`."""
    return Box(west, south, east if east >= west else east + 360.0, north)


def likely_places(
    shape: Shape, box: Box, others: NDArray[np.float64], most: int, looked_at: int = MOST_PLACES
) -> Likely:
    """Return places in the shape that lie in `most` or more of the other boxes, of some looked at.

    others: (m, 4), as Box, of boxes that meet `box`.
    """
    moved = _moved(others, box)
    step = max(1, len(moved) // looked_at)
    low = np.maximum(moved[::step, :2], box[:2])
    shared = (low + np.minimum(moved[::step, 2:], box[2:])) / 2
    places = np.concatenate((_in(shape), shared))
    places[places[:, 0] < box.west, 0] += 360.0
    places[places[:, 0] > box.east, 0] -= 360.0
    places = places[covers(shape, places[:, 0], places[:, 1])]
    depth = _held(moved, places).sum(axis=0)
    order = np.argsort(-depth, kind="stable")
    order = order[depth[order] >= most][:_TRIED]
    return Likely(places[order], depth[order])


def held(others: NDArray[np.float64], box: Box, places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return a mask of the other boxes, (m, 4), that hold the likely places in `box`, (n, 2) -> (m,
    n).
    """
    return _held(_moved(others, box), places)


def cover_counts(places: NDArray[np.float64], shapes: Sequence[Shape]) -> NDArray[np.int64]:
    """Count the shapes that cover each of the places, (n, 2) -> (n,)."""
    counts = np.zeros(len(places), np.int64)
    for shape in shapes:
        counts += covers(shape, places[:, 0], places[:, 1])
    return counts


def crowd_at(place: NDArray[np.float64], shapes: int) -> Crowd:
    """Return the shapes that cover a likely place, counted."""
    lon, lat = place.tolist()
    return Crowd(lon - 360.0 if lon > 180.0 else lon, lat, shapes)


def _moved(others: NDArray[np.float64], box: Box) -> NDArray[np.float64]:
    """Return boxes that meet `box`, in the turn in which they do."""
    moved = others.copy()
    for turn in (-360.0, 360.0):
        apart = (moved[:, 0] > box.east) if turn < 0 else (moved[:, 2] < box.west)
        moved[apart, 0] += turn
        moved[apart, 2] += turn
    return moved


def _held(boxes: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    west, south, east, north = (column[:, np.newaxis] for column in boxes.T)
    lon, lat = places.T
    return (west <= lon) & (lon <= east) & (south <= lat) & (lat <= north)


def _in(shape: Shape) -> NDArray[np.float64]:
    if isinstance(shape, Circle):
        return np.array([[shape.lon, shape.lat]])
    if isinstance(shape, Corridor):
        return shape.vertices[:: max(1, len(shape.vertices) // 16)]
    point = shape.geometry.representative_point()
    return np.array([[point.x, point.y]])
