"""Job sites near a place: an R-tree for single questions, which changes one zone at a time.

    index = SiteIndex(sites)
    best = index.best(SitePlace(lon, lat, at_us), 8)

The tree is `rtree` (libspatialindex). It takes an edit in microseconds, which the evaluator's tree
(`geofence.zones.rtree`) does not, but it has no answer for many places at once.

Only boxes are compared, so the best sites are candidates for an exact test. A box is west, south,
east, north in degrees. Its east is not below its west, and both may run on over the 180th meridian
in any whole number of turns. A zone that holds a pole goes round: its box is 360 wide.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from rtree.index import Index

Box = tuple[float, float, float, float]

EVERYWHERE: Box = (-180.0, -90.0, 180.0, 90.0)
_DEGREE_M = 111_195.0  # of latitude, on a sphere
_ROUNDING_DEG = 1e-9  # a tenth of a millimetre: turns and sums round by less
_MORE = 8  # times as many boxes are looked at where too few of the nearest are in force


class SiteBox(NamedTuple):
    """A version of a zone with its box. from_us, to_us: in force from, and until before, in
    microseconds since 1970. tolerance_m: None for the default. shape_bytes: of its shape, stored.
    """

    zone_id: UUID
    version: int
    from_us: int
    to_us: int
    box: Box
    tolerance_m: float | None
    shape_bytes: int


class SitePlace(NamedTuple):
    """A place at a time, in microseconds since 1970. default_tolerance_m: of a site without one."""

    lon: float
    lat: float
    at_us: int
    default_tolerance_m: float = 0.0


class SiteIndex:
    """Zones by their boxes, one version of each. Not to be used by several threads at once."""

    def __init__(self, sites: Iterable[SiteBox] = ()) -> None:
        self._numbers = count()
        self._sites: dict[int, SiteBox] = {}  # by number in the tree
        self._number_of: dict[UUID, int] = {}
        self._most_tolerance_m = 0.0  # of all that were ever put
        boxes = {self._note(site): _placed(site.box) for site in sites}
        # Packing all at once is many times faster than inserting; it does not take nothing.
        self._tree = Index(_stream(boxes)) if boxes else Index()

    def __len__(self) -> int:
        return len(self._number_of)

    def put(self, site: SiteBox) -> None:
        """Add a site, in place of another version of the zone."""
        self.remove(site.zone_id)
        self._tree.insert(self._note(site), _placed(site.box))

    def remove(self, zone_id: UUID, version: int | None = None) -> None:
        """Remove a zone where it is there. version: only where it is this one."""
        number = self._number_of.get(zone_id)
        if number is None or version not in (None, self._sites[number].version):
            return
        self._tree.delete(number, _placed(self._sites.pop(number).box))
        del self._number_of[zone_id]

    def best(self, place: SitePlace, most: int) -> list[SiteBox]:
        """Return the sites in force that come first by `ranked`: `most`, or all there are."""
        near = self._nearest(place, most)
        if len(near) > most:
            near_m = sorted(margins_m(near, place).tolist(), reverse=True)
            tolerance_m = max(self._most_tolerance_m, place.default_tolerance_m)
            near = self._within(place, tolerance_m - near_m[most - 1])
        return ranked(near, place)[:most]

    def _note(self, site: SiteBox) -> int:
        number = next(self._numbers)
        self._sites[number] = site
        self._number_of[site.zone_id] = number
        self._most_tolerance_m = max(self._most_tolerance_m, site.tolerance_m or 0.0)
        return number

    def _nearest(self, place: SitePlace, most: int) -> list[SiteBox]:
        """Return more than `most` sites in force, nearest by degrees; fewer are all there are."""
        asked = most + 1
        while True:
            sites = self._in_force(
                (
                    number
                    for lon in (place.lon - 360, place.lon, place.lon + 360)
                    for number in self._tree.nearest((lon, place.lat, lon, place.lat), asked)
                ),
                place.at_us,
            )
            if len(sites) > most or asked >= len(self):
                return sites
            asked *= _MORE

    def _within(self, place: SitePlace, apart_m: float) -> list[SiteBox]:
        """Return the sites in force whose boxes are at most so far away, and a few more."""
        boxes = _turned(_around(place.lon, place.lat, apart_m))
        numbers = (number for box in boxes for number in self._tree.intersection(box))
        return self._in_force(numbers, place.at_us)

    def _in_force(self, numbers: Iterable[int], at_us: int) -> list[SiteBox]:
        sites = (self._sites[number] for number in set(numbers))
        return [site for site in sites if site.from_us <= at_us < site.to_us]


def ranked(sites: Sequence[SiteBox], place: SitePlace) -> list[SiteBox]:
    """Sort sites by the margins of their boxes, the greatest first, then by zone and version."""
    by_margin = zip((-margins_m(sites, place)).tolist(), sites, strict=True)
    return [site for _, site in sorted(by_margin, key=lambda pair: (pair[0], *pair[1][:2]))]


def margins_m(sites: Sequence[SiteBox], place: SitePlace) -> NDArray[np.float64]:
    """Return how far a place is within each box and its tolerance in metres; (m,).

    Negative where it is farther away.
    """
    boxes = np.array([site.box for site in sites], np.float64).reshape(-1, 4)
    default_m = place.default_tolerance_m
    tolerance_m = [default_m if s.tolerance_m is None else s.tolerance_m for s in sites]
    return np.array(tolerance_m, np.float64) - box_distances_m(boxes, place.lon, place.lat)


def box_distances_m(boxes: NDArray[np.float64], lon: float, lat: float) -> NDArray[np.float64]:
    """Return roughly how far a place is from each box in metres, 0 inside; (m, 4) -> (m,).

    Right to a percent in the neighbourhood, and good enough far away to tell near boxes from far
    ones.
    """
    west, south, east, north = boxes.T
    closest_lat = np.clip(lat, south, north)
    beyond_east = (lon - west) % 360 - (east - west)
    beyond_west = (west - lon) % 360
    east_deg = np.maximum(np.minimum(beyond_east, beyond_west), 0.0)
    width = np.cos(np.radians(np.maximum(np.abs(closest_lat), abs(lat))))
    return np.hypot(closest_lat - lat, east_deg * width) * _DEGREE_M


def _stream(boxes: Mapping[int, Box]) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return numbers (m,), and the boxes' least and greatest corners, (m, 2)."""
    corners = np.array(list(boxes.values()), np.float64)
    least, greatest = np.ascontiguousarray(corners[:, :2]), np.ascontiguousarray(corners[:, 2:])
    return np.array(list(boxes), np.int64), least, greatest


def _around(lon: float, lat: float, apart_m: float) -> Box:
    """Return a box that meets every box which is by `box_distances_m` at most so far away."""
    lat_span = max(apart_m, 0.0) / _DEGREE_M + _ROUNDING_DEG
    farthest_lat = abs(lat) + lat_span
    lon_span = 180.0
    if farthest_lat < 90:
        lon_span = min(lat_span / math.cos(math.radians(farthest_lat)) + _ROUNDING_DEG, 180.0)
    return (lon - lon_span, lat - lat_span, lon + lon_span, lat + lat_span)


def _placed(box: Box) -> Box:
    """Return the box with its west in [-180, 180); one that is no box lies everywhere."""
    west, south, east, north = box
    if not (-90 <= south <= north <= 90 and west <= east <= west + 360 and abs(west) <= 540):
        return EVERYWHERE
    turns = math.floor((west + 180) / 360) * 360
    return (west - turns, south, east - turns, north)


def _turned(box: Box) -> Iterator[Box]:
    """Yield the box in every turn in which it may meet one of the index."""
    west, south, east, north = box
    for turn in (-360.0, 0.0, 360.0):
        yield (west + turn, south, east + turn, north)
