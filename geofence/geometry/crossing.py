"""The meeting of the straight way between two fixes with a packed shape, compiled.

The way is straight in longitude and latitude, as the edges are. Whether it meets an area's edge is
decided exactly; where is as exact as doubles are. A touch is a meeting of no length, and what runs
along an edge lies inside, as its points do.
"""

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.containment import covers
from geofence.geometry.crossing_round import round_meets
from geofence.geometry.geodesic import straight_m
from geofence.geometry.latitude_bands import band_of
from geofence.geometry.orientation import orientation
from geofence.geometry.packing import Arena
from geofence.kernel.compiled import bare, compiled

_SPANS = 256  # of a corridor that are sorted in; more are joined first
ROWS_PER_VERTEX = 2

_TOUCHES, _CROSSES, _BEGINS, _ENDS = (
    0.0,
    1.0,
    2.0,
    3.0,
)  # how an edge is met; the last two: along it


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
    """Return (first, last, length): the fractions 0 to 1 of the way where it first and last meets
    the shape, and the metres inside.

    The metres of all pieces together, in or on the shape. (NaN, NaN, 0.0) where it does not meet
    the shape. Degrees, continuous over the antimeridian; for an area in the shape's own frame,
    moved there by whole turns. spans: scratch, (k, 2), k at least ROWS_PER_VERTEX times an area's
    vertices. A way that meets a corridor in more than k, or 256, pieces may be given some metres
    between two of them.
    """
    if np.isnan(shape["radius_m"]):
        return _area_meets(arena, shape, lon0, lat0, lon1, lat1, spans)
    return round_meets(arena, shape, lon0, lat0, lon1, lat1, spans[:_SPANS])


@bare
def _area_meets(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    rows: NDArray[np.float64],
) -> tuple[float, float, float]:
    if lon0 == lon1 and lat0 == lat1:
        inside = covers(arena, shape, lon0, lat0)
        return (0.0, 1.0, 0.0) if inside else (np.nan, np.nan, 0.0)
    count = _note_meetings(arena, shape, lon0, lat0, lon1, lat1, rows)
    _sort(rows, count)
    odd_inside = _is_inside_after_odd(arena, shape, lon0, lat0, lon1, lat1, rows, count)
    first, last, length_m = np.nan, np.nan, 0.0
    at, odd, edges_along = 0.0, False, 0
    for number in range(count + 1):
        then = rows[number, 0] if number < count else 1.0
        if then > at and (edges_along > 0 or odd == odd_inside):
            length_m += straight_m(
                _place(lon0, lon1, at),
                _place(lat0, lat1, at),
                _place(lon0, lon1, then),
                _place(lat0, lat1, then),
            )
            first, last = at if np.isnan(first) else first, then
        if number < count:
            first, last = then if np.isnan(first) else first, then
            odd ^= rows[number, 1] == _CROSSES
            edges_along += int(rows[number, 1] == _BEGINS) - int(rows[number, 1] == _ENDS)
            at = then
    return first, last, length_m


@bare
def _place(begin: float, end: float, along: float) -> float:
    """Return a coordinate between two, and the ends exactly."""
    return end if along == 1.0 else begin + along * (end - begin)


@bare
def _is_inside_after_odd(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    rows: NDArray[np.float64],
    count: int,
) -> bool:
    """Return whether the way is inside where it has crossed an odd number of edges, else where
    even.

    Asked at an end of the way if no edge is met there: that is exact. Else in the middle of the
    longest stretch between two meetings.
    """
    if count == 0 or rows[0, 0] > 0.0:
        return not covers(arena, shape, lon0, lat0)
    odd, edges_along = False, 0
    longest, middle, middle_odd = -1.0, 1.0, False
    for number in range(count):
        odd ^= rows[number, 1] == _CROSSES
        edges_along += int(rows[number, 1] == _BEGINS) - int(rows[number, 1] == _ENDS)
        then = rows[number + 1, 0] if number + 1 < count else 1.0
        if edges_along <= 0 and then - rows[number, 0] > longest:
            longest, middle_odd = then - rows[number, 0], odd
            middle = (then + rows[number, 0]) / 2
    if rows[count - 1, 0] < 1.0:
        middle, middle_odd = 1.0, odd
    inside = covers(arena, shape, _place(lon0, lon1, middle), _place(lat0, lat1, middle))
    return inside == middle_odd


