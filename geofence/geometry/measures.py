"""The size of a shape, for people: an area and a box on the map.

Areas are by geodesic edges, which is about what the straight edges of a zone enclose, and those of
corridors count bends twice. Boxes hold the whole shape.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod
from shapely import Polygon

from geofence.geometry.boxes import boxes
from geofence.geometry.packing import pack
from geofence.shapes.types import Circle, Corridor, Polygonal, Shape

_EARTH = Geod(ellps="WGS84")


@dataclass(frozen=True, slots=True)
class Measures:
    """bbox: west, south, east, north in degrees, as RFC 7946, 5.2 has it: over the 180th meridian
    west is the larger one."""

    area_m2: float
    bbox: tuple[float, float, float, float]


def measures(shape: Shape) -> Measures:
    return measures_of([shape])[0]


def measures_of(shapes: Sequence[Shape]) -> list[Measures]:
    """Compute the measures of shapes, all boxes together."""
    if not shapes:
        return []
    _, records = pack(shapes)
    edges = boxes(shapes, records)
    first = np.searchsorted(edges["shape"], np.arange(len(shapes)))
    sides = (
        np.minimum.reduceat(edges["west"], first),
        np.minimum.reduceat(edges["south"], first),
        np.maximum.reduceat(edges["east"], first),
        np.maximum.reduceat(edges["north"], first),
    )
    spans = np.column_stack(sides).tolist()
    return [
        Measures(_area_m2(shape), _bbox(*span)) for shape, span in zip(shapes, spans, strict=True)
    ]


def _area_m2(shape: Shape) -> float:
    if isinstance(shape, Circle):
        return math.pi * shape.radius_m**2
    if isinstance(shape, Corridor):
        lon, lat = shape.vertices.T
        length_m = float(_EARTH.line_length(lon, lat))
        return length_m * shape.width_m + math.pi * (shape.width_m / 2) ** 2
    return sum(_polygon_m2(polygon) for polygon in _polygons(shape))


def _polygons(shape: Polygonal) -> Iterator[Polygon]:
    geometry = shape.geometry
    if isinstance(geometry, Polygon):
        yield geometry
    else:
        yield from geometry.geoms


def _polygon_m2(polygon: Polygon) -> float:
    outer, *holes = (
        abs(_EARTH.polygon_area_perimeter(*ring.coords.xy)[0])
        for ring in (polygon.exterior, *polygon.interiors)
    )
    return float(outer - sum(holes))


def _bbox(
    west: float, south: float, east: float, north: float
) -> tuple[float, float, float, float]:
    if east - west >= 360:
        west, east = -180.0, 180.0
    return _in_one_turn(west), south, _in_one_turn(east), north


def _in_one_turn(lon: float) -> float:
    return lon if -180 <= lon <= 180 else lon - 360 * math.floor((lon + 180) / 360)


def distances_m(
    lon: float, lat: float, lons: NDArray[np.float64], lats: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the length of the shortest line from a place to each of others, (n,). Degrees."""
    from_lon, from_lat = np.full(len(lons), lon), np.full(len(lats), lat)
    _, _, away_m = _EARTH.inv(from_lon, from_lat, lons, lats)
    return np.asarray(away_m, np.float64)
