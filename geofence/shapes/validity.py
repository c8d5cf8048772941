"""The check that rings bound an area: what is wrong, at which ring and vertex, and what would mend
it.

The check itself is GEOS's, once in the plane, where rings are continuous, and once more in one turn
of the globe where an area reaches beyond. GEOS's work grows with the pairs of edges whose boxes
overlap, which a hostile ring can make quadratic, so those are counted first and an area beyond the
limit is refused. A repair is offered, never applied; none is offered where the number of crossings
makes it dear.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.shapes.antimeridian import PlaneRing, is_polar_parallel, plane_ring
from geofence.shapes.errors import Places, Rings, ShapeError, edge_lines
from geofence.shapes.seams import (
    as_area,
    compact,
    folded,
    has_seam,
    polygons_of,
    rings_of,
    seam_count,
    unrolled,
)

MAX_EDGE_PAIRS = 5_000_000  # counting and checking together stay below two seconds
MAX_REPAIR_EDGE_PAIRS = 500_000
MAX_REPAIR_CROSSINGS = 200  # GEOS's repair takes minutes from some ten thousand on
MAX_SEAM_EDGES = 2_000  # each may cut a piece off, that is joined again

_SAME_AREA = 1e-9  # relative; what overlaps by less is rounding at a cut

Laid = Sequence[Sequence[PlaneRing]]


def area(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    """Return the area that the rings bound, unrolled (geofence.shapes.seams), degrees.

    Raises ShapeError where they bound none, with a repaired geometry if there is one.
    """
    try:
        return _area([[plane_ring(ring) for ring in rings] for rings in polygons], multi=multi)
    except ShapeError as error:
        error.repaired = repair(polygons)
        raise


def _area(laid: Laid, *, multi: bool) -> Polygon | MultiPolygon:
    places = Places([[ring.line for ring in rings] for rings in laid], multi=multi)
    _refuse_spirals(laid, places)
    plane = [_in_plane(rings) for rings in laid]
    _refuse_tangles(plane)
    if any(ring.winding for rings in laid for ring in rings):
        return unrolled(_on_globe(laid, plane, places))
    geometry = _build(plane, multi=multi)
    _refuse_crossings(geometry, places)
    west, _, east, _ = geometry.bounds
    joins = (west < -180 or east > 180 or east - west >= 360) and has_seam(plane)
    if joins:
        return unrolled(_on_globe(laid, plane, places))
    if east - west >= 360:  # parts may overlap a turn away from each other
        _on_globe(laid, plane, places)
    return compact(geometry)


def _on_globe(laid: Laid, plane: Sequence[Rings], places: Places) -> list[Polygon]:
    """Return all pieces in [-180, 180]. Raises ShapeError where they overlap, or are none."""
    if seam_count(plane) > MAX_SEAM_EDGES:
        raise ShapeError("the edges meet the 180th meridian too often for the area to be checked")
    pieces = [
        piece
        for number, rings in enumerate(laid)
        for piece in _polygon_on_globe(rings, plane[number], number, places)
    ]
    if not pieces:
        raise ShapeError("the rings bound no area", "/coordinates")
    whole = as_area(pieces)
    _refuse_tangles([rings_of(whole)])
    _refuse_crossings(whole, places)
    return pieces


def _polygon_on_globe(
    rings: Sequence[PlaneRing], plane: Rings, number: int, places: Places
) -> list[Polygon]:
    """Return the pieces in [-180, 180] of a polygon some rings of which may go round the axis."""
    around = [ring for ring in rings if ring.winding]
    if not around:
        polygon = Polygon(plane[0], list(plane[1:]))
        west, _, east, _ = polygon.bounds
        if west >= -180 and east <= 180:
            return [polygon]  # checked with all the others
        return _in_one_turn(polygon, number, 0, places)
    whole: Any = None
    for ring, closed in enumerate(plane):
        if len(around) > 1 and rings[ring].winding and is_polar_parallel(rings[ring].line):
            continue  # drawn for maps where the pole is
        filled = as_area(_in_one_turn(Polygon(closed), number, ring, places))
        if whole is None:
            whole = filled
        elif whole.covers(filled):
            whole = whole.difference(filled)
        else:
            raise places.of_ring("the hole lies outside the outer ring", number, ring)
    return polygons_of(whole)


def _in_one_turn(area: Polygon, number: int, ring: int, places: Places) -> list[Polygon]:
    """Return a polygon's pieces in [-180, 180]. Raises ShapeError where it crosses or overlaps
    itself.
    """
    _refuse_crossings(area, places)
    pieces = folded(area)
    if sum(piece.area for piece in pieces) < area.area * (1 - _SAME_AREA):
        raise places.of_ring("edges cross or overlap on the other side of a turn", number, ring)
    return pieces


def repair(polygons: Sequence[Rings]) -> dict[str, Any] | None:
    """Return a GeoJSON geometry of the same area by the even-odd rule, cut at the 180th meridian;
    or None.

    rings: closed, of at least four positions.
    """
    laid = [[plane_ring(ring) for ring in rings] for rings in polygons]
    if any(sum(abs(ring.winding) for ring in rings) > 1 for rings in laid):
        return None
    plane = [_in_plane(rings) for rings in laid]
    if seam_count(plane) > MAX_SEAM_EDGES:
        return None
    if edge_pairs(plane, MAX_REPAIR_EDGE_PAIRS) > MAX_REPAIR_EDGE_PAIRS:
        return None
    if _crossings(plane) > MAX_REPAIR_CROSSINGS:
        return None
    pieces = folded(shapely.make_valid(_build(plane, multi=True)))
    if not pieces:
        return None
    whole = as_area(pieces)
    if not shapely.is_valid(whole):
        whole = as_area(polygons_of(shapely.union_all(pieces)))
    return json.loads(shapely.to_geojson(whole)) if _reads_the_same(whole) else None


def _reads_the_same(area: Polygon | MultiPolygon) -> bool:
    """Return whether no step of the area's rings would be taken for a leap."""
    return all(np.array_equal(plane_ring(ring).line[:, 0], ring[:, 0]) for ring in rings_of(area))


