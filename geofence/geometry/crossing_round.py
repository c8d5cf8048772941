"""The part of the straight way between two fixes in a circle or a corridor, compiled.

For each edge of a corridor the distance from the way falls to a least value and rises again; the
two places where it equals half the width are looked for on either side of that. A circle is the
same with its centre as an edge of no length. What lies near any edge is the union of those spans.
A way of more than a degree is taken in parts, so that each is all but straight on the ground.
"""

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.geodesic import metres_per_degree, short_way, straight_m
from geofence.geometry.nearest import LEAST_DEGREE_M, nearest_on_edge
from geofence.geometry.packing import Arena
from geofence.kernel.compiled import bare

_PART_DEG = 1.0
_EXACT_M = 0.0005
_ROUNDS = 100


@bare
def round_meets(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    spans: NDArray[np.float64],
) -> tuple[float, float, float]:
    """Return what `geofence.geometry.crossing.meets` returns, for shapes with a radius; places are
    exact to a millimetre.
    """
    vertices = arena.vertices
    reach_m = shape["radius_m"]
    parts = 1 + int(max(abs(lon1 - lon0), abs(lat1 - lat0)) / _PART_DEG)
    edges = max(shape["real"] - shape["first"] - 1, 1)
    to_end = min(shape["real"] - shape["first"] - 1, 1)  # 0: a centre, which ends where it starts
    count = 0
    for part in range(parts):
        begin, end = part / parts, (part + 1) / parts
        x0, y0 = lon0 + begin * (lon1 - lon0), lat0 + begin * (lat1 - lat0)
        x1, y1 = lon0 + end * (lon1 - lon0), lat0 + end * (lat1 - lat0)
        east_m = _least_east_m(max(abs(y0), abs(y1)), reach_m)
        for edge in range(shape["first"], shape["first"] + edges):
            u0, v0 = vertices[edge, 0], vertices[edge, 1]
            u1, v1 = vertices[edge + to_end, 0], vertices[edge + to_end, 1]
            if _apart(x0, y0, x1, y1, u0, v0, u1, v1, east_m, reach_m):
                continue
            first, last = _span(x0, y0, x1, y1, u0, v0, u1, v1, reach_m)
            if first <= last:
                if count == len(spans):
                    count = _joined(spans, count)
                _insert(spans, count, begin + first * (end - begin), begin + last * (end - begin))
                count += 1
    return _union(spans, count, lon0, lat0, lon1, lat1)


@bare
def _insert(spans: NDArray[np.float64], count: int, first: float, last: float) -> None:
    """Put a span among `count` that are in order of their beginnings."""
    place = count
    while place > 0 and spans[place - 1, 0] > first:
        spans[place, 0], spans[place, 1] = spans[place - 1, 0], spans[place - 1, 1]
        place -= 1
    spans[place, 0], spans[place, 1] = first, last


@bare
def _joined(spans: NDArray[np.float64], count: int) -> int:
    """Make room: spans that overlap become one, and if none does, the last two."""
    kept = 0
    for row in range(1, count):
        if spans[row, 0] <= spans[kept, 1]:
            spans[kept, 1] = max(spans[kept, 1], spans[row, 1])
        else:
            kept += 1
            spans[kept, 0], spans[kept, 1] = spans[row, 0], spans[row, 1]
    if kept == count - 1:
        kept -= 1
        spans[kept, 1] = spans[kept + 1, 1]
    return kept + 1


@bare
def _union(
    spans: NDArray[np.float64], count: int, lon0: float, lat0: float, lon1: float, lat1: float
) -> tuple[float, float, float]:
    """Return (first, last, metres together) of `count` spans of a way, in order of their
    beginnings.
    """
    if count == 0:
        return np.nan, np.nan, 0.0
    east, north = lon1 - lon0, lat1 - lat0
    length_m, last = 0.0, spans[0, 0]
    for row in range(count):
        begin, end = max(spans[row, 0], last), spans[row, 1]
        if end > begin:
            length_m += straight_m(
                lon0 + begin * east, lat0 + begin * north, lon0 + end * east, lat0 + end * north
            )
            last = end
    return float(spans[0, 0]), float(last), length_m


@bare
def _least_east_m(lat: float, reach_m: float) -> float:
    """Return the least metres in a degree of longitude up to `reach_m` beyond a
    latitude of `lat`.
    """
    farthest = lat + reach_m / LEAST_DEGREE_M
    return metres_per_degree(farthest)[0] if farthest < 90.0 else 0.0


