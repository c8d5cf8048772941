"""Outlines of shapes, as a map draws them."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes.types import Circle, Corridor, Polygonal, Shape


class Outline(NamedTuple):
    """lines: longitudes and latitudes, (n, 2) each: the rings of an area, the line of a corridor,
    the centre of a circle. middle: longitude and latitude of a place within it.
    """

    lines: Sequence[NDArray[np.float64]]
    middle: tuple[float, float]
    radius_m: float | None = None
    width_m: float | None = None


def outline_of(shape: Shape) -> Outline:
    match shape:
        case Circle(lon, lat, radius_m):
            return Outline([np.array([[lon, lat]])], (lon, lat), radius_m=radius_m)
        case Corridor(vertices, width_m):
            last = len(vertices) - 1
            lon, lat = vertices[[last // 2, (last + 1) // 2]].mean(axis=0).tolist()
            return Outline([vertices], (lon, lat), width_m=width_m)
        case Polygonal(geometry):
            polygons: Any = shapely.get_parts(geometry)
            rings = [
                shapely.get_coordinates(ring)
                for polygon in polygons
                for ring in (polygon.exterior, *polygon.interiors)
            ]
            point: Any = shapely.point_on_surface(geometry)
            return Outline(rings, (point.x, point.y))


def simplified(points: NDArray[np.float64], detail: float) -> NDArray[np.float64]:
    """Return a line on a plane, (n, 2), with fewer vertices: none of it moves by more than
    `detail`.
    """
    if len(points) <= 2:
        return points
    return shapely.get_coordinates(shapely.simplify(shapely.linestrings(points), detail))
