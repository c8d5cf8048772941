"""Rings and lines over the 180th meridian and round the poles: leaps in longitude, made continuous.

A step of more than 180 and less than 360 degrees of longitude between neighbouring vertices goes
the short way, over the meridian. A step of exactly 360 at one latitude runs along the parallel.

A ring that winds once round the axis holds the pole of its own hemisphere: it is led up to the pole
and along it. One that already runs along a parallel close to a pole is drawn so for maps: there it
goes the long way round, and what it draws is the pole.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

POLAR_LAT_DEG = 89.99  # a parallel from here on may stand for the pole


class PlaneRing(NamedTuple):
    """A ring laid into the plane of longitude and latitude.

    line: (n, 2), degrees, continuous, vertex by vertex the ring that was given. winding: how often
    it goes round the axis, from west to east.
    """

    line: NDArray[np.float64]
    winding: int

    def closed(self) -> NDArray[np.float64]:
        """Return the ring closed in the plane, (m, 2): over the pole where it winds
        round the axis.
        """
        return _over_pole(self.line, self.winding) if self.winding else self.line


def continued(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a line, (n, 2), whose longitudes run on past 180 instead of leaping."""
    return _shifted(positions, _turns(positions))


def plane_ring(ring: NDArray[np.float64]) -> PlaneRing:
    """Return a closed ring, (n, 2) with the last position the first one's, laid into the plane."""
    turns = _turns(ring)
    winding = int(turns.sum())
    if winding:
        turns, winding = _closing(ring, turns, winding)
    line = _shifted(ring, turns) if turns.any() else ring
    return PlaneRing(line if winding else _snapped_to_pole(line), winding)


def is_polar_parallel(ring: NDArray[np.float64]) -> bool:
    """Return whether all of the ring lies on one parallel that may stand for the pole."""
    lat = ring[:, 1]
    return bool(abs(lat[0]) >= POLAR_LAT_DEG and (lat == lat[0]).all())


def _turns(positions: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return by how many turns each step, (n - 1,), is corrected, so that it goes the short way."""
    step = np.diff(positions, axis=0)
    along_parallel = (np.abs(step[:, 0]) == 360) & (step[:, 1] == 0)
    leap = (np.abs(step[:, 0]) > 180) & ~along_parallel
    return np.where(leap, -np.rint(step[:, 0] / 360), 0).astype(np.int64)


def _shifted(positions: NDArray[np.float64], turns: NDArray[np.int64]) -> NDArray[np.float64]:
    result = positions.copy()
    result[1:, 0] += 360.0 * np.cumsum(turns)
    return result


def _closing(
    ring: NDArray[np.float64], turns: NDArray[np.int64], winding: int
) -> tuple[NDArray[np.int64], int]:
    """Return the same steps and their winding, read so that they close the ring,
    where that can be.
    """
    step = np.diff(ring, axis=0)
    # Steps of 360 may lead from one spelling of the 180th meridian to the other instead.
    respelled = np.where(np.abs(step[:, 0]) == 360, -np.sign(step[:, 0]), turns).astype(np.int64)
    if respelled.sum() == 0:
        return respelled, 0
    if is_polar_parallel(ring):
        return turns, winding
    along_pole = (step[:, 1] == 0) & (np.abs(ring[1:, 1]) >= POLAR_LAT_DEG)
    long_way = np.flatnonzero(along_pole & (turns == np.sign(winding)))
    if abs(winding) == 1 and len(long_way) == 1:
        turns = turns.copy()
        turns[long_way] = 0
        return turns, 0
    return turns, winding


def _over_pole(line: NDArray[np.float64], winding: int) -> NDArray[np.float64]:
    """Return a line once round the axis, closed over the pole.

    It starts where it comes closest to the pole: from there straight up it meets no other edge.
    """
    way = np.diff(line[:, 0]) @ (line[1:, 1] + line[:-1, 1])
    pole = 90.0 if way * winding > 0 else -90.0
    start = int(np.argmax(line[:-1, 1] * np.sign(pole)))
    turned = np.array([360.0 * winding, 0.0])
    ring = np.concatenate((line[start:-1], line[: start + 1] + turned))
    first, last = ring[0], ring[-1]
    return np.concatenate((ring, [(last[0], pole), (first[0], pole)], ring[:1]))


def _snapped_to_pole(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ring with its runs along a polar parallel, half a turn or more of
    it, on the pole.
    """
    result = ring
    for pole, lat in ((90.0, ring[:, 1].max()), (-90.0, ring[:, 1].min())):
        if abs(pole - lat) <= 90.0 - POLAR_LAT_DEG:
            on_it = ring[:, 1] == lat
            if np.ptp(ring[on_it, 0]) >= 180:
                result = np.column_stack((ring[:, 0], np.where(on_it, pole, result[:, 1])))
    return result
