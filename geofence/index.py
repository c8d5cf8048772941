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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geofence.shapes import (
    WGS84,
    Circle,
    Shape,
    as_geometries,
    boxes,
    signed_distances_m,
)

MIN_TIME_US = int(np.iinfo(np.int64).min)  # in force since always
MAX_TIME_US = int(np.iinfo(np.int64).max)  # in force until further notice

_SHIFT_DEG = 1080.0

_ENTRY_DTYPE = np.dtype(
    [
        ("zone", "<i4"),
        ("version", "<i4"),
        ("organization", "<i4"),
        ("valid_from_us", "<i8"),
        ("valid_to_us", "<i8"),
    ]
)


@dataclass(frozen=True, slots=True)
class ZoneVersion:
    """One version of a zone, in force at the instants t with valid_from_us <= t < valid_to_us."""

    zone: int
    version: int
    organization: int
    shape: Shape
    valid_from_us: int = MIN_TIME_US
    valid_to_us: int = MAX_TIME_US

    def __post_init__(self) -> None:
        if self.zone < 0 or self.organization < 0:
            raise ValueError("zones and organizations are ordinals from 0")
        if self.version < 1:
            raise ValueError("versions of a zone count from 1")
        if self.valid_from_us > self.valid_to_us:
            raise ValueError(f"version {self.version} of zone {self.zone} ends before it begins")


class ZoneIndex:
    """All zone versions of all organizations, as entries 0..n-1.

    zone_of, version_of, organization_of (int32), valid_from_us, valid_to_us (int64): shape (n,), by
    entry; entries are in order of (zone, valid_from_us, version).
    """

    def __init__(self, versions: Iterable[ZoneVersion] = ()) -> None:
        found = list(versions)
        self._settle(_entries(found), _object_array([v.shape for v in found]), *_boxes(found))

    def with_changes(self, changed: Iterable[ZoneVersion]) -> "ZoneIndex":
        """An index in which `changed` replace or join the versions of this one."""
        new = list(changed)
        keys = {(v.zone, v.version) for v in new}
        pairs = zip(self.zone_of.tolist(), self.version_of.tolist(), strict=True)
        stay = np.fromiter((pair not in keys for pair in pairs), dtype=bool, count=len(self))
        box_stays = stay[self._box_entry]
        new_boxes, new_box_entry = _boxes(new)
        renumbered = np.cumsum(stay) - 1
        result = ZoneIndex.__new__(ZoneIndex)
        result._settle(
            np.concatenate((self._entries[stay], _entries(new))),
            np.concatenate((self._shapes[stay], _object_array([v.shape for v in new]))),
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
        self._circles = _circles(self._shapes)
        self._has_circles = not np.isnan(self._circles).all()
        self._tree = self._packed_tree()
        self._version_keys, self._version_entry = _by_version(self._entries)
        self._boundaries = _boundaries(self._entries)
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
        wanted = _version_key(zone, version)
        if not len(self):
            return np.full(len(wanted), -1)
        place = np.searchsorted(self._version_keys, wanted).clip(max=len(self) - 1)
        return np.where(self._version_keys[place] == wanted, self._version_entry[place], -1)


def _entries(versions: Sequence[ZoneVersion]) -> NDArray[np.void]:
    return np.array(
        [(v.zone, v.version, v.organization, v.valid_from_us, v.valid_to_us) for v in versions],
        dtype=_ENTRY_DTYPE,
    )


def _boxes(versions: Sequence[ZoneVersion]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Boxes (m, 4), and for each the number of its version."""
    found = [(box, entry) for entry, v in enumerate(versions) for box in boxes(v.shape)]
    box = np.array([box for box, _ in found], dtype=np.float64).reshape(-1, 4)
    return box, np.array([entry for _, entry in found], dtype=np.intp)


def _version_key(zone: NDArray[np.integer], version: NDArray[np.integer]) -> NDArray[np.int64]:
    return zone.astype(np.int64) << 32 | version


def _by_version(entries: NDArray[np.void]) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Keys of (zone, version), ascending, and the entry of each."""
    keys = _version_key(entries["zone"], entries["version"])
    order = np.argsort(keys)
    keys = keys[order]
    if len(repeated := np.flatnonzero(keys[1:] == keys[:-1])):
        zone, version = divmod(int(keys[repeated[0]]), 1 << 32)
        raise ValueError(f"version {version} of zone {zone} is given twice")
    return keys, order


def _object_array(values: Sequence[object]) -> NDArray[np.object_]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _circles(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """(n, 3): lon, lat, radius_m; NaN for what is no circle."""
    circles = np.full((len(shapes), 3), np.nan)
    for entry, shape in enumerate(shapes.tolist()):
        if isinstance(shape, Circle):
            circles[entry] = shape.lon, shape.lat, shape.radius_m
    return circles


def _boundaries(entries: NDArray[np.void]) -> dict[int, NDArray[np.int64]]:
    """Organization -> the instants at which one of its versions begins or ends, ascending."""
    organization = np.concatenate((entries["organization"], entries["organization"]))
    instant = np.concatenate((entries["valid_from_us"], entries["valid_to_us"]))
    real = (instant != MIN_TIME_US) & (instant != MAX_TIME_US)
    organization, instant = organization[real], instant[real]
    order = np.lexsort((instant, organization))
    organization, instant = organization[order], instant[order]
    starts = np.flatnonzero(np.diff(organization, prepend=-1))
    if not len(starts):
        return {}
    groups = zip(organization[starts].tolist(), np.split(instant, starts[1:]), strict=True)
    return {ordinal: np.unique(times) for ordinal, times in groups}


def _count_up_to(instants: NDArray[np.int64], until_us: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.searchsorted(instants, until_us, "right")
