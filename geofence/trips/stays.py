"""Stays: the fixes that lie around one place for a time, noise and outliers apart.

A stay begins at the first fix from which on all lie within a radius of one place for
`stop_after_s`, and lasts until the place is left. A fix is outside where it lies beyond the radius
by more than its stated accuracy. The place is left where two fixes that follow each other are
outside, or where it takes more than `stop_after_s` from one fix inside to the next.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from geofence.trips.track import Track, TripRules, flat_offsets_m, place_at


@dataclass(frozen=True, slots=True)
class Stay:
    """first, last: the numbers of its outermost fixes. lat, lon: of its middle."""

    first: int
    last: int
    lat: float
    lon: float


def stays(track: Track, rules: TripRules) -> Iterator[Stay]:
    """Yield the stays in order; they have no fix in common."""
    enough = np.searchsorted(track.time_us, track.time_us + rules.stop_after_us)
    free = 0  # the first fix that belongs to no stay yet
    for first in _possible(track, enough, rules.stop_radius_m):
        if first < free:
            continue
        stay = _stay_from(track, first, int(enough[first]), rules)
        if stay is not None:
            free = stay.last + 1
            yield stay


def _possible(track: Track, enough: NDArray[np.intp], radius_m: float) -> list[int]:
    """Return the fixes that a stay may begin at: at its least end it is still near."""
    first = np.flatnonzero(enough < len(track))
    then = enough[first]
    places = (track.lat[then], track.lon[then], track.lat[first], track.lon[first])
    reach_m = 2.0 * radius_m + track.accuracy_m[first] + track.accuracy_m[then]
    return first[np.hypot(*flat_offsets_m(*places)) <= reach_m].tolist()


def _stay_from(track: Track, first: int, enough: int, rules: TripRules) -> Stay | None:
    """Return the stay that begins at a fix, if it lasts until the fix `enough`.

    Its middle is the median of that time, and then the mean of all fixes inside.
    """
    lat, lon = float(track.lat[first]), float(track.lon[first])
    rows = slice(first, enough + 1)
    beginning = flat_offsets_m(track.lat[rows], track.lon[rows], lat, lon)
    middle_x, middle_y = (float(np.median(axis)) for axis in beginning)
    inside, last, is_outside, row = 0, -1, False, first
    for x, y, most_m, time_us in _ahead(track, first, lat, lon, rules.stop_radius_m):
        if hypot(x - middle_x, y - middle_y) <= most_m:
            if is_outside and time_us - int(track.time_us[last]) > rules.stop_after_us:
                break
            inside, last, is_outside = inside + 1, row, False
            if row > enough:
                middle_x += (x - middle_x) / inside
                middle_y += (y - middle_y) / inside
        elif is_outside or row == first:
            break
        else:
            is_outside = True
        row += 1
    return None if last < enough else Stay(first, last, *place_at(lat, lon, middle_x, middle_y))


def _ahead(
    track: Track, first: int, lat: float, lon: float, radius_m: float
) -> Iterator[tuple[float, float, float, int]]:
    """Yield the fixes from one on: offsets from a place, how far out is inside, time."""
    size = 256
    while first < len(track):
        rows = slice(first, first + size)
        offsets_m = flat_offsets_m(track.lat[rows], track.lon[rows], lat, lon)
        columns = (*offsets_m, track.accuracy_m[rows] + radius_m)
        yield from zip(
            *(column.tolist() for column in columns), track.time_us[rows].tolist(), strict=True
        )
        first, size = first + size, 4 * size
