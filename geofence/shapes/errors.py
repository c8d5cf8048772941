"""The error of a geometry that is no zone, with the place of the fault in what was given."""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

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


class Places:
    """Names places by the rings and vertices that were given.

    polygons: the rings as given or laid into the plane, vertex by vertex. multi: whether pointers
    name the polygon too.
    """

    def __init__(self, polygons: Sequence[Rings], *, multi: bool) -> None:
        self.polygons = polygons
        self._multi = multi

    def pointer(self, polygon: int, ring: int, vertex: int | None = None) -> str:
        """Return the JSON pointer to a ring or a vertex."""
        numbers = [polygon] * self._multi + [ring] + ([] if vertex is None else [vertex])
        return "/coordinates/" + "/".join(map(str, numbers))

    def of_ring(self, problem: str, polygon: int, ring: int) -> ShapeError:
        """Return an error that is about the whole of a ring."""
        place = f"ring {ring}{self._of(polygon)}"
        return ShapeError(f"{place}: {problem}", self.pointer(polygon, ring), ring=ring)

    def crossing(self, text: str) -> ShapeError:
        """Return GEOS's message ("Self-intersection[0.5 0.5]") as an error with the edges that meet
        at that place.
        """
        match = _REASON.fullmatch(text)
        if match is None:
            return ShapeError(f"the rings bound no area: {text}", "/coordinates")
        lon, lat = float(match["lon"]), float(match["lat"])
        places = self._edges_at(lon, lat)
        polygon, ring, vertex = places[0]
        names = " and ".join(f"vertex {v} of ring {r}{self._of(p)}" for p, r, v in places)
        reason = _PLAIN.get(match["reason"], match["reason"].lower())
        lon -= 360 * math.ceil((lon - 180) / 360)
        return ShapeError(
            f"{reason} at ({lon:.9g}, {lat:.9g}), on the edge{'s'[: len(places) > 1]} from {names}",
            self.pointer(polygon, ring, vertex),
            ring=ring,
            vertex=vertex,
            position=(lon, lat),
        )

    def _of(self, polygon: int) -> str:
        return f" of polygon {polygon}" if self._multi else ""

    def _edges_at(self, lon: float, lat: float) -> list[tuple[int, int, int]]:
        """Return (polygon, ring, vertex at its start) of one or two edges that hold the place."""
        names = [
            (polygon, ring, vertex)
            for polygon, rings in enumerate(self.polygons)
            for ring, positions in enumerate(rings)
            for vertex in range(len(positions) - 1)
        ]
        lines = edge_lines(self.polygons)
        turned = [shapely.Point(lon + 360 * turn, lat) for turn in (-2, -1, 0, 1, 2)]
        away = np.min([shapely.distance(lines, point) for point in turned], axis=0)
        near = np.flatnonzero(away <= away.min() + 1e-12)
        # Where the place is a vertex, the edge before it holds it too: name the ends that are
        # furthest apart in the ring, which are the two that do not belong together.
        return [names[near[0]]] if len(near) == 1 else [names[near[0]], names[near[-1]]]


def edge_lines(polygons: Sequence[Rings]) -> NDArray[np.object_]:
    """Return all edges as lines of two points."""
    edges = [np.stack((ring[:-1], ring[1:]), axis=1) for rings in polygons for ring in rings]
    return np.asarray(shapely.linestrings(np.concatenate(edges)), dtype=object)
