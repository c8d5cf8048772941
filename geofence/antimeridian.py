"""Areas over the 180th meridian: rings that leap there, made continuous, cut and put back.

A step of more than 180 and less than 360 degrees of longitude between neighbouring vertices goes
the short way, over the meridian. A step of 360 along one latitude runs along the whole parallel.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.affinity import translate
from shapely.geometry.base import BaseGeometry


def leaps(positions: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which edges of a ring, (vertices, 2), lead over the 180th meridian: (vertices - 1,)."""
    step = np.abs(np.diff(positions, axis=0))
    along_parallel = (step[:, 0] == 360) & (step[:, 1] == 0)
    return (step[:, 0] > 180) & ~along_parallel


def unwrapped(rings: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The rings of a polygon with longitudes that run on past 180 instead of leaping.

    A ring that winds round the axis is led over the pole of its own hemisphere.
    """
    continuous = [_unwrapped_ring(ring) for ring in rings]
    shell = continuous[0]
    west, east = shell[:, 0].min(), shell[:, 0].max()
    return [shell, *(_moved_between(hole, west, east) for hole in continuous[1:])]


def folded(area: BaseGeometry) -> Polygon | MultiPolygon | None:
    """An area whose longitudes lie in [-540, 540], cut so as to lie in range; None if empty."""
    found: list[Polygon] = []
    for turn in (-360.0, 0.0, 360.0):
        window = shapely.box(turn - 180, -90, turn + 180, 90)
        part: Any = translate(shapely.intersection(area, window), -turn)
        pieces = shapely.get_parts(shapely.get_parts(part)).tolist()
        found += [piece for piece in pieces if isinstance(piece, Polygon) and piece.area > 0]
    if len(found) < 2:
        return found[0] if found else None
    whole = MultiPolygon(found)
    # Pieces that met along the 180th meridian are one again.
    return whole if whole.is_valid else _area(shapely.union_all(found))


def _area(geometry: Any) -> Polygon | MultiPolygon | None:
    return geometry if isinstance(geometry, Polygon | MultiPolygon) else None


def _unwrapped_ring(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    result = _continued(ring, leaps(ring))
    if result[-1, 0] != result[0, 0]:
        # Without its steps of 360 degrees the ring may close: they went from one spelling of the
        # 180th meridian to the other, not along a parallel.
        shorter = _continued(ring, np.abs(np.diff(ring[:, 0])) > 180)
        result = shorter if shorter[-1, 0] == shorter[0, 0] else result
    winding = result[-1, 0] - result[0, 0]
    if abs(winding) != 360:
        return result
    pole = 90.0 if ring[:, 1].mean() > 0 else -90.0
    # In three steps, none of which is a leap itself.
    over_pole = [(result[0, 0] + winding * share, pole) for share in (1, 2 / 3, 1 / 3, 0)]
    return np.concatenate((result, over_pole, result[:1]))


def _continued(ring: NDArray[np.float64], leap: NDArray[np.bool_]) -> NDArray[np.float64]:
    turns = np.cumsum(np.where(leap, -np.sign(np.diff(ring[:, 0])), 0))
    result = ring.copy()
    result[1:, 0] += 360 * turns
    return result


def _moved_between(ring: NDArray[np.float64], west: float, east: float) -> NDArray[np.float64]:
    for turn in (0.0, 360.0, -360.0):
        if west <= ring[:, 0].min() + turn and ring[:, 0].max() + turn <= east:
            return ring + np.array([turn, 0.0])
    return ring
