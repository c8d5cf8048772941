"""Which zones cover a point: an R-tree over boxes, then the exact answer.

A `ZoneIndex` never changes. `with_changes` makes a new one that shares shapes and prepared
geometries with the old; what was begun with the old one may be finished with it.

The tree is shapely's packed one (sort-tile-recursive): for every number of points it answers faster
than `rtree` (libspatialindex), and packing 10,000 boxes anew takes some milliseconds
(benchmarks/test_evaluator.py measures both).

Organizations lie apart in one tree: the boxes of organization k are shifted by k times 1,080
degrees, farther than any longitude reaches, so one look-up finds the zones of a point's own
organization only. The exact test uses the coordinates as they are. Adding the shift rounds, but
rounding keeps the order of numbers, so a point in a box is still in it afterwards.

Ordinals of zones and organizations are small whole numbers that the caller gives out.
"""

# pyright: reportUnknownMemberType=false
# (shapely has no type information of its own)

from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes import WGS84, Shape, as_geometries, signed_distances_m
from geofence.versions import (
    MAX_TIME_US,
    MIN_TIME_US,
    ZoneVersion,
    boundaries_of,
    boxes_of,
    by_version,
    circles_of,
    entries_of,
    object_array,
    version_keys,
)

__all__ = ["MAX_TIME_US", "MIN_TIME_US", "ZoneIndex", "ZoneVersion"]

_SHIFT_DEG = 1080.0