@bare
def _apart(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    u0: float,
    v0: float,
    u1: float,
    v1: float,
    east_m: float,
    reach_m: float,
) -> bool:
    """Return whether the boxes of a way and an edge show that they are farther apart, or one has a
    NaN.
    """
    gap_y = max(min(v0, v1) - max(y0, y1), min(y0, y1) - max(v0, v1))
    if not gap_y * LEAST_DEGREE_M <= reach_m:
        return True
    step, turn = x1 - x0, short_way(u0 - x0)
    west, east = min(turn, turn + u1 - u0), max(turn, turn + u1 - u0)
    gap_x = max(west - max(step, 0.0), min(step, 0.0) - east)
    other_x = 360.0 - max(east, max(step, 0.0)) + min(west, min(step, 0.0))  # the other way round
    return not min(gap_x, other_x) * east_m <= reach_m


@bare
def _span(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    u0: float,
    v0: float,
    u1: float,
    v1: float,
    reach_m: float,
) -> tuple[float, float]:
    """Return the span of a way, straight on the ground, that is near an edge; NaN where none is."""
    begin_m = nearest_on_edge(x0, y0, u0, v0, u1, v1)[0]
    end_m = nearest_on_edge(x1, y1, u0, v0, u1, v1)[0]
    if begin_m <= reach_m and end_m <= reach_m:
        return 0.0, 1.0
    least_m, middle = (begin_m, 0.0) if begin_m <= end_m else (end_m, 1.0)
    if least_m > reach_m:
        least_m, middle = _least(x0, y0, x1, y1, u0, v0, u1, v1)
        if least_m > reach_m:
            return np.nan, np.nan
    first, last = 0.0, 1.0
    if begin_m > reach_m:
        first = _edge_of_span(x0, y0, x1, y1, u0, v0, u1, v1, reach_m, 0.0, middle)
    if end_m > reach_m:
        last = _edge_of_span(x0, y0, x1, y1, u0, v0, u1, v1, reach_m, 1.0, middle)
    return first, last


@bare
def _least(
    x0: float, y0: float, x1: float, y1: float, u0: float, v0: float, u1: float, v1: float
) -> tuple[float, float]:
    """Return (metres, fraction of the way) of the way's least distance to an edge, its own ends
    left out.
    """
    crossed = _crossed(x0, y0, x1, y1, x0 + short_way(u0 - x0), v0, u1 - u0, v1 - v0)
    if crossed >= 0.0:
        return 0.0, crossed
    begin_m, begin = nearest_on_edge(u0, v0, x0, y0, x1, y1)
    end_m, end = nearest_on_edge(u1, v1, x0, y0, x1, y1)
    return (begin_m, begin) if begin_m <= end_m else (end_m, end)


@bare
def _crossed(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    u0: float,
    v0: float,
    step_u: float,
    step_v: float,
) -> float:
    """Return the fraction of the way at which it crosses an edge, -1 where it does not."""
    step_x, step_y = x1 - x0, y1 - y0
    across = step_x * step_v - step_y * step_u
    if across == 0.0:
        return -1.0
    on_way = ((u0 - x0) * step_v - (v0 - y0) * step_u) / across
    on_edge = ((u0 - x0) * step_y - (v0 - y0) * step_x) / across
    return on_way if 0.0 <= on_way <= 1.0 and 0.0 <= on_edge <= 1.0 else -1.0


@bare
def _edge_of_span(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    u0: float,
    v0: float,
    u1: float,
    v1: float,
    reach_m: float,
    outside: float,
    inside: float,
) -> float:
    """Return the last place that is near enough, on the way from one inside to one outside.

    Regula falsi with halved weights ("Illinois") on the difference of squares, which is all but a
    parabola; a step that stays at an end is moved on, so that the bracket closes from both sides.
    """
    exact = _EXACT_M / max(straight_m(x0, y0, x1, y1), _EXACT_M)
    over = _excess_m2(x0, y0, x1, y1, u0, v0, u1, v1, reach_m, outside)
    under = _excess_m2(x0, y0, x1, y1, u0, v0, u1, v1, reach_m, inside)
    for _ in range(_ROUNDS):
        width = outside - inside
        if abs(width) <= 2 * exact:
            break
        share = -under / (over - under)
        share = min(max(share, exact / abs(width)), 1 - exact / abs(width))
        at = inside + share * width
        excess = _excess_m2(x0, y0, x1, y1, u0, v0, u1, v1, reach_m, at)
        if excess > 0.0:
            outside, over, under = at, excess, under / 2
        else:
            inside, under, over = at, excess, over / 2
    return inside


@bare
def _excess_m2(
    x0: float,
    y0: float,
    x1: float,
    y1: float,
    u0: float,
    v0: float,
    u1: float,
    v1: float,
    reach_m: float,
    along: float,
) -> float:
    lon, lat = x0 + along * (x1 - x0), y0 + along * (y1 - y0)
    distance_m = nearest_on_edge(lon, lat, u0, v0, u1, v1)[0]
    return (distance_m - reach_m) * (distance_m + reach_m)
