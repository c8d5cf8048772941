"""Shapes in the packed layout, made by hand from shapely's geometries, and random areas.

And a way to call from Python what only compiled code may call.
"""

from collections.abc import Callable

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from geofence.geometry.latitude_bands import slabs_of
from geofence.geometry.packing import SHAPE_DTYPE, Arena

_BREAK = np.full((1, 2), np.nan)


def callable_from_python(function: Callable) -> Callable:
    """Return a `bare` function with a compiled one round it."""

    @njit
    def call(*arguments):
        return function(*arguments)

    return call


def ring_rows(area: shapely.Geometry) -> NDArray[np.float64]:
    """Return all rings of a polygon or multipolygon, each followed by a row of NaN."""
    rings = shapely.get_rings(shapely.get_parts(area))
    return np.concatenate(
        [row for ring in rings for row in (shapely.get_coordinates(ring), _BREAK)]
    )


def packed_rows(
    rows: NDArray[np.float64],
    radius_m: float = np.nan,
    *,
    real: int | None = None,
    slabs: bool = False,
) -> tuple[Arena, np.void]:
    """Return an arena with a single shape in it, not at the beginning, and the shape's record."""
    before = 3
    shape = np.zeros(1, SHAPE_DTYPE)
    real = len(rows) if real is None else real
    shape["first"], shape["real"], shape["last"] = before, before + real, before + len(rows)
    shape["radius_m"] = radius_m
    starts, edges = np.zeros(1, np.int64), np.empty(0, np.int64)
    if slabs:
        starts, edges, south, per_deg = slabs_of(rows)
        shape["slab"], shape["slabs"] = 1, len(starts) - 1
        shape["slab_south"], shape["slabs_per_deg"] = south, per_deg
        starts, edges = np.concatenate(([0], starts)), edges + before
    vertices = np.concatenate([np.zeros((before, 2)), rows])
    return Arena(vertices, starts, edges), shape[0]


def packed_area(area: shapely.Geometry, *, slabs: bool = False) -> tuple[Arena, np.void]:
    return packed_rows(ring_rows(area), slabs=slabs)


def packed_circle(lon: float, lat: float, radius_m: float) -> tuple[Arena, np.void]:
    return packed_rows(np.array([[lon, lat]]), radius_m)


def packed_corridor(line: NDArray[np.float64], radius_m: float) -> tuple[Arena, np.void]:
    return packed_rows(np.asarray(line, dtype=np.float64), radius_m)


def repeated(shape: np.void, count: int) -> NDArray[np.void]:
    """Return the same record `count` times, as the functions for pairs take it."""
    return np.repeat(np.array([shape], SHAPE_DTYPE), count)


def star(rng: np.random.Generator, corners: int, holes: int = 0) -> shapely.Polygon:
    """Return a jagged area of about a degree round (10, 50), `corners` corners, with
    square holes.
    """
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = rng.uniform(0.4, 1.0, corners)
    shell = np.column_stack((10 + reach * np.cos(angles), 50 + reach * np.sin(angles)))
    area = shapely.Polygon(shell)
    for _ in range(holes):
        lon, lat = 10 + rng.uniform(-0.3, 0.3), 50 + rng.uniform(-0.3, 0.3)
        area = area.difference(shapely.box(lon, lat, lon + 0.05, lat + 0.05))
    return area
