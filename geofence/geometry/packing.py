"""Shapes as plain numbers, laid out for compiled code: the one geometry path of the package.

A shape is a run of vertices in one long array, (n, 2) of longitude and latitude in degrees. An edge
leads from each vertex to the next; a row of NaN stands between two rings and has no edges. The
longitudes of a shape are continuous: over the 180th meridian they run on past 180.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.geometry.latitude_bands import slabs_of
from geofence.kernel.columns import Column
from geofence.shapes.seams import rings_of, seam_stretches
from geofence.shapes.types import Circle, Corridor, Polygonal, Shape

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

SLABS_FROM_VERTICES = 64  # below, looking at every edge is as fast


class Arena(NamedTuple):
    """The numbers of many shapes, one behind the other.

    vertices: (n, 2), float64. slab_start: (s + 1,), int64; slab_edge: (e,), int64: an area of many
    vertices is cut into slabs of latitude, slab k of it crossed by the edges that start at
    vertices slab_edge[slab_start[k]:slab_start[k + 1]].
    """

    vertices: NDArray[np.float64]
    slab_start: NDArray[np.int64]
    slab_edge: NDArray[np.int64]


class _Block(NamedTuple):
    """Some of the shapes, laid out: k shapes in n rows, one behind the other."""

    which: NDArray[np.int64]  # (k,), the shapes' numbers
    rows: NDArray[np.float64]  # (n, 2)
    real: NDArray[np.int64]  # (k,), how many rows bound the shape
    total: NDArray[np.int64]  # (k,), how many it has
    radius_m: NDArray[np.float64]  # (k,)


def pack(shapes: Sequence[Shape]) -> tuple[Arena, NDArray[np.void]]:
    """Return an arena of these shapes alone, and their records, SHAPE_DTYPE, (n,), in the order
    given.
    """
    records = np.zeros(len(shapes), SHAPE_DTYPE)
    blocks = [*_areas(shapes), _circles(shapes), _corridors(shapes)]
    begin = 0
    for block in blocks:
        ends = begin + np.cumsum(block.total)
        records["first"][block.which] = ends - block.total
        records["real"][block.which] = ends - block.total + block.real
        records["last"][block.which] = ends
        records["radius_m"][block.which] = block.radius_m
        begin += len(block.rows)
    vertices = np.concatenate([block.rows for block in blocks])
    return _with_slabs(vertices, records), records


class ArenaBuilder:
    """An arena that grows. Arenas that were returned before stay valid: rows are only added."""

    def __init__(self) -> None:
        self._vertices = Column(np.empty((0, 2)))
        self._slab_start = Column(np.zeros(1, np.int64))
        self._slab_edge = Column(np.empty(0, np.int64))

    @property
    def arena(self) -> Arena:
        """All that was added so far."""
        return Arena(self._vertices.rows, self._slab_start.rows, self._slab_edge.rows)

    def add(self, shapes: Sequence[Shape]) -> NDArray[np.void]:
        """Add shapes. Returns their records, SHAPE_DTYPE, (n,), good for every arena from now."""
        arena, records = pack(shapes)
        before = self.arena
        for name in ("first", "real", "last"):
            records[name] += len(before.vertices)
        records["slab"] += len(before.slab_start) - 1
        self._vertices = self._vertices.with_more(arena.vertices)
        self._slab_start = self._slab_start.with_more(arena.slab_start[1:] + len(before.slab_edge))
        self._slab_edge = self._slab_edge.with_more(arena.slab_edge + len(before.vertices))
        return records


def _areas(shapes: Sequence[Shape]) -> list[_Block]:
    which = _numbers_of(shapes, Polygonal)
    geometries = np.empty(len(which), dtype=object)
    geometries[:] = [s.geometry for s in shapes if isinstance(s, Polygonal)]
    bounds = shapely.bounds(geometries).reshape(-1, 4)
    around = (bounds[:, 0] <= -180) & (bounds[:, 2] >= 180)
    return [
        _plain_areas(which[~around], geometries[~around]),
        *(
            _area_around(number, geometries[number], which)
            for number in np.flatnonzero(around).tolist()
        ),
    ]


def _plain_areas(which: NDArray[np.int64], geometries: NDArray[np.object_]) -> _Block:
    """Pack areas ring after ring as they stand, with a row of NaN between two rings
    of one shape.
    """
    parts, shape_of_part = shapely.get_parts(geometries, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    positions, ring_of_position = shapely.get_coordinates(rings, return_index=True)
    shape_of_ring = shape_of_part[part_of_ring]
    goes_on = np.diff(shape_of_ring, prepend=-1) == 0  # not the first ring of its shape
    breaks = np.cumsum(goes_on)
    rows = np.full((len(positions) + np.count_nonzero(goes_on), 2), np.nan)
    rows[np.arange(len(positions)) + breaks[ring_of_position]] = positions
    total = np.bincount(shape_of_ring[ring_of_position], minlength=len(which))
    total += np.bincount(shape_of_ring[goes_on], minlength=len(which))
    return _Block(which, rows, total, total, np.full(len(which), np.nan))


def _area_around(number: int, geometry: Any, which: NDArray[np.int64]) -> _Block:
    rows, real = rows_around(geometry)
    return _Block(
        which[number : number + 1],
        rows,
        np.array([real]),
        np.array([len(rows)]),
        np.array([np.nan]),
    )


def _circles(shapes: Sequence[Shape]) -> _Block:
    which = _numbers_of(shapes, Circle)
    circles = [(s.lon, s.lat, s.radius_m) for s in shapes if isinstance(s, Circle)]
    columns = np.array(circles, dtype=np.float64).reshape(-1, 3)
    ones = np.ones(len(which), np.int64)
    return _Block(which, columns[:, :2], ones, ones, columns[:, 2])


def _corridors(shapes: Sequence[Shape]) -> _Block:
    which = _numbers_of(shapes, Corridor)
    corridors = [s for s in shapes if isinstance(s, Corridor)]
    rows = np.concatenate([np.empty((0, 2)), *(s.vertices for s in corridors)])
    total = np.array([len(s.vertices) for s in corridors], dtype=np.int64)
    return _Block(which, rows, total, total, np.array([s.width_m / 2 for s in corridors]))


def _numbers_of(shapes: Sequence[Shape], kind: type[Shape]) -> NDArray[np.int64]:
    return np.flatnonzero(np.fromiter((isinstance(s, kind) for s in shapes), bool, len(shapes)))


def _with_slabs(vertices: NDArray[np.float64], records: NDArray[np.void]) -> Arena:
    """Return the arena of the shapes; areas of many vertices get their slabs, here and in
    `records`.
    """
    large = np.isnan(records["radius_m"]) & (
        records["last"] - records["first"] >= SLABS_FROM_VERTICES
    )
    starts, edges = [np.zeros(1, np.int64)], [np.empty(0, np.int64)]
    slabs = entries = 0
    for number in np.flatnonzero(large).tolist():
        first = int(records["first"][number])
        start, edge, south, per_deg = slabs_of(vertices[first : records["last"][number]])
        records["slab"][number], records["slabs"][number] = slabs, len(start) - 1
        records["slab_south"][number], records["slabs_per_deg"][number] = south, per_deg
        starts.append(start[1:] + entries)
        edges.append(edge + first)
        slabs, entries = slabs + len(start) - 1, entries + len(edge)
    return Arena(vertices, np.concatenate(starts), np.concatenate(edges))
