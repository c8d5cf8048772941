"""The load of the engine: workload W1 (`benchmarks.common.workload`) as zones and batches.

Variants change one thing each: how many zones, how many vertices each, which share of the fixes
lies near an edge. Zones lie equally dense whatever their number.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from benchmarks.common.workload import (
    CENTRE_LAT,
    CENTRE_LON,
    M_PER_DEGREE_LAT,
    M_PER_DEGREE_LON,
    Floats,
    Plan,
    rows_in_order_of_sending,
    span_us,
    tracks,
)
from geofence.shapes.types import Polygonal
from geofence.zones.index import ZoneVersion
from telemetry.fix import FixBatch

FIXES_PER_MESSAGE = 20
FIXES_PER_TRACKER = 40
NEAR_M = 50.0


def plan_of(zones: int, trackers: int = 2_000) -> Plan:
    """Return a plan with as many zones to a square kilometre as W1 has."""
    return Plan(trackers=trackers, zones=zones, side_m=142_000.0 * (zones / 10_000) ** 0.5)


def versions_of(rings: Sequence[Floats]) -> list[ZoneVersion]:
    """Return an index in which zone k is ring k, all rules on."""
    areas = [Polygonal(shapely.Polygon(ring)) for ring in rings]
    return [ZoneVersion(number, 1, 0, area) for number, area in enumerate(areas)]


def detailed(ring: Floats, vertices: int) -> Floats:
    """Return a closed ring of this many vertices along the given one, shape (vertices + 1, 2)."""
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
    along = np.linspace(0.0, length[-1], vertices + 1)
    lon, lat = (np.interp(along, length, ring[:, axis]) for axis in (0, 1))
    lon[-1], lat[-1] = lon[0], lat[0]
    return np.stack([lon, lat], axis=-1)


def share_near(fixes: NDArray[np.void], rings: Sequence[Floats]) -> Floats:
    """Return of each track which share of its fixes lies within NEAR_M of an edge.

    fixes: (trackers, n), FIX_DTYPE -> (trackers,).
    """
    edges = [shapely.LineString(_metres(ring[:, 0], ring[:, 1])) for ring in rings]
    points = shapely.points(_metres(fixes["lon"], fixes["lat"]).reshape(-1, 2))
    pairs = shapely.STRtree(edges).query(points, predicate="dwithin", distance=NEAR_M)
    near = np.zeros(fixes.size, bool)
    near[pairs[0]] = True
    return near.reshape(fixes.shape).mean(axis=1)


def tracks_near(fixes: NDArray[np.void], share: Floats, wanted: float, n: int) -> NDArray[np.void]:
    """Return n of the tracks, of whose fixes a share near `wanted` lies near an edge, as trackers
    0..n-1.

    wanted: 0: those that come near none; else of tracks ordered by share those in a row whose mean
    is nearest.
    """
    order = np.argsort(share, kind="stable")
    sums = np.cumsum(np.concatenate([[0.0], share[order]]))
    first = int(np.argmin(np.abs((sums[n:] - sums[:-n]) / n - wanted)))
    chosen = fixes[np.sort(order[first : first + n])]
    chosen["tracker"] = np.arange(n, dtype=np.int32)[:, None]
    return chosen


class Journey:
    """The fixes of W1 in order of arrival, again and again, each time later; never an end.

    fixes: (trackers, FIXES_PER_TRACKER), FIX_DTYPE, in messages of FIXES_PER_MESSAGE fixes.
    """

    def __init__(self, fixes: NDArray[np.void]) -> None:
        self._rows = rows_in_order_of_sending(fixes, FIXES_PER_MESSAGE).reshape(-1).copy()
        self._rows["asset"], self._rows["organization"] = self._rows["tracker"], 0
        self._at = 0

    @classmethod
    def of(cls, plan: Plan) -> "Journey":
        return cls(tracks(plan, FIXES_PER_TRACKER))

    def __len__(self) -> int:
        """Return fixes of one way out and back."""
        return len(self._rows)

    def next(self, size: int) -> FixBatch:
        """Return the next fixes; raises ValueError where batches of that size do not fill a
        journey.
        """
        if len(self) % size:
            raise ValueError(f"{len(self)} fixes do not fill batches of {size}")
        if self._at % size:
            self._at += size - self._at % size
        passes, start = divmod(self._at, len(self))
        self._at += size
        rows = self._rows[start : start + size].copy()
        rows["time_us"] += passes * span_us(FIXES_PER_TRACKER)
        return FixBatch(rows)


def _metres(lon: Floats, lat: Floats) -> Floats:
    east_m = (lon - CENTRE_LON) * M_PER_DEGREE_LON
    return np.stack([east_m, (lat - CENTRE_LAT) * M_PER_DEGREE_LAT], axis=-1)
