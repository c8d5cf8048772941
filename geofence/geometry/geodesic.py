"""Distances on the WGS 84 ellipsoid, compiled: between two points, and of a degree at a latitude.

Near points: the straight line through the earth, which needs no iteration and knows neither poles
nor antimeridian, is bent to the ellipsoid's curvature. Far ones: T. Vincenty, "Direct and Inverse
Solutions of Geodesics on the Ellipsoid with Application of Nested Equations" (1975).
"""

import math

import numpy as np
from numpy.typing import NDArray

from geofence.kernel.compiled import bare, compiled

EQUATOR_M = 6_378_137.0
FLATTENING = 1 / 298.257223563
POLE_M = EQUATOR_M * (1 - FLATTENING)
E2 = FLATTENING * (2 - FLATTENING)  # the first eccentricity, squared

# The least radius of curvature, north at the equator, and the greatest, at the poles: along any
# path a metre on the ellipsoid is at least and at most so much of an angle on the sphere.
LEAST_RADIUS_M = EQUATOR_M * (1 - E2)
GREATEST_RADIUS_M = EQUATOR_M / (1 - FLATTENING)

_NEAR_M = 100_000.0  # below, bending is right to a thousandth of a millimetre
_SHORT_DEG = 0.01
_POLAR_DEG = 75.0
_SETTLED = 1e-13  # radians
_ROUNDS = 40


@bare
def short_way(degrees: float) -> float:
    """Return a difference of longitudes, by whole turns in [-180, 180]."""
    if degrees > 180.0 or degrees < -180.0:
        return degrees - 360.0 * np.rint(degrees / 360.0)
    return degrees


@bare
def metres_per_degree(lat: float) -> tuple[float, float]:
    """Return the metres per degree east and north at latitude `lat`: the radii of curvature N
    cos(lat) and M.
    """
    angle = math.radians(lat)
    sine = math.sin(angle)
    flattened = 1 - E2 * sine * sine
    prime_m = EQUATOR_M / math.sqrt(flattened)
    meridian_m = prime_m * (1 - E2) / flattened
    return math.radians(prime_m * math.cos(angle)), math.radians(meridian_m)


