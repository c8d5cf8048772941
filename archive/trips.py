"""The trips and stops of one thing, worked out from its stored fixes.

Each reading is a short transaction of its own, and none is open while the trips are worked out in a
thread.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from archive.reading import Archive, Transactions
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import TrackFix
from db.resources import organizations
from geofence.model.rules import MAX_ACCURACY_M
from geofence.trips.history import Found, trips_and_stops
from geofence.trips.telling import Seen
from geofence.trips.track import Track, TripRules
from telemetry.times import to_us

MOST_FIXES = 200_000
# How far beyond the time that is asked for is looked, until what lies across its ends is known.
_MARGINS = tuple(timedelta(hours=hours) for hours in (6, 24, 96, 384, 1536))
_AHEAD = timedelta(hours=1)  # no fix is stored from so far in the future
EARLIEST, LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


class TooManyFixes(Exception):
    """There are more than `most` fixes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"there are more than {most:,} fixes")
        self.most = most


@dataclass(frozen=True, slots=True)
class FixesOf:
    """The fixes of an organization, out of the database and out of the archive."""

    transaction: Transactions
    archive: Archive


@dataclass(frozen=True, slots=True)
class Around:
    """All trips and stops of a track around a time, in order. has_later: there are fixes behind the
    track.
    """

    track: Track
    found: Sequence[Found[Any]]
    has_later: bool


@dataclass(frozen=True, slots=True)
class _Read:
    """Fixes of a time. has_earlier, has_later: there are others around it."""

    fixes: Sequence[TrackFix]
    has_earlier: bool
    has_later: bool


async def worked_out(
    fixes: FixesOf, wanted: FixFilter, rules: TripRules
) -> tuple[Track, list[Found[Any]]]:
    """Return what shares an instant with the time that is wanted, and the track, which is longer.

    Raises TooManyFixes.
    """
    around = await worked_out_around(fixes, wanted, rules)
    assert wanted.since is not None
    assert wanted.until is not None
    return around.track, [
        one
        for one in around.found
        if one.started_at < wanted.until and (one.what.is_open or one.last_at > wanted.since)
    ]


async def worked_out_around(
    fixes: FixesOf, wanted: FixFilter, rules: TripRules, stop_since: datetime | None = None
) -> Around:
    """Return what lies around the time that is wanted.

    More than that time is looked at, until the two before it and the one behind it are known, or
    there are no further fixes: then what lies across its ends is known, too. stop_since: the first
    fix of a stop from before, with which the track is to begin in place of that: what follows from
    there on is the same. Where that fix is gone, it is looked for as without. Raises TooManyFixes.
    """
    known: Around | None = None
    for margin in _MARGINS:
        wide = _widened(wanted, margin)
        if stop_since is not None:
            wide = replace(wide, since=stop_since)
        read = await _read(fixes, wide, is_begin_known=stop_since is not None)
        if len(read.fixes) > MOST_FIXES:
            break
        if stop_since is not None and (
            not read.fixes or read.fixes[0].time_us != to_us(stop_since)
        ):
            return await worked_out_around(fixes, wanted, rules)
        track = await asyncio.to_thread(_track, read.fixes)
        found = await asyncio.to_thread(trips_and_stops, track, rules)
        known, is_known = _marked(wanted, read, track, found)
        if is_known:
            break
    if known is None:
        raise TooManyFixes(MOST_FIXES)
    return known


def seen(around: Around, until: datetime) -> list[Seen]:
    """Return all, and which of them further fixes behind `until` cannot change."""
    return [
        Seen(one, not one.is_cut and (not around.has_later or one.started_at <= until))
        for one in around.found
    ]


async def _read(fixes: FixesOf, wide: FixFilter, *, is_begin_known: bool) -> _Read:
    async with fixes.transaction() as conn:
        settings = await organizations.find(conn)
    max_accuracy_m = settings.max_accuracy_m or MAX_ACCURACY_M
    most = MOST_FIXES + 1
    track = await fixes.archive.track(fixes.transaction, wide, max_accuracy_m, most)
    assert wide.until is not None
    has_earlier = not is_begin_known and await _has_fixes(fixes, wide, until=wide.since)
    may_be_later = wide.until < datetime.now(UTC) + _AHEAD
    has_later = may_be_later and await _has_fixes(fixes, wide, since=wide.until)
    return _Read(track, has_earlier, has_later)


def _marked(
    wanted: FixFilter, read: _Read, track: Track, found: Sequence[Any]
) -> tuple[Around, bool]:
    """Return all, with what may be longer marked, and whether all around the time is known."""
    all_found = [Found(track, one, is_cut=False) for one in found]
    assert wanted.since is not None
    assert wanted.until is not None
    before = sum(one.last_at < wanted.since for one in all_found)
    is_begin_known = before >= 2 or not read.has_earlier
    is_end_known = any(one.started_at >= wanted.until for one in all_found) or not read.has_later
    marked = [
        replace(
            one,
            is_cut=(one.what.first == 0 and not is_begin_known)
            or (one.what.is_open and not is_end_known),
        )
        for one in all_found
    ]
    return Around(track, marked, read.has_later), is_begin_known and is_end_known


async def _has_fixes(
    fixes: FixesOf,
    wide: FixFilter,
    since: datetime | None = None,
    until: datetime | None = None,
) -> bool:
    wanted = replace(wide, since=since, until=until)
    return (await fixes.archive.count(fixes.transaction, wanted, 1)).rows > 0


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
