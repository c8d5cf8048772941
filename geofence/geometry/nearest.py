"""The place on one edge that is nearest to a point, compiled.

An edge is straight in longitude and latitude, so it is a curve on the ground. Two measures: in a
plane, with fixed metres per degree, which is quick and bounds the distance from below or above as
the metres are chosen; and in space, where Newton's method makes the straight line from the point to
the edge least. That place is the geodesically nearest one within what matters: 10 km away a line
through the earth is 1 mm shorter than the geodesic, in every direction to a hundredth of that.
"""

import math

import numpy as np

from geofence.geometry.geodesic import E2, EQUATOR_M, geodesic_m, metres_per_degree, short_way
from geofence.kernel.compiled import bare

LEAST_DEGREE_M = 110_574.2  # of latitude, at the equator
GREATEST_DEGREE_M = 111_694.0  # at the poles; of longitude never more than 111,319.5
_ROUNDS = 12
_SETTLED_M = 1.0  # Newton's next step is then far below a millimetre
_SHORT_DEG = 5.0
_PLACES = 64


@bare
def least_degrees_m(lat: float, reach_m: float) -> tuple[float, float]:
    """Return metres per degree, east and north, than which there are no fewer within `reach_m` of
    `lat`.

    A distance that is taken with them in the plane is never too long, where it is up to `reach_m`.
    """
    reach = reach_m / LEAST_DEGREE_M
    farthest, closest = abs(lat) + reach, max(abs(lat) - reach, 0.0)
    east = metres_per_degree(farthest)[0] if farthest < 90.0 else 0.0
    return east, metres_per_degree(min(closest, 90.0))[1]


@bare
def greatest_degrees_m(lat: float, reach_m: float) -> tuple[float, float]:
    """Return the most metres per degree within the reach, so that a distance in the plane is never
    too short.
    """
    reach = reach_m / LEAST_DEGREE_M
    farthest, closest = abs(lat) + reach, max(abs(lat) - reach, 0.0)
    return metres_per_degree(min(closest, 90.0))[0], metres_per_degree(min(farthest, 90.0))[1]


@bare
def planar_m2(
    x: float, y: float, step_x: float, step_y: float, east_m: float, north_m: float
) -> float:
    """Return squared distance from the origin to an edge in the plane; NaN where the edge has a
    NaN.

    x, y: where the edge starts, seen from the point, in degrees; step_x, step_y: from there to its
    end. Longitudes are taken the short way, for each place of the edge.
    """
    x = short_way(x)
    square = _in_plane_m2(x * east_m, y * north_m, step_x * east_m, step_y * north_m)
    if x + step_x > 180.0:
        x -= 360.0
    elif x + step_x < -180.0:
        x += 360.0
    else:
        return square
    again = _in_plane_m2(x * east_m, y * north_m, step_x * east_m, step_y * north_m)
    return min(square, again)


@bare
def _in_plane_m2(x: float, y: float, step_x: float, step_y: float) -> float:
    along = along_in_plane(x, y, step_x, step_y)
    x += along * step_x
    y += along * step_y
    return x * x + y * y


@bare
def along_in_plane(x: float, y: float, step_x: float, step_y: float) -> float:
    """Return the fraction of the edge (0 its start, 1 its end) that lies nearest to the origin."""
    square = step_x * step_x + step_y * step_y
    if square == 0.0:
        return 0.0
    return min(1.0, max(0.0, -(x * step_x + y * step_y) / square))


@bare
def beyond_m(
    lon: float, lat: float, lon0: float, lat0: float, lon1: float, lat1: float, reach_m: float
) -> bool:
    """Return whether a straight line through the earth shows that the whole edge is farther than
    that.

    Sharper than the plane's bounds some hundred kilometres away.
    """
    start_m2 = 2 * _pull(lon, lat, lon0, lat0, lon1 - lon0, lat1 - lat0, 0.0)[0]
    length_m = math.hypot(lon1 - lon0, lat1 - lat0) * GREATEST_DEGREE_M
    return math.sqrt(start_m2) - length_m > reach_m


