"""Trips and stops of a track: stays that are apart are stops, and what lies between is trips.

A stay that is reached without getting `trip_min_m` away from the one before is part of it, so noise
that breaks a stay makes no trip. A trip goes from the last fix of a stop to the first of the next.
Where the ignition is sent, a trip ends when it has been off for `stop_after_s`; what moves on
without it, on a ferry or a tow truck, is a trip of its own that is `carried`.

All follows from the set of fixes: the order in which they arrived does not matter.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from geofence.trips.stays import Stay, stays
from geofence.trips.track import (
    Track,
    TripRules,
    flat_distance_m,
    flat_offsets_m,
    place_at,
)
from telemetry.times import to_datetime


@dataclass(frozen=True, slots=True)
class Stop:
    """first, last: the numbers of its outermost fixes. lat, lon: the median of its fixes. idle_s:
    how long the ignition was on; None where it is never known. is_open: no fix tells of its end.
    """

    first: int
    last: int
    lat: float
    lon: float
    idle_s: float | None
    is_open: bool


@dataclass(frozen=True, slots=True)
class Trip:
    """first, last: the numbers of its outermost fixes, which belong to the stops around it, too.

    distance_m: over the fixes that move by more than their accuracy. odometer_m: what the odometer
    counted. top_speed_mps: the highest that a fix states. has_gap: a time without a fix is longer
    than `trip_gap_s`. is_carried: with the ignition off. is_open: no fix tells of its end.
    """

    first: int
    last: int
    distance_m: float
    odometer_m: float | None
    top_speed_mps: float | None
    has_gap: bool
    is_carried: bool
    is_open: bool


FOUND = TypeVar("FOUND", Trip, Stop)


@dataclass(frozen=True, slots=True)
class Found(Generic[FOUND]):
    """A trip or stop of a track. is_cut: it may be longer than the track."""

    track: Track
    what: FOUND
    is_cut: bool

    @property
    def first_us(self) -> int:
        return int(self.track.time_us[self.what.first])

    @property
    def last_us(self) -> int:
        return int(self.track.time_us[self.what.last])

    @property
    def started_at(self) -> datetime:
        return to_datetime(self.first_us)

    @property
    def middle(self) -> datetime:
        return self.started_at + (self.last_at - self.started_at) / 2

    @property
    def last_at(self) -> datetime:
        return to_datetime(self.last_us)

    @property
    def duration_s(self) -> float:
        return (self.last_at - self.started_at).total_seconds()


def trips_and_stops(track: Track, rules: TripRules) -> list[Trip | Stop]:
    """Return all in order of time. What begins or ends with the track may be longer than it."""
    if not len(track):
        return []
    found, end = _apart(track, rules), len(track) - 1
    if not found:
        start = (float(track.lat[0]), float(track.lon[0]))
        is_moving = _gets_away(track, slice(0, end + 1), *start, rules)
        return list(_trips(track, 0, end, rules, is_open=True)) if is_moving else []
    first, last = found[0], found[-1]
    comes = _gets_away(track, slice(0, first.first + 1), first.lat, first.lon, rules)
    if not comes:
        found[0] = replace(first, first=0)
    goes_on = _gets_away(track, slice(last.last, end + 1), last.lat, last.lon, rules)
    if not goes_on:
        found[-1] = replace(found[-1], last=end)
    result: list[Trip | Stop] = []
    at = 0
    for stay in found:
        if stay.first > at or (comes and not result):
            result += _trips(track, at, stay.first, rules, is_open=False)
        result.append(_stop(track, stay, rules, is_open=stay.last == end))
        at = stay.last
    if goes_on:
        result += _trips(track, at, end, rules, is_open=True)
    return result


def _apart(track: Track, rules: TripRules) -> list[Stay]:
    """Return the stays, of which each is left before the next one."""
    found: list[Stay] = []
    for stay in stays(track, rules):
        if found and not _is_left(track, found[-1], stay, rules):
            found[-1] = replace(found[-1], last=stay.last)
        else:
            found.append(stay)
    return found


def _is_left(track: Track, stay: Stay, following: Stay, rules: TripRules) -> bool:
    apart_m = flat_distance_m(following.lat, following.lon, stay.lat, stay.lon)
    between = slice(stay.last, following.first + 1)
    return apart_m >= rules.trip_min_m or _gets_away(track, between, stay.lat, stay.lon, rules)


def _gets_away(track: Track, rows: slice, lat: float, lon: float, rules: TripRules) -> bool:
    """Return whether fixes show that something was `trip_min_m` away from a place: two that follow
    each other do, and one where the fixes around it are more than `stop_after_s` apart.
    """
    is_away = track.beyond_m(rows, lat, lon) >= rules.trip_min_m
    time_us = track.time_us[rows]
    before_us, after_us = np.append(time_us[:1], time_us[:-1]), np.append(time_us[1:], time_us[-1:])
    is_long = after_us - before_us > rules.stop_after_us
    return bool((is_away[1:] & is_away[:-1]).any() or (is_away & is_long).any())


def _stop(track: Track, stay: Stay, rules: TripRules, *, is_open: bool) -> Stop:
    rows = slice(stay.first, stay.last + 1)
    offsets_m = flat_offsets_m(track.lat[rows], track.lon[rows], stay.lat, stay.lon)
    middle = place_at(stay.lat, stay.lon, *(float(np.median(axis_m)) for axis_m in offsets_m))
    idle_s = None
    if (track.ignition[rows] >= 0).any():
        begins_us, ends_us = idle_spans_us(track, stay.first, stay.last, rules)
        idle_s = float((ends_us - begins_us).sum()) / 1_000_000
    return Stop(stay.first, stay.last, *middle, idle_s, is_open)


def idle_spans_us(
    track: Track, first: int, last: int, rules: TripRules
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return from when to when the ignition was on during a stop: two arrays (k,)."""
    time_us, ignition = track.time_us[first : last + 1], track.ignition[first : last + 1]
    is_idle = (ignition[:-1] == 1) & (np.diff(time_us) <= rules.trip_gap_us)
    return time_us[:-1][is_idle], time_us[1:][is_idle]


