"""Where the straight way from one fix to the next meets a packed shape, compiled.

The way is straight in longitude and latitude, as the edges are. Whether it meets an area's edge is
decided exactly; where is as exact as doubles are. A touch is a meeting of no length, and what runs
along an edge lies inside, as its points do.
"""

import numpy as np
from numpy.typing import NDArray

from geofence.compiled import bare, compiled
from geofence.containment import covers
from geofence.crossing_round import round_meets
from geofence.geodesic import straight_m
from geofence.orientation import orientation
from geofence.packing import Arena
from geofence.slabs import band_of

_SPANS = 1_024


@bare
def meets(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    spans: NDArray[np.float64],
) -> tuple[float, float, float]:
    """(first, last, length): where from 0 to 1 the way meets the shape, and the metres inside.

    The metres of all pieces together, in or on the shape. (NaN, NaN, 0.0) where it does not meet
    the shape. Degrees, continuous over the antimeridian; for an area in the shape's own frame,
    moved there by whole turns. spans: scratch, (k, 2): with fewer rows than a corridor has edges, a
    way that meets it in more than k pieces may be given some metres between two of them.
    """
    if np.isnan(shape["radius_m"]):
        return _area_meets(arena, shape, lon0, lat0, lon1, lat1)
    return round_meets(arena, shape, lon0, lat0, lon1, lat1, spans)


@bare
def _area_meets(
    arena: Arena, shape: np.void, lon0: float, lat0: float, lon1: float, lat1: float
) -> tuple[float, float, float]:
    if lon0 == lon1 and lat0 == lat1:
        inside = covers(arena, shape, lon0, lat0)
        return (0.0, 1.0, 0.0) if inside else (np.nan, np.nan, 0.0)
    first, last, length_m = np.nan, np.nan, 0.0
    at = -1.0
    while at < 1.0:  # each round goes to the next of finitely many places
        then, along_edge = _next_meeting(arena, shape, lon0, lat0, lon1, lat1, at)
        start, end = max(at, 0.0), min(then, 1.0)
        if start < end:
            probe = 0.0 if at < 0.0 else 1.0 if then > 1.0 else (start + end) / 2
            lon, lat = _place(lon0, lon1, probe), _place(lat0, lat1, probe)
            if along_edge or covers(arena, shape, lon, lat):
                length_m += straight_m(
                    _place(lon0, lon1, start),
                    _place(lat0, lat1, start),
                    _place(lon0, lon1, end),
                    _place(lat0, lat1, end),
                )
                first, last = start if np.isnan(first) else first, end
        if then <= 1.0:
            first, last = then if np.isnan(first) else first, then
        at = then
    return first, last, length_m


@bare
def _place(begin: float, end: float, along: float) -> float:
    """A coordinate between two, and the ends exactly."""
    return end if along == 1.0 else begin + along * (end - begin)


@bare
def _next_meeting(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    after: float,
) -> tuple[float, bool]:
    """The first place beyond `after` where an edge is met or left, infinity where there is none.

    And whether the way runs along an edge until there.
    """
    south, north = min(lat0, lat1), max(lat0, lat1)
    west, east = min(lon0, lon1), max(lon0, lon1)
    slabs = shape["slabs"]
    vertices = arena.vertices
    edges = arena.slab_edge
    if slabs > 0:
        lowest = band_of(south, shape["slab_south"], shape["slabs_per_deg"], slabs)
        highest = band_of(north, shape["slab_south"], shape["slabs_per_deg"], slabs)
        slab = shape["slab"]
        edges = edges[arena.slab_start[slab + lowest] : arena.slab_start[slab + highest + 1]]
        count = len(edges)
    else:
        vertices = vertices[shape["first"] : shape["last"]]
        count = len(vertices) - 1
    then, along_edge = np.inf, False
    for place in range(count):
        edge = int(edges[place]) if slabs > 0 else place
        if not _touches(vertices[edge, 1], vertices[edge + 1, 1], south, north):
            continue
        if not _touches(vertices[edge, 0], vertices[edge + 1, 0], west, east):
            continue
        begin, until = _meeting(vertices, edge, lon0, lat0, lon1, lat1)
        if begin > after:
            then = min(then, begin)
        elif until > after:
            then, along_edge = min(then, until), True
    return then, along_edge