@bare
def geodesic_m(lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    """Return length of the shortest line between two points, in metres.

    Degrees; longitudes may differ by whole turns. Within 0.1 mm to 2,000 km and 1 mm beyond; only
    where the points are all but antipodal (19,900 km and more) within 1 %.
    """
    angle0, angle1 = math.radians(lat0), math.radians(lat1)
    turn = math.radians(short_way(lon1 - lon0))
    sin0, cos0 = math.sin(angle0), math.cos(angle0)
    sin1, cos1 = math.sin(angle1), math.cos(angle1)
    prime0_m = EQUATOR_M / math.sqrt(1 - E2 * sin0 * sin0)
    prime1_m = EQUATOR_M / math.sqrt(1 - E2 * sin1 * sin1)
    x_m = prime1_m * cos1 * math.cos(turn) - prime0_m * cos0
    y_m = prime1_m * cos1 * math.sin(turn)
    z_m = (1 - E2) * (prime1_m * sin1 - prime0_m * sin0)
    square = x_m * x_m + y_m * y_m + z_m * z_m
    if square < _NEAR_M * _NEAR_M:
        return _bent_m(square, 0.5 * (sin0 + sin1), angle1 - angle0)
    return _vincenty_m(sin0, cos0, sin1, cos1, turn)


@bare
def _bent_m(square: float, sine: float, north: float) -> float:
    """Return the arc over a chord whose square is given, about the latitude of that sine.

    north: difference of latitude in radians. The radius is that of the normal section in the
    chord's direction, by Euler's formula.
    """
    if square == 0.0:
        return 0.0
    flattened = 1 - E2 * sine * sine
    prime_m = EQUATOR_M / math.sqrt(flattened)
    meridian_m = prime_m * (1 - E2) / flattened
    along_meridian = min(1.0, meridian_m * meridian_m * north * north / square)
    curvature = along_meridian / meridian_m + (1 - along_meridian) / prime_m
    bend = square * curvature * curvature
    return math.sqrt(square) * (1 + bend / 24 + 3 * bend * bend / 640)


@bare
def _vincenty_m(sin0: float, cos0: float, sin1: float, cos1: float, turn: float) -> float:
    sin_u0, cos_u0 = _reduced(sin0, cos0)
    sin_u1, cos_u1 = _reduced(sin1, cos1)
    on_sphere = turn
    for _ in range(_ROUNDS):
        sin_turn, cos_turn = math.sin(on_sphere), math.cos(on_sphere)
        sin_arc = math.hypot(cos_u1 * sin_turn, cos_u0 * sin_u1 - sin_u0 * cos_u1 * cos_turn)
        cos_arc = sin_u0 * sin_u1 + cos_u0 * cos_u1 * cos_turn
        arc = math.atan2(sin_arc, cos_arc)
        if sin_arc == 0.0:
            break
        sin_azimuth = cos_u0 * cos_u1 * sin_turn / sin_arc
        cos2_azimuth = 1 - sin_azimuth * sin_azimuth
        middle = cos_arc - 2 * sin_u0 * sin_u1 / cos2_azimuth if cos2_azimuth > 1e-15 else 0.0
        c = FLATTENING / 16 * cos2_azimuth * (4 + FLATTENING * (4 - 3 * cos2_azimuth))
        before = on_sphere
        bent = arc + c * sin_arc * (middle + c * cos_arc * (2 * middle * middle - 1))
        on_sphere = turn + (1 - c) * FLATTENING * sin_azimuth * bent
        if abs(on_sphere) > math.pi:
            break
        if abs(on_sphere - before) < _SETTLED:
            return _arc_m(arc, sin_arc, cos_arc, cos2_azimuth, middle)
    # All but antipodal: the sphere's answer.
    cos_arc = sin_u0 * sin_u1 + cos_u0 * cos_u1 * math.cos(turn)
    return math.acos(max(-1.0, min(1.0, cos_arc))) * (2 * EQUATOR_M + POLE_M) / 3


@bare
def _reduced(sine: float, cosine: float) -> tuple[float, float]:
    """Return sine and cosine of the reduced latitude."""
    flat = (1 - FLATTENING) * sine
    scale = math.hypot(flat, cosine)
    return flat / scale, cosine / scale


@bare
def _arc_m(arc: float, sin_arc: float, cos_arc: float, cos2_azimuth: float, middle: float) -> float:
    """Return the length of an arc by Vincenty's equations 3, 4, 6 and 19."""
    u2 = cos2_azimuth * (EQUATOR_M * EQUATOR_M / (POLE_M * POLE_M) - 1)
    a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    square = 2 * middle * middle - 1
    third = b / 6 * middle * (4 * sin_arc * sin_arc - 3) * (4 * middle * middle - 3)
    return POLE_M * a * (arc - b * sin_arc * (middle + b / 4 * (cos_arc * square - third)))


@bare
def straight_m(lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    """Return length on the ground of a line that is straight in longitude and latitude, in metres.

    Degrees, continuous over the antimeridian. Simpson's rule: within 1e-7 of the length up to 5
    degrees of latitude, away from the poles; there the middle alone is as good for a kilometre.
    """
    east, north = lon1 - lon0, lat1 - lat0
    if abs(north) < _SHORT_DEG and abs(lat0) < _POLAR_DEG:
        return _step_m((lat0 + lat1) / 2, east, north)
    begin_m, end_m = _step_m(lat0, east, north), _step_m(lat1, east, north)
    return (begin_m + 4 * _step_m((lat0 + lat1) / 2, east, north) + end_m) / 6


@bare
def _step_m(lat: float, east: float, north: float) -> float:
    east_m, north_m = metres_per_degree(lat)
    return math.hypot(east * east_m, north * north_m)


@compiled
def geodesics_m(
    lon0: NDArray[np.float64],
    lat0: NDArray[np.float64],
    lon1: NDArray[np.float64],
    lat1: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Apply `geodesic_m` to n pairs of points. Degrees, shape (n,) -> metres, shape (n,)."""
    result = np.empty(len(lon0))
    for row in range(len(lon0)):
        result[row] = geodesic_m(lon0[row], lat0[row], lon1[row], lat1[row])
    return result