def edge_pairs(polygons: Sequence[Rings], limit: int) -> int:
    """Count the pairs of edges whose boxes overlap; counting stops once past `limit`."""
    vertices = sum(len(ring) for rings in polygons for ring in rings)
    if vertices**2 <= limit:
        return vertices**2
    lines = edge_lines(polygons)
    tree = shapely.STRtree(lines)
    portion = max(1, limit // len(lines))
    pairs = 0
    for start in range(0, len(lines), portion):
        pairs += tree.query(lines[start : start + portion]).shape[1]
        if pairs > limit:
            break
    return pairs


def _crossings(polygons: Sequence[Rings]) -> int:
    """Count the pairs of edges that cross in a place that is inside both, but for rounding.

    In numpy: GEOS asks each pair for all that it could be, which takes a hundred times as long.
    """
    lines = edge_lines(polygons)
    first, other = shapely.STRtree(lines).query(lines)
    once = first < other
    ends = shapely.get_coordinates(lines).reshape(-1, 2, 2)
    a, b, c, d = *ends[first[once]].swapaxes(0, 1), *ends[other[once]].swapaxes(0, 1)
    apart = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
    return int(np.count_nonzero(apart))


def _side(
    a: NDArray[np.float64], b: NDArray[np.float64], p: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return on which side of the line from a to b p lies: the sign; all (n, 2)."""
    along, away = b - a, p - a
    return np.sign(along[:, 0] * away[:, 1] - along[:, 1] * away[:, 0])


def _in_plane(rings: Sequence[PlaneRing]) -> Rings:
    """Return a polygon's rings closed in the plane, its shell from [-180, 180) on, holes moved into
    it.
    """
    shell, *holes = (ring.closed() for ring in rings)
    west = shell[:, 0].min()
    if west < -180 or west >= 180:
        shell = shell - (360.0 * np.floor((west + 180) / 360), 0.0)
    west, east = shell[:, 0].min(), shell[:, 0].max()
    return [shell, *(_moved_between(hole, west, east) for hole in holes)]


def _moved_between(ring: NDArray[np.float64], west: float, east: float) -> NDArray[np.float64]:
    for turn in (0.0, 360.0, -360.0, 720.0, -720.0):
        if west <= ring[:, 0].min() + turn and ring[:, 0].max() + turn <= east:
            return ring + np.array((turn, 0.0)) if turn else ring
    return ring


def _build(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    parts = [Polygon(rings[0], list(rings[1:])) for rings in polygons]
    return MultiPolygon(parts) if multi else parts[0]


def _refuse_spirals(laid: Laid, places: Places) -> None:
    for number, rings in enumerate(laid):
        for ring, winding in enumerate(rings):
            if abs(winding.winding) > 1:
                raise places.of_ring("it goes round the axis more than once", number, ring)


def _refuse_tangles(polygons: Sequence[Rings]) -> None:
    if edge_pairs(polygons, MAX_EDGE_PAIRS) > MAX_EDGE_PAIRS:
        raise ShapeError("the edges overlap each other too much for the area to be checked")


def _refuse_crossings(geometry: Polygon | MultiPolygon, places: Places) -> None:
    if not shapely.is_valid(geometry):
        raise places.crossing(shapely.is_valid_reason(geometry))
