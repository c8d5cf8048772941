"""Trips and stops by day, as reports sum them up.

Times are split where the day ends. The way between two fixes belongs to the day of the later one. A
trip and a stop are counted on the day on which they began. So what is said of a day does not depend
on the days that are asked for with it, and days add up to the trips and stops.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geofence.trips.history import Stop, Trip, idle_spans_us, moving
from geofence.trips.track import Track, TripRules


@dataclass(slots=True)
class DayFigures:
    """One day. Times are microseconds since 1970, and None where there is none.

    departed_us: when the first trip of the day began; arrived_us: when its last stop did. idle_s:
    None where the ignition is never known during its stops. stopped_s: idle_s included. trips,
    stops: those that began on it.
    """

    fixes: int = 0
    first_fix_us: int | None = None
    last_fix_us: int | None = None
    departed_us: int | None = None
    arrived_us: int | None = None
    distance_m: float = 0.0
    driving_s: float = 0.0
    stopped_s: float = 0.0
    idle_s: float | None = None
    trips: int = 0
    stops: int = 0
    top_speed_mps: float | None = None

    @property
    def has_any(self) -> bool:
        """Whether fixes, or what lies across the day, say something of it."""
        return self.fixes > 0 or self.driving_s > 0 or self.stopped_s > 0


def by_day(
    track: Track, found: Sequence[Trip | Stop], edges_us: Sequence[int], rules: TripRules
) -> list[DayFigures]:
    """Return the figures of n days that follow each other. edges_us: n + 1 times at which they
    begin, and the last one ends. found: all trips and stops of the track that meet them.
    """
    edges = np.array(edges_us, np.int64)
    days = [DayFigures() for _ in edges_us[1:]]
    _count_fixes(track, edges, days)
    for each in found:
        begin_us, end_us = int(track.time_us[each.first]), int(track.time_us[each.last])
        lengths_s = _lengths_s(edges, np.array([begin_us]), np.array([end_us]))
        began = int(np.searchsorted(edges, begin_us, side="right")) - 1
        if isinstance(each, Trip):
            _add_trip(track, each, edges, days, lengths_s)
        else:
            _add_stop(track, each, edges, days, lengths_s, rules)
        if 0 <= began < len(days):
            _count(each, begin_us, days[began])
    return days


def _count(each: Trip | Stop, begin_us: int, day: DayFigures) -> None:
    """Count what began on a day. They come in order of time."""
    if isinstance(each, Trip):
        day.trips += 1
        day.departed_us = begin_us if day.departed_us is None else day.departed_us
    else:
        day.stops += 1
        day.arrived_us = begin_us


def _count_fixes(track: Track, edges: NDArray[np.int64], days: Sequence[DayFigures]) -> None:
    bounds = np.searchsorted(track.time_us, edges)
    for day, first, end in zip(days, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        if end > first:
            day.fixes = end - first
            day.first_fix_us = int(track.time_us[first])
            day.last_fix_us = int(track.time_us[end - 1])


def _add_trip(
    track: Track,
    trip: Trip,
    edges: NDArray[np.int64],
    days: Sequence[DayFigures],
    lengths_s: NDArray[np.float64],
) -> None:
    moved = moving(track, trip.first, trip.last)
    steps_m, later_us = track.steps_m(moved), track.time_us[moved[1:]]
    bounds = np.searchsorted(later_us, edges)
    rows = np.searchsorted(track.time_us[trip.first : trip.last + 1], edges) + trip.first
    for number, day in enumerate(days):
        day.driving_s += float(lengths_s[number])
        day.distance_m += float(steps_m[bounds[number] : bounds[number + 1]].sum())
        speeds_mps = track.speed_mps[rows[number] : rows[number + 1]]
        if not np.isnan(speeds_mps).all():
            day.top_speed_mps = max(day.top_speed_mps or 0.0, float(np.nanmax(speeds_mps)))


def _add_stop(
    track: Track,
    stop: Stop,
    edges: NDArray[np.int64],
    days: Sequence[DayFigures],
    lengths_s: NDArray[np.float64],
    rules: TripRules,
) -> None:
    idle_s = np.zeros(len(days))
    if stop.idle_s is not None:
        idle_s = _lengths_s(edges, *idle_spans_us(track, stop.first, stop.last, rules))
    for number, day in enumerate(days):
        day.stopped_s += float(lengths_s[number])
        if stop.idle_s is not None and lengths_s[number] > 0:
            day.idle_s = (day.idle_s or 0.0) + float(idle_s[number])


def _lengths_s(
    edges: NDArray[np.int64], begins_us: NDArray[np.int64], ends_us: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how much of spans that do not overlap lies in each day."""
    begins_us = np.maximum(begins_us, edges[:-1, None])
    ends_us = np.minimum(ends_us, edges[1:, None])
    return np.maximum(ends_us - begins_us, 0).sum(axis=1) / 1_000_000
