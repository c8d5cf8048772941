"""The trips and stops of one thing, worked out from its stored fixes.

Each reading is a short transaction of its own, and none is open while the trips are worked out in a
thread.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

import numpy as np

from api.request.access import Access
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import TrackFix
from db.resources import organizations
from geofence.model.rules import MAX_ACCURACY_M
from geofence.trips.history import Stop, Trip, trips_and_stops
from geofence.trips.track import Track, TripRules
from telemetry.times import to_datetime

MOST_FIXES = 200_000
# How far beyond the time that is asked for is looked, until what lies across its ends is known.
_MARGINS = tuple(timedelta(hours=hours) for hours in (6, 24, 96, 384, 1536))
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)
FOUND = TypeVar("FOUND", Trip, Stop)


class TooManyFixes(Exception):
    """There are more than `most` fixes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are more than {most:,} fixes")
        self.most = most


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
    def started_at(self) -> datetime:
        return to_datetime(self.first_us)

    @property
    def middle(self) -> datetime:
        return self.started_at + (self.last_at - self.started_at) / 2

    @property
    def last_at(self) -> datetime:
        return to_datetime(int(self.track.time_us[self.what.last]))

    @property
    def duration_s(self) -> float:
        return (self.last_at - self.started_at).total_seconds()


@dataclass(frozen=True, slots=True)
class _Read:
    """Fixes of a time. has_earlier, has_later: there are others around it."""

    fixes: Sequence[TrackFix]
    has_earlier: bool
    has_later: bool


async def worked_out(
    access: Access, wanted: FixFilter, rules: TripRules
) -> tuple[Track, list[Found[Any]]]:
    """Return what shares an instant with the time that is wanted, and the track, which is longer.

    More than that time is looked at, until the two before it and the one behind it are known, or
    there are no further fixes: then what lies across its ends is known, too. Raises TooManyFixes.
    """
    known: tuple[Track, list[Found[Any]]] | None = None
    for margin in _MARGINS:
        wide = _widened(wanted, margin)
        read = await _read(access, wide)
        if len(read.fixes) > MOST_FIXES:
            break
        track = await asyncio.to_thread(_track, read.fixes)
        found = await asyncio.to_thread(trips_and_stops, track, rules)
        shown, is_known = _within(wanted, read, track, found)
        known = track, shown
        if is_known:
            break
    if known is None:
        raise TooManyFixes(MOST_FIXES)
    return known


async def _read(access: Access, wide: FixFilter) -> _Read:
    async with access.transaction() as conn:
        settings = await organizations.find(conn)
    max_accuracy_m = settings.max_accuracy_m or MAX_ACCURACY_M
    archive, most = access.state.archive, MOST_FIXES + 1
    fixes = await archive.track(access.transaction, wide, max_accuracy_m, most)
    has_earlier = await _has_fixes(access, wide, until=wide.since)
    return _Read(fixes, has_earlier, await _has_fixes(access, wide, since=wide.until))


def _within(
    wanted: FixFilter, read: _Read, track: Track, found: Sequence[Trip | Stop]
) -> tuple[list[Found[Any]], bool]:
    """Return what shares an instant with the wanted time, and whether all of it is known."""
    all_found = [Found[Any](track, one, is_cut=False) for one in found]
    assert wanted.since is not None
    assert wanted.until is not None
    before = sum(one.last_at < wanted.since for one in all_found)
    is_begin_known = before >= 2 or not read.has_earlier
    is_end_known = any(one.started_at >= wanted.until for one in all_found) or not read.has_later
    shown = [
        replace(
            one,
            is_cut=(one.what.first == 0 and not is_begin_known)
            or (one.what.is_open and not is_end_known),
        )
        for one in all_found
        if one.started_at < wanted.until and (one.what.is_open or one.last_at > wanted.since)
    ]
    return shown, is_begin_known and is_end_known


async def _has_fixes(
    access: Access,
    wide: FixFilter,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bool:
    wanted = replace(wide, since=since, until=until)
    return (await access.state.archive.count(access.transaction, wanted, 1)).rows > 0


def _widened(wanted: FixFilter, margin: timedelta) -> FixFilter:
    assert wanted.since is not None
    assert wanted.until is not None
    since = max(wanted.since, EARLIEST + margin) - margin
    until = min(wanted.until, LATEST - margin) + margin
    return replace(wanted, since=since, until=until)


def _track(fixes: Sequence[TrackFix]) -> Track:
    columns = np.array(fixes, np.float64).reshape(-1, len(TrackFix._fields)).T
    time_us, lat, lon, accuracy_m, speed_mps, ignition, odometer_m = columns
    return Track(
        time_us.astype(np.int64),
        lat,
        lon,
        accuracy_m,
        speed_mps,
        odometer_m,
        ignition.astype(np.int8),
    )