class ZoneIndex:
    """All zone versions of all organizations, as entries 0..n-1.

    zone_of, version_of, organization_of (int32), valid_from_us, valid_to_us (int64): shape (n,), by
    entry; entries are in order of (zone, valid_from_us, version).
    """

    def __init__(self, versions: Iterable[ZoneVersion] = ()) -> None:
        found = list(versions)
        self._settle(entries_of(found), object_array([v.shape for v in found]), *boxes_of(found))

    def with_changes(self, changed: Iterable[ZoneVersion]) -> "ZoneIndex":
        """An index in which `changed` replace or join the versions of this one."""
        new = list(changed)
        keys = {(v.zone, v.version) for v in new}
        pairs = zip(self.zone_of.tolist(), self.version_of.tolist(), strict=True)
        stay = np.fromiter((pair not in keys for pair in pairs), dtype=bool, count=len(self))
        box_stays = stay[self._box_entry]
        new_boxes, new_box_entry = boxes_of(new)
        renumbered = np.cumsum(stay) - 1
        result = ZoneIndex.__new__(ZoneIndex)
        result._settle(
            np.concatenate((self._entries[stay], entries_of(new))),
            np.concatenate((self._shapes[stay], object_array([v.shape for v in new]))),
            np.concatenate((self._boxes[box_stays], new_boxes)),
            np.concatenate(
                (renumbered[self._box_entry[box_stays]], new_box_entry + np.count_nonzero(stay))
            ),
        )
        return result

    def __len__(self) -> int:
        return len(self._entries)

    def _settle(
        self,
        entries: NDArray[np.void],
        shapes: NDArray[np.object_],
        box: NDArray[np.float64],
        box_entry: NDArray[np.intp],
    ) -> None:
        order = np.lexsort((entries["version"], entries["valid_from_us"], entries["zone"]))
        place = np.empty(len(order), dtype=np.intp)
        place[order] = np.arange(len(order))
        self._entries = entries[order]
        self._shapes = shapes[order]
        self._boxes, self._box_entry = box, place[box_entry]
        self.zone_of = np.ascontiguousarray(self._entries["zone"])
        self.version_of = np.ascontiguousarray(self._entries["version"])
        self.organization_of = np.ascontiguousarray(self._entries["organization"])
        self.valid_from_us = np.ascontiguousarray(self._entries["valid_from_us"])
        self.valid_to_us = np.ascontiguousarray(self._entries["valid_to_us"])
        self._geometries = as_geometries(self._shapes)
        self._circles = circles_of(self._shapes)
        self._has_circles = not np.isnan(self._circles).all()
        self._tree = self._packed_tree()
        self._version_keys, self._version_entry = by_version(self._entries)
        self._boundaries = boundaries_of(self._entries)
        times = self._boundaries.values()
        self._all_boundaries = np.unique(np.concatenate([np.empty(0, np.int64), *times]))

    def _packed_tree(self) -> shapely.STRtree:
        shift = self.organization_of[self._box_entry] * _SHIFT_DEG
        corners = self._boxes.reshape(-1, 2, 2).copy()
        corners[:, :, 0] += shift[:, None]
        # A diagonal has the same box as its rectangle and is the smaller object.
        tree = shapely.STRtree(np.asarray(shapely.linestrings(corners), dtype=object))
        tree.query(shapely.points([0.0], [0.0]))  # packs now, not at the first fix
        return tree

    # Points --------------------------------------------------------------------------------------

    def candidates(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        organization: NDArray[np.integer],
        time_us: NDArray[np.int64],
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs (point, entry): the entry is in force and one of its boxes holds the point."""
        points = shapely.points(lon + organization * _SHIFT_DEG, lat)
        row, box = self._tree.query(points)
        entry = self._box_entry[box]
        at = time_us[row]
        in_force = (self.valid_from_us[entry] <= at) & (at < self.valid_to_us[entry])
        return row[in_force], entry[in_force]

    def inside(
        self,
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
        organization: NDArray[np.integer],
        time_us: NDArray[np.int64],
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs (point, entry): the entry is in force and covers the point; points ascending.

        lon, lat: degrees, shape (n,), float64. organization: the point's own. time_us: the instant
        at which the version must be in force.
        """
        row, entry = self.candidates(lon, lat, organization, time_us)
        covered = self.covers(entry, lon[row], lat[row])
        return row[covered], entry[covered]

    def covers(
        self, entry: NDArray[np.intp], lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether entry i covers point i, whatever the time and the organization."""
        covered = shapely.intersects_xy(self._geometries[entry], lon, lat)
        if self._has_circles:
            circles = self._circles[entry]
            which = np.flatnonzero(~np.isnan(circles[:, 2]))
            centre_lon, centre_lat, radius_m = circles[which].T
            away_m = np.asarray(WGS84.inv(centre_lon, centre_lat, lon[which], lat[which])[2])
            covered[which] = away_m <= radius_m
        return covered

    # Versions ------------------------------------------------------------------------------------

    def standing(
        self, zone: NDArray[np.integer], time_us: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
        """How zones stand at instants: version, boundary_us, in_force, each of shape (n,).

        version: the newest that begins at or before the instant, 0 where there is none; in_force:
        whether it still is. boundary_us: its begin, or its end where it is no longer in force;
        MAX_TIME_US where there is no version.
        """
        entry = self._begun(zone, time_us)
        some = np.flatnonzero(entry >= 0)
        entry = entry[some]
        version = np.zeros(len(zone), np.int32)
        version[some] = self.version_of[entry]
        in_force = np.zeros(len(zone), dtype=bool)
        in_force[some] = self.valid_to_us[entry] > time_us[some]
        boundary_us = np.full(len(zone), MAX_TIME_US)
        boundary_us[some] = np.where(
            in_force[some], self.valid_from_us[entry], self.valid_to_us[entry]
        )
        return version, boundary_us, in_force

    def _begun(self, zone: NDArray[np.integer], time_us: NDArray[np.int64]) -> NDArray[np.intp]:
        """Entries of the newest versions that begin at or before the instants, else -1."""
        none = np.searchsorted(self.zone_of, zone, "left") - 1
        low, high = none, np.searchsorted(self.zone_of, zone, "right") - 1
        while np.any(low < high):
            middle = (low + high + 1) // 2
            begins = self.valid_from_us[middle] <= time_us
            low, high = np.where(begins, middle, low), np.where(begins, high, middle - 1)
        return np.where(low > none, low, -1)

    def boundary_between(
        self,
        organization: NDArray[np.integer],
        after_us: NDArray[np.int64],
        until_us: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether any version of the organization begins or ends in (after_us, until_us]."""
        result = np.zeros(len(after_us), dtype=bool)
        if not len(after_us) or not len(self._all_boundaries):
            return result
        if after_us.min() >= self._all_boundaries[-1]:
            return result
        result[:] = _count_up_to(self._all_boundaries, after_us) < _count_up_to(
            self._all_boundaries, until_us
        )
        for ordinal in np.unique(organization[result]).tolist():
            rows = np.flatnonzero(result & (organization == ordinal))
            own = self._boundaries.get(ordinal, self._all_boundaries[:0])
            result[rows] = _count_up_to(own, after_us[rows]) < _count_up_to(own, until_us[rows])
        return result

    def signed_distances_m(
        self,
        zone: NDArray[np.integer],
        version: NDArray[np.integer],
        lon: NDArray[np.float64],
        lat: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Distance of point i to the edge of version i of zone i in metres, negative inside.

        NaN where the index has no such version.
        """
        result = np.full(len(zone), np.nan)
        entry = self._entry_of(zone, version)
        known = np.flatnonzero(entry >= 0)
        shapes: list[Shape] = self._shapes[entry[known]].tolist()
        result[known] = signed_distances_m(shapes, lon[known], lat[known])
        return result

    def _entry_of(
        self, zone: NDArray[np.integer], version: NDArray[np.integer]
    ) -> NDArray[np.intp]:
        wanted = version_keys(zone, version)
        if not len(self):
            return np.full(len(wanted), -1)
        place = np.searchsorted(self._version_keys, wanted).clip(max=len(self) - 1)
        return np.where(self._version_keys[place] == wanted, self._version_entry[place], -1)


def _count_up_to(instants: NDArray[np.int64], until_us: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(instants, until_us, "right")