@bare
def _touches(begin: float, end: float, least: float, greatest: float) -> bool:
    """Whether an edge from `begin` to `end` touches a range; never where one is NaN."""
    after = (begin >= least) | (end >= least)
    before = (begin <= greatest) | (end <= greatest)
    return after & before & (begin - end == begin - end)


@bare
def _meeting(
    vertices: NDArray[np.float64],
    edge: int,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
) -> tuple[float, float]:
    """Where on the way it first and last meets an edge whose box its own touches, NaN if nowhere.

    The two differ only where the way runs along the edge.
    """
    x0, y0 = vertices[edge, 0], vertices[edge, 1]
    x1, y1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
    side0 = orientation(lon0, lat0, lon1, lat1, x0, y0)
    side1 = orientation(lon0, lat0, lon1, lat1, x1, y1)
    if side0 * side1 > 0:
        return np.nan, np.nan
    from0 = orientation(x0, y0, x1, y1, lon0, lat0)
    from1 = orientation(x0, y0, x1, y1, lon1, lat1)
    if from0 * from1 > 0:
        return np.nan, np.nan
    if side0 == 0 and side1 == 0:
        begin = _projected(lon0, lat0, lon1, lat1, x0, y0)
        end = _projected(lon0, lat0, lon1, lat1, x1, y1)
        return min(begin, end), max(begin, end)
    if from0 == 0:
        return 0.0, 0.0
    if from1 == 0:
        return 1.0, 1.0
    # A vertex is met in one place by both of its edges.
    if side0 == 0:
        at = _projected(lon0, lat0, lon1, lat1, x0, y0)
    elif side1 == 0:
        at = _projected(lon0, lat0, lon1, lat1, x1, y1)
    else:
        at = _crossed(lon0, lat0, lon1, lat1, x0, y0, x1, y1)
    return at, at


@bare
def _projected(lon0: float, lat0: float, lon1: float, lat1: float, x: float, y: float) -> float:
    """Where on the way a point of its line lies; the nearer end for what lies beyond."""
    if abs(lon1 - lon0) > abs(lat1 - lat0):
        along = (x - lon0) / (lon1 - lon0)
    else:
        along = (y - lat0) / (lat1 - lat0)
    return min(1.0, max(0.0, along))


@bare
def _crossed(
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    x0: float,
    y0: float,
    x1: float,
    y1: float,
) -> float:
    """Where on the way it crosses an edge that is known to part its ends."""
    begin = abs((x1 - x0) * (lat0 - y0) - (y1 - y0) * (lon0 - x0))
    end = abs((x1 - x0) * (lat1 - y0) - (y1 - y0) * (lon1 - x0))
    if begin + end == 0.0:  # all but along the edge
        return _projected(lon0, lat0, lon1, lat1, x0, y0)
    return begin / (begin + end)


@compiled
def meets_pairs(
    arena: Arena,
    shapes: NDArray[np.void],
    lon0: NDArray[np.float64],
    lat0: NDArray[np.float64],
    lon1: NDArray[np.float64],
    lat1: NDArray[np.float64],
) -> NDArray[np.float64]:
    """`meets` of way i with shape i. shapes: SHAPE_DTYPE, (n,); the others (n,) -> (n, 3)."""
    result, spans = np.empty((len(lon0), 3)), np.empty((_SPANS, 2))
    for row in range(len(lon0)):
        found = meets(arena, shapes[row], lon0[row], lat0[row], lon1[row], lat1[row], spans)
        result[row, 0], result[row, 1], result[row, 2] = found
    return result