def _trips(
    track: Track, first: int, last: int, rules: TripRules, *, is_open: bool
) -> Iterator[Trip]:
    """Yield the trip between two stops, in parts where it goes on without ignition."""
    parts = list(_parts(track, first, last, rules))
    for number, (begin, end, is_carried) in enumerate(parts):
        rows = slice(begin, end + 1)
        speed_mps, odometer_m = track.speed_mps[rows], track.odometer_m[rows]
        counted_m = odometer_m[~np.isnan(odometer_m)]
        yield Trip(
            begin,
            end,
            distance_m=float(track.steps_m(moving(track, begin, end)).sum()),
            odometer_m=float(counted_m[-1] - counted_m[0]) if len(counted_m) > 1 else None,
            top_speed_mps=None if np.isnan(speed_mps).all() else float(np.nanmax(speed_mps)),
            has_gap=bool((np.diff(track.time_us[rows]) > rules.trip_gap_us).any()),
            is_carried=is_carried,
            is_open=is_open and number == len(parts) - 1,
        )


def _parts(
    track: Track, first: int, last: int, rules: TripRules
) -> Iterator[tuple[int, int, bool]]:
    """Yield the first and last fix of each part, and whether it is carried."""
    at = first
    for begin, end in _runs_without_ignition(track.ignition[first : last + 1]):
        begin, end = first + begin, first + end
        if track.time_us[end] - track.time_us[begin] < rules.stop_after_us:
            continue
        if begin > at:
            yield at, begin, False
        yield begin, end, True
        at = end
    if at < last or at == first:
        yield at, last, False


def _runs_without_ignition(ignition: NDArray[np.int8]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of fixes with the ignition off, with none between that says on."""
    known = np.flatnonzero(ignition >= 0)
    is_off = ignition[known] == 0
    edges = np.flatnonzero(np.diff(np.concatenate(([False], is_off, [False])).astype(np.int8)))
    for begin, end in edges.reshape(-1, 2).tolist():
        yield int(known[begin]), int(known[end - 1])


def moving(track: Track, first: int, last: int) -> NDArray[np.intp]:
    """Return the fixes of a trip that lie farther from the one before than either is accurate."""
    rows = np.arange(first, last + 1)
    if not track.accuracy_m[rows].any():
        return rows
    columns = (track.lat[rows], track.lon[rows], track.accuracy_m[rows])
    fixes = zip(*(column.tolist() for column in columns), strict=True)
    at_lat, at_lon, at_accuracy_m = next(fixes)
    moved = [first]
    for row, (lat, lon, accuracy_m) in enumerate(fixes, first + 1):
        if flat_distance_m(lat, lon, at_lat, at_lon) > max(accuracy_m, at_accuracy_m):
            moved.append(row)
            at_lat, at_lon, at_accuracy_m = lat, lon, accuracy_m
    return np.array(moved)
