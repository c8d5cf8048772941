"""Whether rings bound an area: what is wrong, at which ring and vertex, and what would mend it.

The check itself is GEOS's. Its work grows with the pairs of edges whose boxes overlap, which a
hostile ring can make quadratic, so those are counted first and an area beyond the limit is refused.
A repair is offered, never applied; none is offered where the number of crossings makes it dear.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from geofence.antimeridian import folded, leaps, unwrapped

MAX_VERTICES = 100_000
MAX_EDGE_PAIRS = 5_000_000  # counting and checking together stay below two seconds
MAX_REPAIR_EDGE_PAIRS = 500_000
MAX_REPAIR_CROSSINGS = 200  # GEOS's repair takes minutes from some ten thousand on

Rings = Sequence[NDArray[np.float64]]  # shell, then holes: each (vertices, 2), closed

_REASON = re.compile(r"(?P<reason>[^\[]+)\[(?P<lon>\S+) (?P<lat>\S+)\]")
_PLAIN = {
    "Self-intersection": "edges cross or overlap",
    "Ring Self-intersection": "the ring touches itself",
    "Hole lies outside shell": "the hole lies outside the outer ring",
    "Holes are nested": "a hole lies in another hole",
    "Nested shells": "one polygon lies in another",
    "Interior is disconnected": "the rings cut the area in two",
    "Duplicate Rings": "two rings are the same",
    "Too few points in geometry component": "the ring has too few different vertices",
}


class ShapeError(ValueError):
    """A geometry that is not the shape of a zone. The fault lies with who wrote the geometry.

    problem: one sentence. pointer: JSON pointer into the geometry. ring and vertex: where that
    applies, counted from 0 (of the polygon that the pointer names); position: (lon, lat) of the
    place. repaired: a GeoJSON geometry that would be accepted, where one can be offered.
    """

    def __init__(
        self,
        problem: str,
        pointer: str = "",
        *,
        ring: int | None = None,
        vertex: int | None = None,
        position: tuple[float, float] | None = None,
        repaired: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(problem)
        self.problem = problem
        self.pointer = pointer
        self.ring = ring
        self.vertex = vertex
        self.position = position
        self.repaired = repaired


def area(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    """The area that the rings bound. Raises ShapeError where they bound none."""
    if edge_pairs(polygons, MAX_EDGE_PAIRS) > MAX_EDGE_PAIRS:
        raise ShapeError("the edges overlap each other too much for the area to be checked")
    geometry = _build(polygons, multi=multi)
    if shapely.is_valid(geometry):
        return geometry
    raise _error(shapely.is_valid_reason(geometry), polygons, multi=multi)


def repair(polygons: Sequence[Rings]) -> dict[str, Any] | None:
    """A GeoJSON geometry of the same area by the even-odd rule, cut at the 180th meridian; or None.

    rings: closed, of at least four positions.
    """
    polygons = [unwrapped(rings) for rings in polygons]
    if edge_pairs(polygons, MAX_REPAIR_EDGE_PAIRS) > MAX_REPAIR_EDGE_PAIRS:
        return None
    if _crossings(polygons) > MAX_REPAIR_CROSSINGS:
        return None
    whole = folded(shapely.make_valid(_build(polygons, multi=True)))
    if whole is None or any(leaps(ring).any() for ring in _positions(whole)):
        return None
    return json.loads(shapely.to_geojson(whole))


def _positions(area: Polygon | MultiPolygon) -> list[NDArray[np.float64]]:
    """The positions of each ring."""
    positions, ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(area)), return_index=True
    )
    return np.split(positions, np.flatnonzero(np.diff(ring)) + 1)


def edge_pairs(polygons: Sequence[Rings], limit: int) -> int:
    """How many pairs of edges have boxes that overlap; counting stops once past `limit`."""
    lines = _edge_lines(polygons)
    if len(lines) ** 2 <= limit:
        return len(lines) ** 2
    tree = shapely.STRtree(lines)
    portion = max(1, limit // len(lines))
    pairs = 0
    for start in range(0, len(lines), portion):
        pairs += tree.query(lines[start : start + portion]).shape[1]
        if pairs > limit:
            break
    return pairs


def _crossings(polygons: Sequence[Rings]) -> int:
    """How many pairs of edges cross in a place that is inside both."""
    lines = _edge_lines(polygons)
    one, other = shapely.STRtree(lines).query(lines, predicate="crosses")
    return int(np.count_nonzero(one < other))


def _edge_lines(polygons: Sequence[Rings]) -> NDArray[np.object_]:
    """All edges as lines of two points."""
    edges = [np.stack((ring[:-1], ring[1:]), axis=1) for rings in polygons for ring in rings]
    return np.asarray(shapely.linestrings(np.concatenate(edges)), dtype=object)


def _build(polygons: Sequence[Rings], *, multi: bool) -> Polygon | MultiPolygon:
    parts = [Polygon(rings[0], list(rings[1:])) for rings in polygons]
    return MultiPolygon(parts) if multi else parts[0]


def _error(text: str, polygons: Sequence[Rings], *, multi: bool) -> ShapeError:
    """What GEOS says ("Self-intersection[0.5 0.5]") with the edges that meet at that place."""
    match = _REASON.fullmatch(text)
    if match is None:
        return ShapeError(f"the rings bound no area: {text}", "/coordinates")
    lon, lat = float(match["lon"]), float(match["lat"])
    places = _edges_at(polygons, lon, lat)
    polygon, ring, vertex = places[0]
    names = " and ".join(f"vertex {v} of ring {r}{_of(p, multi)}" for p, r, v in places)
    reason = _PLAIN.get(match["reason"], match["reason"].lower())
    return ShapeError(
        f"{reason} at ({lon:.9g}, {lat:.9g}), on the edge{'s'[: len(places) > 1]} from {names}",
        f"/coordinates/{polygon}/{ring}/{vertex}" if multi else f"/coordinates/{ring}/{vertex}",
        ring=ring,
        vertex=vertex,
        position=(lon, lat),
        repaired=repair(polygons),
    )


def _of(polygon: int, multi: bool) -> str:
    return f" of polygon {polygon}" if multi else ""


def _edges_at(polygons: Sequence[Rings], lon: float, lat: float) -> list[tuple[int, int, int]]:
    """(polygon, ring, vertex at its start) of one or two edges that hold the place."""
    names = [
        (polygon, ring, vertex)
        for polygon, rings in enumerate(polygons)
        for ring, positions in enumerate(rings)
        for vertex in range(len(positions) - 1)
    ]
    away = shapely.distance(_edge_lines(polygons), shapely.Point(lon, lat))
    near = np.flatnonzero(away <= away.min() + 1e-12)
    # Where the place is a vertex, the edge before it holds it too: name the ends that are furthest
    # apart in the ring, which are the two that do not belong together.
    return [names[near[0]]] if len(near) == 1 else [names[near[0]], names[near[-1]]]
