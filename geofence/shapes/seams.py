"""Areas on the cylinder of longitudes: folded into one turn, and unrolled so that no seam is left.

Folded, an area lies in [-180, 180] and is cut along the 180th meridian, as RFC 7946 writes it.
Unrolled, the pieces that touch along that meridian are one again, and longitudes run on past it. An
area that goes all the way round cannot be unrolled: it stays folded, 360 degrees wide, and its cuts
are known by lying on both sides (`seam_stretches`).
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry

_MAX_TURNS = 1  # a piece is at most so many turns away from where it was

Edge = tuple[float, float, int]  # from one latitude up to another, and the piece it belongs to


class _Group(NamedTuple):
    """Pieces that hang together over the 180th meridian.

    turns: piece -> by how many turns it is moved. unrolls: not where the pieces close round the
    axis, or would be led too far; then nothing is moved.
    """

    turns: dict[int, int]
    unrolls: bool


def folded(area: Any) -> list[Polygon]:
    """Return the parts of an area in [-180, 180], those beyond cut off and moved there by whole
    turns.
    """
    west, _, east, _ = area.bounds
    if west >= -180 and east <= 180:
        return polygons_of(area)
    turns: list[Polygon] = []
    for turn in range(int((west + 180) // 360), int((east + 180) // 360) + 1):
        window = shapely.box(360 * turn - 180, -90, 360 * turn + 180, 90)
        part = cast("BaseGeometry", shapely.intersection(area, window))
        turns += polygons_of(translate(part, -360.0 * turn))
    # Where an area ends a turn after it began, its two ends are one again.
    return polygons_of(shapely.union_all(turns)) if east - west >= 360 else turns


def polygons_of(geometry: Any) -> list[Polygon]:
    """Return the polygons of any geometry that have an area."""
    pieces = shapely.get_parts(shapely.get_parts(geometry)).tolist()
    return [piece for piece in pieces if isinstance(piece, Polygon) and piece.area > 0]


def as_area(polygons: Sequence[Polygon]) -> Polygon | MultiPolygon:
    """Return one polygon as itself, several as a multipolygon."""
    return polygons[0] if len(polygons) == 1 else MultiPolygon(list(polygons))


def unrolled(pieces: Sequence[Polygon]) -> Polygon | MultiPolygon:
    """Return the area of pieces in [-180, 180] that do not overlap, joined along the 180th
    meridian.
    """
    parts: list[Polygon] = []
    goes_round = False
    for group in _groups(pieces):
        goes_round |= not group.unrolls
        moved = [_moved(pieces[number], turn) for number, turn in sorted(group.turns.items())]
        parts += moved if len(moved) == 1 else polygons_of(shapely.union_all(moved))
    return as_area(parts if goes_round else _side_by_side(parts))


def compact(area: Polygon | MultiPolygon) -> Polygon | MultiPolygon:
    """Return the same area, its parts moved by whole turns where that makes it much narrower."""
    west, _, east, _ = area.bounds
    if east - west <= 180 or isinstance(area, Polygon):
        return area
    return as_area(_side_by_side(list(area.geoms)))


def has_seam(polygons: Iterable[Iterable[NDArray[np.float64]]]) -> bool:
    """Return whether an edge runs along the 180th meridian, or an area goes all the way round."""
    for ring in (ring for rings in polygons for ring in rings):
        lon = ring[:, 0]
        if np.ptp(lon) >= 360 or ((lon[1:] == lon[:-1]) & (lon[1:] % 360 == 180)).any():
            return True
    return False


def seam_count(polygons: Iterable[Iterable[NDArray[np.float64]]]) -> int:
    """Count the edges that cross the 180th meridian or end on it."""
    count = 0
    for ring in (ring for rings in polygons for ring in rings):
        east, west = np.floor((ring[:, 0] + 180) / 360), np.ceil((ring[:, 0] - 180) / 360)
        count += int(np.count_nonzero((east[1:] != east[:-1]) | (west[1:] != west[:-1])))
    return count


def seam_stretches(area: Polygon | MultiPolygon) -> NDArray[np.float64]:
    """Return the stretches of latitude, (n, 2), along which edges lie at both -180 and 180;
    ascending.
    """
    pairs = _overlapping(*_seam_edges(list(shapely.get_parts(area))))
    common = [(max(west[0], east[0]), min(west[1], east[1])) for west, east in pairs]
    return np.array(common, dtype=np.float64).reshape(-1, 2)


def _seam_edges(pieces: Sequence[Polygon]) -> tuple[list[Edge], list[Edge]]:
    """Return the edges along -180 and along 180, ascending."""
    rings, piece = shapely.get_rings(np.array(pieces, dtype=object), return_index=True)
    positions, ring = shapely.get_coordinates(rings, return_index=True)
    lon, lat = positions.T
    on_seam = (np.abs(lon[1:]) == 180) & (lon[1:] == lon[:-1]) & (ring[1:] == ring[:-1])
    edge = np.flatnonzero(on_seam & (lat[1:] != lat[:-1]))
    south, north = np.minimum(lat[edge], lat[edge + 1]), np.maximum(lat[edge], lat[edge + 1])
    numbers = piece[ring[edge]]
    west, east = (
        sorted(zip(south[s].tolist(), north[s].tolist(), numbers[s].tolist(), strict=True))
        for s in (lon[edge] < 0, lon[edge] > 0)
    )
    return west, east


def _overlapping(ones: Sequence[Edge], others: Sequence[Edge]) -> list[tuple[Edge, Edge]]:
    """Return pairs that share a stretch. On each side they are ascending and no two overlap."""
    pairs: list[tuple[Edge, Edge]] = []
    i = j = 0
    while i < len(ones) and j < len(others):
        first, other = ones[i], others[j]
        if max(first[0], other[0]) < min(first[1], other[1]):
            pairs.append((first, other))
        if first[1] <= other[1]:
            i += 1
        else:
            j += 1
    return pairs


def _groups(pieces: Sequence[Polygon]) -> list[_Group]:
    neighbours = _neighbours(pieces)
    groups: list[_Group] = []
    seen: set[int] = set()
    for start in range(len(pieces)):
        if start not in seen:
            groups.append(_group_of(start, neighbours))
            seen.update(groups[-1].turns)
    return groups


def _neighbours(pieces: Sequence[Polygon]) -> dict[int, list[tuple[int, int]]]:
    """Map each piece to its neighbours: (neighbour, by how many turns it lies further east)."""
    edges: dict[int, list[tuple[int, int]]] = {}
    for (*_, ahead), (*_, behind) in _overlapping(*_seam_edges(pieces)):
        edges.setdefault(behind, []).append((ahead, 1))
        edges.setdefault(ahead, []).append((behind, -1))
    return edges


def _group_of(start: int, neighbours: dict[int, list[tuple[int, int]]]) -> _Group:
    turns = {start: 0}
    unrolls = True
    waiting = [start]
    while waiting:
        piece = waiting.pop()
        for neighbour, step in neighbours.get(piece, []):
            turn = turns[piece] + step
            if neighbour not in turns:
                turns[neighbour] = turn
                waiting.append(neighbour)
            unrolls &= turns[neighbour] == turn
    least = min(turns.values())
    turns = {piece: turn - least for piece, turn in turns.items()}
    if unrolls and max(turns.values()) <= _MAX_TURNS:
        return _Group(turns, unrolls=True)
    return _Group(dict.fromkeys(turns, 0), unrolls=False)


def _side_by_side(parts: Sequence[Polygon]) -> list[Polygon]:
    """Return parts moved by whole turns to where all of them together are narrowest.

    They are laid out from the far end of the widest gap that they leave on the circle.
    """
    bounds = shapely.bounds(np.array(parts, dtype=object))
    west = np.where(bounds[:, 0] < -180, bounds[:, 0] + 360, bounds[:, 0])
    east = west + bounds[:, 2] - bounds[:, 0]
    order = np.argsort(west, kind="stable")
    reached = np.maximum.accumulate(east[order])
    before = np.concatenate(([reached[-1] - 360], reached[:-1]))
    first = west[order][np.argmax(west[order] - before)]
    moved = np.where(west < first, west + 360, west) - bounds[:, 0]
    turns = np.rint(moved / 360)
    if (bounds[:, 2] + 360 * turns).max() > 540:
        turns -= 1
    return [_moved(part, turn) for part, turn in zip(parts, turns.tolist(), strict=True)]


def _moved(part: Polygon, turns: float) -> Polygon:
    return translate(part, 360.0 * turns) if turns else part


def rings_of(area: Polygon | MultiPolygon) -> list[NDArray[np.float64]]:
    """Return the positions of each ring of an area."""
    positions, ring = shapely.get_coordinates(
        shapely.get_rings(shapely.get_parts(area)), return_index=True
    )
    return np.split(positions, np.flatnonzero(np.diff(ring)) + 1)
