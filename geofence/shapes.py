"""The shapes that a zone can have, and the two questions asked of them: inside, and how far.

WGS 84 in degrees, longitude before latitude. A polygon's edges are straight lines in the
longitude/latitude plane, as in RFC 7946 and PostGIS `geometry`; a circle is a distance on the
ellipsoid, never a polygon of some number of corners. A point on an edge or a vertex is inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod
from shapely import MultiPolygon, Polygon

from geofence.distance import edge_distances_m

WGS84 = Geod(ellps="WGS84")
MAX_RADIUS_M = 1_000_000.0

# The least radius of curvature of the ellipsoid is a(1 - e^2), 6,335,439 m: an angle made with it,
# and a percent for the difference between sphere and ellipsoid, is never too small.
_RADIANS_PER_M = 1.01 / 6_335_439.0


@dataclass(frozen=True, slots=True, eq=False)
class Polygonal:
    """A valid polygon or multipolygon, holes included; prepared, so that many points are cheap."""

    geometry: Polygon | MultiPolygon

    def __post_init__(self) -> None:
        shapely.prepare(self.geometry)


@dataclass(frozen=True, slots=True)
class Circle:
    """All points whose geodesic distance to the centre is at most `radius_m`."""

    lon: float
    lat: float
    radius_m: float


Shape = Polygonal | Circle


def covers(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
    """Which points lie in the shape or on its edge. lon, lat: degrees, shape (n,) -> bool (n,)."""
    lon, lat = _float_arrays(lon, lat)
    if isinstance(shape, Circle):
        return centre_distances_m(shape, lon, lat) <= shape.radius_m
    return shapely.intersects_xy(shape.geometry, lon, lat)


def centre_distances_m(
    circle: Circle, lon: NDArray[np.float64], lat: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Geodesic distances to the centre of a circle, in metres."""
    centre_lon, centre_lat = np.full_like(lon, circle.lon), np.full_like(lat, circle.lat)
    return np.asarray(WGS84.inv(centre_lon, centre_lat, lon, lat)[2], dtype=np.float64)


def signed_distance_m(shape: Shape, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Distances of points to one shape's edge in metres, negative inside. (n,) -> float64 (n,)."""
    lon, lat = _float_arrays(lon, lat)
    return signed_distances_m([shape] * len(lon), lon, lat)


def signed_distances_m(
    shapes: Sequence[Shape], lon: ArrayLike, lat: ArrayLike
) -> NDArray[np.float64]:
    """Distances of n points to the edges of n shapes, pair by pair, in metres, negative inside."""
    lon, lat = _float_arrays(lon, lat)
    result = np.empty(len(lon))
    is_circle = np.array([isinstance(shape, Circle) for shape in shapes], dtype=bool)
    for row in np.flatnonzero(is_circle).tolist():
        circle, point = shapes[row], slice(row, row + 1)
        assert isinstance(circle, Circle)
        result[point] = centre_distances_m(circle, lon[point], lat[point]) - circle.radius_m
    rows = np.flatnonzero(~is_circle)
    if len(rows):
        geometries = as_geometries(shapes[row] for row in rows.tolist())
        edge_m = edge_distances_m(geometries, lon[rows], lat[rows])
        inside = shapely.intersects_xy(geometries, lon[rows], lat[rows])
        result[rows] = np.where(inside, -edge_m, edge_m)
    return result


def as_geometries(shapes: Any) -> NDArray[np.object_]:
    """The geometries of polygonal shapes as an array; None in the place of a circle."""
    geometries = [None if isinstance(shape, Circle) else shape.geometry for shape in shapes]
    array = np.empty(len(geometries), dtype=object)
    array[:] = geometries
    return array


def boxes(shape: Shape) -> list[tuple[float, float, float, float]]:
    """One or two boxes (west, south, east, north) in [-180, 180] that hold the shape."""
    if isinstance(shape, Circle):
        return _circle_boxes(shape)
    west, south, east, north = shape.geometry.bounds
    return [(west, south, east, north)]


def _circle_boxes(circle: Circle) -> list[tuple[float, float, float, float]]:
    angle = circle.radius_m * _RADIANS_PER_M
    lat_span = np.degrees(angle)
    south, north = circle.lat - lat_span, circle.lat + lat_span
    # On a sphere the meridians that touch a circle lie asin(sin(angle) / cos(lat)) away.
    sine = np.sin(angle) / max(np.cos(np.radians(circle.lat)), 1e-12)
    if south <= -90 or north >= 90 or sine >= 1:
        return [(-180.0, max(south, -90.0), 180.0, min(north, 90.0))]
    lon_span = 1.01 * np.degrees(np.arcsin(sine))
    west, east = circle.lon - lon_span, circle.lon + lon_span
    if east - west >= 360:
        return [(-180.0, south, 180.0, north)]
    if west < -180:
        return [(-180.0, south, east, north), (west + 360, south, 180.0, north)]
    if east > 180:
        return [(west, south, 180.0, north), (-180.0, south, east - 360, north)]
    return [(west, south, east, north)]


def _float_arrays(lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], ...]:
    return np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
