"""Plain geometry of small worlds, to hold the compiled one against: nothing is packed or indexed.

Areas are asked of GEOS, and in exact fractions where a way meets them. Distances are measured in an
azimuthal equidistant plane round the middle of the world: within a kilometre of it they are right
to micrometres, once edges that are straight in degrees are cut into short pieces.
"""

from fractions import Fraction
from functools import cache, lru_cache
from itertools import pairwise

import numpy as np
import shapely
from pyproj import Proj

from geofence.shapes.types import Circle, Polygonal, Shape
from tests.geofence.ellipsoid import WGS84

ORIGIN = (8.0, 47.0)  # degrees; a world reaches 9 units of 2^-10 degree to the north and east
UNIT = 2.0**-10
UNSURE_M = 0.01
_PIECES = 8
_SAMPLES = 1_025
_BISECTIONS = 48

_plane = Proj(proj="aeqd", ellps="WGS84", lon_0=ORIGIN[0] + 5 * UNIT, lat_0=ORIGIN[1] + 5 * UNIT)


class UnsureError(Exception):
    """Two right answers differ here by a hair."""


def sure(value_m: float, limit_m: float, within_m: float = UNSURE_M) -> float:
    """Return the value, where it is not too near to the limit that decides. Raises UnsureError."""
    if abs(value_m - limit_m) < within_m:
        raise UnsureError
    return value_m


def on_plane(points: np.ndarray) -> np.ndarray:
    """Project (n, 2) of longitude and latitude to metres east and north of the world's middle."""
    return np.column_stack(_plane(points[:, 0], points[:, 1]))


def dense(points: np.ndarray) -> np.ndarray:
    """Return the same line with more vertices, (n, 2)."""
    share = np.arange(_PIECES)[:, None] / _PIECES
    pieces = [a + share * (b - a) for a, b in pairwise(points)]
    return np.concatenate([*pieces, points[-1:]])


@cache
def _outline(shape: Shape) -> shapely.Geometry:
    """Return what distances are measured from: the edges, the centre or the line; metres."""
    if isinstance(shape, Circle):
        return shapely.Point(on_plane(np.array([[shape.lon, shape.lat]]))[0])
    if not isinstance(shape, Polygonal):
        return shapely.LineString(on_plane(dense(shape.vertices)))
    rings = shapely.get_rings(shapely.get_parts(shape.geometry))
    lines = [on_plane(dense(shapely.get_coordinates(ring))) for ring in rings]
    return shapely.MultiLineString(lines)


def reach_m(shape: Shape) -> float:
    """Return how far from its outline a circle or a corridor goes."""
    return shape.radius_m if isinstance(shape, Circle) else shape.width_m / 2


@lru_cache(100_000)
def covers_one(shape: Shape, lon: float, lat: float) -> bool:
    if isinstance(shape, Polygonal):
        return bool(shapely.intersects_xy(shape.geometry, lon, lat))
    return sure(_to_outline_m(shape, lon, lat), reach_m(shape)) <= reach_m(shape)


def _to_outline_m(shape: Shape, lon: float, lat: float) -> float:
    at = on_plane(np.array([[lon, lat]]))[0]
    return float(_outline(shape).distance(shapely.Point(at)))


@lru_cache(100_000)
def distance_m(shape: Shape, lon: float, lat: float) -> float:
    """Measure from a point outside to the edge."""
    far_m = _to_outline_m(shape, lon, lat)
    return far_m if isinstance(shape, Polygonal) else far_m - reach_m(shape)


def depth_m(shape: Shape, lon: float, lat: float) -> float:
    """Measure from a point inside to the edge."""
    far_m = _to_outline_m(shape, lon, lat)
    return far_m if isinstance(shape, Polygonal) else reach_m(shape) - far_m