@bare
def nearest_on_edge(
    lon: float, lat: float, lon0: float, lat0: float, lon1: float, lat1: float
) -> tuple[float, float]:
    """Return (distance in metres, fraction of the edge) of the edge's place nearest to a point.

    Right to 0.1 mm below 10 km and to 1 cm below 100 km, at poles and over the antimeridian too.
    """
    along = _descend(lon, lat, lon0, lat0, lon1, lat1, _start(lon, lat, lon0, lat0, lon1, lat1))
    place_lon, place_lat = lon0 + along * (lon1 - lon0), lat0 + along * (lat1 - lat0)
    return geodesic_m(lon, lat, place_lon, min(90.0, max(-90.0, place_lat))), along


@bare
def _start(lon: float, lat: float, lon0: float, lat0: float, lon1: float, lat1: float) -> float:
    """Return a place on the edge from which it only goes downhill to the nearest one."""
    x, y, step_x, step_y = short_way(lon0 - lon), lat0 - lat, lon1 - lon0, lat1 - lat0
    if step_x == 0.0 and step_y == 0.0:
        return 0.0
    if max(abs(step_x), abs(step_y)) < _SHORT_DEG:  # all but straight on the ground
        east_m, north_m = metres_per_degree(lat)
        return along_in_plane(x * east_m, y * north_m, step_x * east_m, step_y * north_m)
    best, least = 0.0, np.inf
    for place in range(_PLACES + 1):
        along = place / _PLACES
        square = _pull(lon, lat, lon0, lat0, step_x, step_y, along)[0]
        if square < least:
            best, least = along, square
    if abs(step_x) >= 360.0 and (best == 0.0 or best == 1.0):
        # A whole parallel ends where it starts: downhill may lie beyond that.
        slope = _pull(lon, lat, lon0, lat0, step_x, step_y, best)[1]
        if (slope > 0.0) == (best == 0.0):
            best = 1.0 - best
    return best


@bare
def _descend(
    lon: float,
    lat: float,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    along: float,
) -> float:
    """Return the place where the straight line through the earth is least, by Newton's method."""
    step_x, step_y = lon1 - lon0, lat1 - lat0
    for _ in range(_ROUNDS):
        _, slope, bend, speed_m2 = _pull(lon, lat, lon0, lat0, step_x, step_y, along)
        if speed_m2 == 0.0:
            break
        moved = min(1.0, max(0.0, along - slope / (bend if bend > 0.0 else speed_m2)))
        step = abs(moved - along)
        along = moved
        if step * step * speed_m2 < _SETTLED_M * _SETTLED_M:
            break
    return along


@bare
def _pull(
    lon: float,
    lat: float,
    lon0: float,
    lat0: float,
    step_x: float,
    step_y: float,
    along: float,
) -> tuple[float, float, float, float]:
    """Return half the squared line in space from the point to a place of the edge, and its
    derivatives.

    (that half square, its first and second derivative by `along`, the square of the edge's speed),
    m^2. The change of the meridian's radius along the edge is left out of the second derivative.
    """
    angle, turn = math.radians(lat), math.radians(lon0 + along * step_x - lon)
    sin_p, cos_p = math.sin(angle), math.cos(angle)
    prime_p = EQUATOR_M / math.sqrt(1 - E2 * sin_p * sin_p)
    angle = math.radians(lat0 + along * step_y)
    sine, cosine = math.sin(angle), math.cos(angle)
    sin_turn, cos_turn = math.sin(turn), math.cos(turn)
    flattened = 1 - E2 * sine * sine
    prime = EQUATOR_M / math.sqrt(flattened)
    # From the point, in whose meridian x lies.
    x = prime * cosine * cos_turn - prime_p * cos_p
    y = prime * cosine * sin_turn
    z = (1 - E2) * (prime * sine - prime_p * sin_p)
    east = math.radians(step_x)
    north = math.radians(step_y) * prime * (1 - E2) / flattened  # metres
    circle = prime * cosine
    move_x = -sine * cos_turn * north - circle * sin_turn * east
    move_y = -sine * sin_turn * north + circle * cos_turn * east
    move_z = cosine * north
    angular = math.radians(step_y)
    turn_x = -circle * cos_turn * east * east + 2 * sine * sin_turn * north * east
    turn_y = -circle * sin_turn * east * east - 2 * sine * cos_turn * north * east
    turn_x -= cosine * cos_turn * north * angular
    turn_y -= cosine * sin_turn * north * angular
    turn_z = -sine * north * angular
    speed = move_x * move_x + move_y * move_y + move_z * move_z
    slope = x * move_x + y * move_y + z * move_z
    return (x * x + y * y + z * z) / 2, slope, speed + x * turn_x + y * turn_y + z * turn_z, speed
