"""The rows from which ingest continues where the last commit stopped: newest fixes and open visits.

It is read back from the rows that the same transactions wrote; what these do not tell stands in
`db.ingest.asset_states`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from telemetry.fix import Flag
from telemetry.times import to_datetime


class NewestFix(NamedTuple):
    """A tracker's newest stored fix, of all or of a time."""

    tracker_id: UUID
    time_us: int
    seq: int
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None


class TrackerSpan(NamedTuple):
    """A time of a tracker: [from_us, to_us)."""

    tracker_id: UUID
    from_us: int
    to_us: int


class LastPlace(NamedTuple):
    """A tracker's newest good fix before an instant."""

    tracker_id: UUID
    before_us: int
    time_us: int
    seq: int
    lat: float
    lon: float
    accuracy_m: float | None
    speed_mps: float | None


class OpenVisit(NamedTuple):
    """An open visit with the identity of the fix that opened it."""

    org_id: UUID
    asset_id: UUID
    zone_id: UUID
    zone_version: int
    tracker_id: UUID
    first_fix_us: int
    first_fix_seq: int
    change_us: int  # 0: no change of the zone opened it
    entered_us: int
    entry_lat: float
    entry_lon: float
    dwelled: bool
    again: int
    revision: int
    exit_announced: bool  # which does not hold any more
    dwell_announced: bool
    overspeed: bool
    overspeed_announced: bool


class FirstFix(NamedTuple):
    """A fix of an asset, which may have opened visits."""

    asset_id: UUID
    tracker_id: UUID
    time_us: int
    seq: int


class UsedName(NamedTuple):
    """The parts of a visit's id."""

    asset_id: UUID
    zone_id: UUID
    tracker_id: UUID
    first_fix_us: int
    first_fix_seq: int
    change_us: int
    again: int


_NEWEST_FIXES = """
SELECT tracker.id, (extract(epoch FROM newest.time) * 1000000)::bigint, newest.seq, newest.lat,
       newest.lon, newest.accuracy_m, newest.speed_mps
  FROM trackers AS tracker
 CROSS JOIN LATERAL (
       SELECT time, seq, lat, lon, accuracy_m, speed_mps FROM gps_events
        WHERE tracker_id = tracker.id
        ORDER BY time DESC, seq DESC LIMIT 1) AS newest
"""
_NEWEST_FIXES_WITHIN = """
SELECT span.tracker_id, (extract(epoch FROM newest.time) * 1000000)::bigint, newest.seq, newest.lat,
       newest.lon, newest.accuracy_m, newest.speed_mps
  FROM unnest(%s::uuid[], %s::timestamptz[], %s::timestamptz[]) AS span (tracker_id, begins, ends)
 CROSS JOIN LATERAL (
       SELECT time, seq, lat, lon, accuracy_m, speed_mps FROM gps_events
        WHERE tracker_id = span.tracker_id AND time >= span.begins AND time < span.ends
        ORDER BY time DESC, seq DESC LIMIT 1) AS newest
"""
_LAST_PLACES = """
SELECT wanted.tracker_id, wanted.before_us,
       (extract(epoch FROM newest.time) * 1000000)::bigint, newest.seq, newest.lat, newest.lon,
       newest.accuracy_m, newest.speed_mps
  FROM unnest(%(trackers)s::uuid[], %(instants)s::timestamptz[], %(instants_us)s::int8[],
              %(max_accuracy_m)s::float8[])
       AS wanted (tracker_id, before, before_us, max_accuracy_m)
 CROSS JOIN LATERAL (
       SELECT time, seq, lat, lon, accuracy_m, speed_mps FROM gps_events
        WHERE tracker_id = wanted.tracker_id AND time < wanted.before
          AND flags & %(suspect)s = 0
          AND (accuracy_m IS NULL OR accuracy_m <= wanted.max_accuracy_m)
        ORDER BY time DESC, seq DESC LIMIT 1) AS newest
"""
_OPEN_VISITS = """
SELECT org_id, asset_id, zone_id, zone_version, tracker_id,
       (extract(epoch FROM first_fix_time) * 1000000)::bigint, first_fix_seq,
       coalesce((extract(epoch FROM change_time) * 1000000)::bigint, 0),
       (extract(epoch FROM entered_at) * 1000000)::bigint, entry_lat, entry_lon,
       dwelled_at IS NOT NULL, again, revision, exit_announced, dwell_announced,
       overspeed_at IS NOT NULL, overspeed_announced
  FROM visits WHERE left_at IS NULL AND NOT retracted
"""
_USED_NAMES = """
SELECT asset_id, zone_id, visits.tracker_id,
       (extract(epoch FROM first_fix_time) * 1000000)::bigint, first_fix_seq,
       coalesce((extract(epoch FROM change_time) * 1000000)::bigint, 0), again
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::int4[])
       AS first_fix (asset_id, tracker_id, first_fix_time, first_fix_seq)
  JOIN visits USING (asset_id, tracker_id, first_fix_time, first_fix_seq)
 WHERE visits.revision > 1
"""


async def newest_fixes(conn: Connection) -> list[NewestFix]:
    """Return one row for each tracker that has a stored fix."""
    cursor = await conn.execute(_NEWEST_FIXES)
    return [NewestFix(*row) for row in await cursor.fetchall()]


async def newest_fixes_within(conn: Connection, spans: Sequence[TrackerSpan]) -> list[NewestFix]:
    """Return the newest fix of each span; those without a fix are not in it."""
    if not spans:
        return []
    trackers, begins_us, ends_us = zip(*spans, strict=True)
    begins, ends = (list(map(to_datetime, times_us)) for times_us in (begins_us, ends_us))
    cursor = await conn.execute(_NEWEST_FIXES_WITHIN, (list(trackers), begins, ends))
    return [NewestFix(*row) for row in await cursor.fetchall()]


async def last_places(
    conn: Connection, wanted: Sequence[tuple[UUID, int, float]]
) -> list[LastPlace]:
    """Read where trackers were before an instant each, by fixes of a stated accuracy up to that
    many metres. A tracker without such a fix is left out.
    """
    if not wanted:
        return []
    trackers, instants_us, max_accuracy_m = zip(*wanted, strict=True)
    values = {
        "trackers": list(trackers),
        "instants": [to_datetime(instant_us) for instant_us in instants_us],
        "instants_us": list(instants_us),
        "suspect": int(Flag.SUSPECT),
        "max_accuracy_m": list(max_accuracy_m),
    }
    cursor = await conn.execute(_LAST_PLACES, values)
    return [LastPlace(*row) for row in await cursor.fetchall()]


async def open_visits(conn: Connection) -> list[OpenVisit]:
    """Return all visits that have not ended."""
    cursor = await conn.execute(_OPEN_VISITS)
    return [OpenVisit(*row) for row in await cursor.fetchall()]


async def used_names(conn: Connection, first_fixes: Sequence[FirstFix]) -> list[UsedName]:
    """Return the events of amended visits that one of the fixes had opened."""
    if not first_fixes:
        return []
    assets, trackers, times_us, seqs = zip(*first_fixes, strict=True)
    times = [to_datetime(time_us) for time_us in times_us]
    cursor = await conn.execute(_USED_NAMES, (list(assets), list(trackers), times, list(seqs)))
    return [UsedName(*row) for row in await cursor.fetchall()]


async def newest_receipt(conn: Connection, since: datetime) -> datetime:
    """Return when the newest fix was received that was received at `since` or later; `since` where
    there is none.
    """
    query = "SELECT max(received_at) FROM gps_events WHERE received_at >= %s"
    return await value_of(conn, query, (since,)) or since
