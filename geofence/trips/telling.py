"""Telling of trips and stops as they become known: what was told, what the fixes say, what to tell.

A trip keeps its id from the fix that first began it. A found trip is the told one with its id; else
that of those left over with which it shares most time. A consumer that keeps the newest revision of
each id, without retracted ones, has just the trips that the fixes say: whatever came late.

A trip that goes on ends by deadline where no fix came for `trip_gap_s`. A stop is told once.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from geofence.trips.history import Found, Stop
from geofence.trips.track import Track, TripRules
from telemetry.ids import derived_id


class Telling(StrEnum):
    """The kinds of what is told."""

    STARTED = "started"
    ENDED = "ended"
    AMENDED = "amended"
    STOPPED = "stopped"


class Change(StrEnum):
    """What became of a trip that is not as it was told."""

    START = "start"
    END = "end"
    SPLIT = "split"
    MERGED = "merged"
    RETRACTED = "retracted"


class Told(NamedTuple):
    """A trip or stop as it was told last. Times are microseconds since 1970; ended_us: None while
    it goes on. revision: counts what was told of it. is_retracted: there is none any more.
    """

    id: UUID
    is_stop: bool
    revision: int
    started_us: int
    ended_us: int | None
    is_retracted: bool = False


class Seen(NamedTuple):
    """What the fixes say. is_sure: fixes that were not looked at cannot change it."""

    found: Found[Any]
    is_sure: bool


class News(NamedTuple):
    """now: what is known of a trip or stop from now on. kind: None where nobody is told. change:
    of what is amended. before: as it was told. found: None where there is none any more. by_timer:
    it ended because no fix came.
    """

    now: Told
    kind: Telling | None = None
    change: Change | None = None
    before: Told | None = None
    found: Found[Any] | None = None
    by_timer: bool = False


def trip_id(asset_id: UUID, first_us: int, *, is_stop: bool) -> UUID:
    """Return the id of what begins with a fix of an asset."""
    moment = first_us.to_bytes(8, "big", signed=True)
    return derived_id(b"stop" if is_stop else b"trip", asset_id.bytes, moment)


def event_id(of: UUID, revision: int) -> UUID:
    """Return the id of the event that tells this revision of a trip or stop."""
    return derived_id(b"trip_event", of.bytes, revision.to_bytes(4, "big"))


def news(
    asset_id: UUID,
    told: Sequence[Told],
    seen: Sequence[Seen],
    since_us: int,
    now_us: int,
    rules: TripRules,
) -> list[News]:
    """Return what is to be told, and to be kept as told, in its order.

    told: all that share time with what is seen, and those with its ids. seen: in order of time.
    Trips that ended by since_us, and stops that began by then, are told to nobody. What was told to
    have begun before all that is seen has lost fixes, and is left alone.
    """
    if seen and any(_began_before(each, seen[0].found) for each in told):
        seen = [seen[0]._replace(is_sure=False), *seen[1:]]
    of, lost = _pairs(asset_id, told, seen, since_us)
    parts = [
        each.found
        for each, known in of
        if known is None and each.is_sure and not isinstance(each.found.what, Stop)
    ]
    result = [_gone(each, of) for each in lost]
    for each, known in of:
        if not each.is_sure:
            continue
        now = _told_now(asset_id, each.found, known, now_us, rules)
        if isinstance(each.found.what, Stop):
            if known is None and each.found.first_us > since_us:
                result.append(News(now, Telling.STOPPED, found=each.found))
            elif known is None or now != known:
                result.append(News(now, found=each.found))
        else:
            result += _of_trip(each.found, known, now, parts)
    return result


_Pairs = list[tuple[Seen, Told | None]]


def _pairs(
    asset_id: UUID, told: Sequence[Told], seen: Sequence[Seen], since_us: int
) -> tuple[_Pairs, list[Told]]:
    """Return for each that is seen the one that was told, and those told ones that are left over
    and lie where all is sure.
    """
    wanted = [each for each in seen if each.found.last_us > since_us]
    ids = [
        trip_id(asset_id, each.found.first_us, is_stop=isinstance(each.found.what, Stop))
        for each in wanted
    ]
    by_id = {each.id: each for each in told}
    known = [by_id.get(each) for each in ids]
    left = {each.id: each for each in told if each.id not in ids and not each.is_retracted}
    for number, each in enumerate(wanted):
        if known[number] is None:
            is_stop = isinstance(each.found.what, Stop)
            shared = [
                (_shared_us(each.found, other), -other.started_us, other.id)
                for other in left.values()
                if other.is_stop == is_stop
            ]
            best = max(shared, default=None)
            if best is not None and best[0] > 0:
                known[number] = left.pop(best[2])
    unsure = [each.found for each in seen if not each.is_sure]
    lost = [
        each for each in left.values() if not any(_shared_us(other, each) > 0 for other in unsure)
    ]
    return list(zip(wanted, known, strict=True)), lost


def _began_before(told: Told, first: Found[Any]) -> bool:
    ends_later = told.ended_us is None or told.ended_us > first.first_us
    return told.started_us < first.first_us and ends_later and not told.is_retracted


def _shared_us(found: Found[Any], told: Told) -> int:
    """Return how much time both have in common. What goes on does so up to its last fix."""
    end_us = found.last_us if told.ended_us is None else min(found.last_us, told.ended_us)
    return end_us - max(found.first_us, told.started_us)


def _gone(told: Told, of: _Pairs) -> News:
    now = told._replace(revision=told.revision + 1, is_retracted=True)
    if told.is_stop:
        return News(now)
    is_merged = any(
        not isinstance(each.found.what, Stop) and _shared_us(each.found, told) > 0 for each, _ in of
    )
    change = Change.MERGED if is_merged else Change.RETRACTED
    return News(now, Telling.AMENDED, change, told)


def _told_now(
    asset_id: UUID, found: Found[Any], known: Told | None, now_us: int, rules: TripRules
) -> Told:
    is_stop = isinstance(found.what, Stop)
    is_over = not found.what.is_open or (not is_stop and _is_silent(found, now_us, rules))
    ended_us = found.last_us if is_over else None
    if known is None:
        new_id = trip_id(asset_id, found.first_us, is_stop=is_stop)
        return Told(new_id, is_stop, 1, found.first_us, ended_us)
    return known._replace(started_us=found.first_us, ended_us=ended_us, is_retracted=False)


def _is_silent(found: Found[Any], now_us: int, rules: TripRules) -> bool:
    return now_us - found.last_us >= rules.trip_gap_us


def _of_trip(
    found: Found[Any], known: Told | None, now: Told, parts: Sequence[Found[Any]]
) -> Iterator[News]:
    """Yield at most two: that it started or is another one, and that it ended."""
    revision = 0 if known is None else known.revision
    told = None if known is None or known.is_retracted else known
    was_over = told is not None and told.ended_us is not None
    if told is None:
        revision += 1
        yield News(now._replace(revision=revision, ended_us=None), Telling.STARTED, found=found)
    elif told.started_us != now.started_us or (was_over and told.ended_us != now.ended_us):
        revision += 1
        change = Change.END if told.started_us == now.started_us else Change.START
        if was_over and any(_shared_us(part, told) > 0 for part in parts):
            change = Change.SPLIT
        amended = now._replace(revision=revision, ended_us=now.ended_us if was_over else None)
        yield News(amended, Telling.AMENDED, change, told, found)
    if now.ended_us is not None and not was_over:
        ended = now._replace(revision=revision + 1)
        yield News(ended, Telling.ENDED, found=found, by_timer=found.what.is_open)


def rests_until_us(trip: Found[Any], rules: TripRules) -> int:
    """Return up to when fixes behind the last one change nothing of a trip that goes on.

    A stop is known `stop_after_s` after its first fix. That is a fix behind which no two that
    follow each other lie farther away than both ends of a stop. Where the ignition is off, the next
    fix may show that it is on.
    """
    track, first = trip.track, trip.what.first
    known = track.ignition[first:][track.ignition[first:] >= 0]
    if len(known) and known[-1] == 0:
        return trip.last_us
    begins = len(track) - 1
    while begins > first and not _is_left(track, begins - 1, rules):
        begins -= 1
    return int(track.time_us[begins]) + rules.stop_after_us


def _is_left(track: Track, fix: int, rules: TripRules) -> bool:
    """Return whether no stop that begins with the fix lasts to the end of the track."""
    rows = slice(fix, len(track))
    reach_m = 2.0 * rules.stop_radius_m + float(track.accuracy_m[fix])
    is_beyond = track.beyond_m(rows, float(track.lat[fix]), float(track.lon[fix])) > reach_m
    return bool((is_beyond[1:] & is_beyond[:-1]).any())


def falls_due_us(seen: Sequence[Seen], now_us: int, rules: TripRules) -> int | None:
    """Return when the trip that goes on ends by deadline, if it does."""
    if not seen or isinstance((last := seen[-1].found).what, Stop) or not last.what.is_open:
        return None
    return None if _is_silent(last, now_us, rules) else last.last_us + rules.trip_gap_us