@bare
def _note_meetings(
    arena: Arena,
    shape: np.void,
    lon0: float,
    lat0: float,
    lon1: float,
    lat1: float,
    rows: NDArray[np.float64],
) -> int:
    """Write where the way meets edges as rows of place and kind, in any order. Returns how many.

    An edge is crossed if it has one end to the left of the way and one to the right or on it: what
    lies just to the left of the way is inside or outside by the number of edges crossed before.
    """
    south, north = min(lat0, lat1), max(lat0, lat1)
    west, east = min(lon0, lon1), max(lon0, lon1)
    bands, vertices = shape["slabs"], arena.vertices
    lowest = band_of(south, shape["slab_south"], shape["slabs_per_deg"], bands)
    highest = max(band_of(north, shape["slab_south"], shape["slabs_per_deg"], bands), 0)
    count = 0
    for band in range(max(lowest, 0), highest + 1):
        start, end = shape["first"], shape["last"] - 1
        if bands > 0:
            slab = shape["slab"] + band
            start, end = int(arena.slab_start[slab]), int(arena.slab_start[slab + 1])
        for place in range(start, end):
            edge = int(arena.slab_edge[place]) if bands > 0 else place
            y0, y1 = vertices[edge, 1], vertices[edge + 1, 1]
            if not _touches(y0, y1, south, north):
                continue
            if not _touches(vertices[edge, 0], vertices[edge + 1, 0], west, east):
                continue
            if bands > 0 and band > lowest:
                own = band_of(min(y0, y1), shape["slab_south"], shape["slabs_per_deg"], bands)
                if own < band:  # it was met in a band before
                    continue
            begin, until, kind = _meeting(vertices, edge, lon0, lat0, lon1, lat1)
            if np.isnan(begin) or count + 2 > len(rows):
                continue
            rows[count, 0], rows[count, 1] = begin, kind
            count += 1
            if kind == _BEGINS:
                rows[count, 0], rows[count, 1] = until, _ENDS
                count += 1
    return count


@bare
def _sort(rows: NDArray[np.float64], count: int) -> None:
    """Put the first `count` rows in order of place (heapsort: no scratch, no worst case)."""
    for root in range(count // 2 - 1, -1, -1):
        _sift(rows, root, count)
    for last in range(count - 1, 0, -1):
        place, kind = rows[last, 0], rows[last, 1]
        rows[last, 0], rows[last, 1] = rows[0, 0], rows[0, 1]
        rows[0, 0], rows[0, 1] = place, kind
        _sift(rows, 0, last)


@bare
def _sift(rows: NDArray[np.float64], root: int, count: int) -> None:
    place, kind = rows[root, 0], rows[root, 1]
    child = 2 * root + 1
    while child < count:
        if child + 1 < count and rows[child + 1, 0] > rows[child, 0]:
            child += 1
        if rows[child, 0] <= place:
            break
        rows[root, 0], rows[root, 1] = rows[child, 0], rows[child, 1]
        root, child = child, 2 * child + 1
    rows[root, 0], rows[root, 1] = place, kind


@bare
def _touches(begin: float, end: float, least: float, greatest: float) -> bool:
    """Return whether an edge from `begin` to `end` touches a range; never where one is NaN."""
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
) -> tuple[float, float, float]:
    """Return the fractions of the way where it first and last meets an edge, and the kind of
    meeting.

    The way's box must touch the edge's box. The fractions are NaN where the way misses the edge;
    they differ only where the way runs along the edge.
    """
    x0, y0 = vertices[edge, 0], vertices[edge, 1]
    x1, y1 = vertices[edge + 1, 0], vertices[edge + 1, 1]
    side0 = orientation(lon0, lat0, lon1, lat1, x0, y0)
    side1 = orientation(lon0, lat0, lon1, lat1, x1, y1)
    if side0 * side1 > 0:
        return np.nan, np.nan, _TOUCHES
    from0 = orientation(x0, y0, x1, y1, lon0, lat0)
    from1 = orientation(x0, y0, x1, y1, lon1, lat1)
    if from0 * from1 > 0:
        return np.nan, np.nan, _TOUCHES
    if side0 == 0 and side1 == 0:
        begin = _projected(lon0, lat0, lon1, lat1, x0, y0)
        end = _projected(lon0, lat0, lon1, lat1, x1, y1)
        return min(begin, end), max(begin, end), _BEGINS
    kind = _CROSSES if (side0 > 0) != (side1 > 0) else _TOUCHES
    if from0 == 0:
        return 0.0, 0.0, kind
    if from1 == 0:
        return 1.0, 1.0, kind
    # A vertex is met in one place by both of its edges.
    if side0 == 0:
        at = _projected(lon0, lat0, lon1, lat1, x0, y0)
    elif side1 == 0:
        at = _projected(lon0, lat0, lon1, lat1, x1, y1)
    else:
        at = _crossed(lon0, lat0, lon1, lat1, x0, y0, x1, y1)
    return at, at, kind


@bare
def _projected(lon0: float, lat0: float, lon1: float, lat1: float, x: float, y: float) -> float:
    """Return the fraction of the way at which a point of its line lies, clamped to
    the way's ends.
    """
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
    """Return the fraction of the way at which it crosses an edge that is known to part its ends."""
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
    """Apply `meets` to way i and shape i. shapes: SHAPE_DTYPE, (n,); the others (n,) -> (n, 3)."""
    most = 0 if len(shapes) == 0 else np.max(shapes["last"] - shapes["first"])
    result, spans = np.empty((len(lon0), 3)), np.empty((max(_SPANS, ROWS_PER_VERTEX * most), 2))
    for row in range(len(lon0)):
        times = meets(arena, shapes[row], lon0[row], lat0[row], lon1[row], lat1[row], spans)
        result[row, 0], result[row, 1], result[row, 2] = times
    return result
