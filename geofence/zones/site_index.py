"""The zones near a place: an index for single questions, which changes one zone at a time.

It looks for boxes, so what it finds are candidates: the caller asks each one's shape for its
distance. It names some zones that are a little farther away, and never misses one.

A `SiteIndex` holds the zones of one organization. It is `rtree` (libspatialindex): unlike the
evaluator's packed tree it takes an edit in microseconds, and unlike that it has no answer for many
points at once.

Boxes are (west, south, east, north) in degrees, with longitudes that run on over the 180th meridian
in any whole number of turns: 170 to 190 and -190 to -170 are the same box. A box that holds a pole
goes round: it is 360 wide.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from uuid import UUID

from rtree.index import Index

Box = tuple[float, float, float, float]

MAX_WITHIN_M = 1_000_000.0

# The least radius of curvature of the WGS 84 ellipsoid, a(1 - e^2). An angle made with it is never
# smaller than the difference in latitude along a geodesic of that length, nor than the arc of that
# geodesic on the auxiliary sphere (radius b or more, Karney 2013, equations 7 to 9).
_LEAST_RADIUS_M = 6_335_439.0
_ROUNDING_DEG = 1e-9  # a tenth of a millimetre: turns and sums round by less


class SiteIndex:
    """Zones by their boxes."""

    def __init__(self, zones: Mapping[UUID, Iterable[Box]] | None = None) -> None:
        """Index zones and their boxes. Raises ValueError for a box that is none."""
        self._ids = count()
        self._boxes: dict[UUID, list[tuple[int, Box]]] = {}
        self._zone_of: dict[int, UUID] = {}
        for zone, boxes in (zones or {}).items():
            self._note(zone, [_placed(box) for box in boxes])
        entries = [entry for boxes in self._boxes.values() for entry in boxes]
        # Packing all at once is ten times faster than inserting; it does not take an empty stream.
        self._tree = Index((number, box, None) for number, box in entries) if entries else Index()

    def __len__(self) -> int:
        return len(self._boxes)

    def __contains__(self, zone: UUID) -> bool:
        return zone in self._boxes

    def insert(self, zone: UUID, boxes: Iterable[Box]) -> None:
        """Add a zone. Raises ValueError where it is there already, or for a box that is none."""
        if zone in self._boxes:
            raise ValueError(f"zone {zone} is in the index already")
        self._add(zone, [_placed(box) for box in boxes])

    def remove(self, zone: UUID) -> None:
        """Take a zone away. Raises KeyError where it is not there."""
        for number, box in self._boxes.pop(zone):
            self._tree.delete(number, box)
            del self._zone_of[number]

    def replace(self, zone: UUID, boxes: Iterable[Box]) -> None:
        """Give a zone other boxes. Raises KeyError where it is not there, ValueError as `insert`.

        After a ValueError the zone has the boxes that it had.
        """
        if zone not in self._boxes:
            raise KeyError(zone)
        placed = [_placed(box) for box in boxes]
        self.remove(zone)
        self._add(zone, placed)

    def near(self, lon: float, lat: float, within_m: float) -> set[UUID]:
        """Return the zones with a box that may be at most `within_m` metres from a place, of 0 to
        1e6.

        lon: -180 to 180, lat: -90 to 90. Raises ValueError for numbers beyond these.
        """
        if not (abs(lon) <= 180 and abs(lat) <= 90):
            raise ValueError("lon must be from -180 to 180 and lat from -90 to 90")
        if not 0 <= within_m <= MAX_WITHIN_M:
            raise ValueError(f"within_m must be from 0 to {MAX_WITHIN_M:,.0f}")
        return {
            self._zone_of[number]
            for box in _turned(_around(lon, lat, within_m))
            for number in self._tree.intersection(box)
        }

    def _add(self, zone: UUID, placed: list[Box]) -> None:
        for number, box in self._note(zone, placed):
            self._tree.insert(number, box)

    def _note(self, zone: UUID, placed: list[Box]) -> list[tuple[int, Box]]:
        """Give the boxes of a zone their numbers."""
        numbered = [(next(self._ids), box) for box in placed]
        self._boxes[zone] = numbered
        self._zone_of.update((number, zone) for number, _ in numbered)
        return numbered


def _placed(box: Box) -> Box:
    """Return the box with its west in [-180, 180)."""
    west, south, east, north = box
    if not (-90 <= south <= north <= 90 and west <= east <= west + 360 and abs(west) <= 540):
        raise ValueError("a box is west, south, east, north in degrees, at most 360 wide")
    turns = math.floor((west + 180) / 360) * 360
    return (west - turns, south, east - turns, north)


def _around(lon: float, lat: float, within_m: float) -> Box:
    """Return a box that holds every place at most so far from one; 360 wide where that holds a
    pole.
    """
    angle = within_m / _LEAST_RADIUS_M
    lat_span = math.degrees(angle) + _ROUNDING_DEG
    south, north = max(lat - lat_span, -90.0), min(lat + lat_span, 90.0)
    if south == -90 or north == 90:
        return (-180.0, south, 180.0, north)
    # Of a circle on a sphere, the meridians that touch it lie asin(sin(angle) / cos(lat)) away.
    sine = min(math.sin(angle) / math.cos(math.radians(lat)), 1.0)
    lon_span = math.degrees(math.asin(sine)) + _ROUNDING_DEG
    return (lon - lon_span, south, lon + lon_span, north)


def _turned(box: Box) -> Iterator[Box]:
    """Yield the box in every turn in which it may meet one of the index."""
    west, south, east, north = box
    for turn in (-360.0, 0.0, 360.0):
        yield (west + turn, south, east + turn, north)