def apart_m(lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    return float(WGS84.inv(lon0, lat0, lon1, lat1)[2])


def met(
    shape: Shape, lon0: float, lat0: float, lon1: float, lat1: float
) -> tuple[float, float, float] | None:
    """Return where (0..1) a way first and last meets the shape, and how many metres lie inside."""
    if (lon0, lat0) == (lon1, lat1):
        return (0.0, 1.0, 0.0) if covers_one(shape, lon0, lat0) else None
    if isinstance(shape, Polygonal):
        return _area_met(shape, lon0, lat0, lon1, lat1)
    return _round_met(shape, lon0, lat0, lon1, lat1)


# Areas, exactly -----------------------------------------------------------------------------------

_Point = tuple[Fraction, Fraction]


@cache
def _edges(shape: Polygonal) -> list[tuple[_Point, _Point]]:
    rings = shapely.get_rings(shapely.get_parts(shape.geometry))
    exact = [[_exact(*at) for at in shapely.get_coordinates(ring).tolist()] for ring in rings]
    return [edge for ring in exact for edge in pairwise(ring)]


def _exact(x: float, y: float) -> _Point:
    return Fraction(x), Fraction(y)


def _turn(a: _Point, b: _Point, c: _Point) -> Fraction:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _shares_met(a: _Point, b: _Point, c: _Point, d: _Point) -> list[Fraction]:
    """Return where (0..1) the way from a to b meets the edge from c to d."""
    at_c, at_d = _turn(a, b, c), _turn(a, b, d)
    if at_c == at_d == 0:
        axis = 0 if a[0] != b[0] else 1
        ends = sorted((p[axis] - a[axis]) / (b[axis] - a[axis]) for p in (c, d))
        low, high = max(ends[0], Fraction(0)), min(ends[1], Fraction(1))
        return [low, high] if low <= high else []
    if at_c * at_d > 0:
        return []
    on_edge = at_c / (at_c - at_d)
    x, y = (c[i] + on_edge * (d[i] - c[i]) for i in (0, 1))
    share = (x - a[0]) / (b[0] - a[0]) if a[0] != b[0] else (y - a[1]) / (b[1] - a[1])
    return [share] if 0 <= share <= 1 else []


def _holds(shape: Polygonal, at: _Point) -> bool:
    """Return whether the shape holds a place: even-odd, edges included."""
    odd = False
    for c, d in _edges(shape):
        if _turn(c, d, at) == 0 and all(
            min(c[i], d[i]) <= at[i] <= max(c[i], d[i]) for i in (0, 1)
        ):
            return True
        if (c[1] > at[1]) != (d[1] > at[1]):
            odd ^= at[0] < c[0] + (at[1] - c[1]) / (d[1] - c[1]) * (d[0] - c[0])
    return odd


@lru_cache(20_000)
def _area_met(shape, lon0, lat0, lon1, lat1) -> tuple[float, float, float] | None:
    a, b = _exact(lon0, lat0), _exact(lon1, lat1)
    cuts = {share for edge in _edges(shape) for share in _shares_met(a, b, *edge)}
    if not cuts:
        return None  # who asks knows that the end lies outside
    if _holds(shape, a):
        cuts.add(Fraction(0))
    inside = Fraction(0)
    for low, high in pairwise(sorted(cuts | {Fraction(0), Fraction(1)})):
        middle = (low + high) / 2
        if _holds(shape, (a[0] + middle * (b[0] - a[0]), a[1] + middle * (b[1] - a[1]))):
            inside += high - low
    way_m = apart_m(lon0, lat0, lon1, lat1)
    return float(min(cuts)), float(max(cuts)), float(inside) * way_m


# Circles and corridors ----------------------------------------------------------------------------


@lru_cache(20_000)
def _round_met(shape, lon0, lat0, lon1, lat1) -> tuple[float, float, float] | None:
    start, end = np.array([lon0, lat0]), np.array([lon1, lat1])
    outline, radius_m = _outline(shape), reach_m(shape)

    def off_m(share: np.ndarray) -> np.ndarray:
        at = on_plane(start + share[:, None] * (end - start))
        return shapely.distance(outline, shapely.points(at)) - radius_m

    share = np.linspace(0.0, 1.0, _SAMPLES)
    off = off_m(share)
    bends = off[1:-1][(off[1:-1] - off[:-2]) * (off[2:] - off[1:-1]) <= 0]
    if len(bends) and np.abs(bends).min() < 2 * UNSURE_M:
        raise UnsureError
    inside = off <= 0
    if not inside.any():
        return None
    low, high = share[:-1].copy(), share[1:].copy()
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        same = (off_m(middle) <= 0) == inside[:-1]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    changes = low[inside[1:] != inside[:-1]].tolist()
    first = 0.0 if inside[0] else changes[0]
    last = 1.0 if inside[-1] else changes[-1]
    marks = [0.0] * bool(inside[0]) + changes + [1.0] * bool(inside[-1])
    held = sum(marks[1::2]) - sum(marks[::2])
    return first, last, held * apart_m(lon0, lat0, lon1, lat1)
