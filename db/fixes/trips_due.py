"""Assets whose trips are to be worked out again, since fixes of theirs came, as opsc_deliver.

Each transaction of ingest has a `received_at` of its own, later than those of all before it. So
whoever has looked up to one has missed nothing, however late a fix came. What was looked at and how
far is written in one transaction. Fixes that cannot change what was told are left out: those at a
stop that goes on, and those of a trip that goes on (`geofence.trips.telling.rests_until_us`).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core import leases
from db.core.connect import Connection
from db.core.fetch import fetch_one, rows_of
from db.history.failing_work import WorkKind, not_waiting

LEASE = "trips"
KIND: WorkKind = "trips"
"""The rows of this work are days of assets (`TripsDue.key`)."""
_FIRST_STRETCH = timedelta(minutes=10)
_MORE = 8


class TripsDue(NamedTuple):
    """The fixes of an asset's day of which some in [since, until] are new. flags: the bits that all
    of these have; None: none is new.
    """

    org_id: UUID
    asset_id: UUID
    day: date
    since: datetime
    until: datetime
    due_at: datetime
    flags: int | None

    @property
    def key(self) -> str:
        """The name of the row among failing ones."""
        return f"{self.asset_id}/{self.day.isoformat()}"


# What stays within half of a stop's radius has not left it, whatever else is known.
_COLLECT: LiteralString = """
WITH seen AS MATERIALIZED (
    SELECT org_id, tracker_id, (time AT TIME ZONE 'UTC')::date AS day, min(time) AS since,
           max(time) AS until, bit_and(flags) AS flags, max(received_at) AS received_at,
           min(lat) AS south, max(lat) AS north, min(lon) AS west, max(lon) AS east
      FROM gps_events WHERE received_at > %(after)s AND received_at <= %(until)s
     GROUP BY 1, 2, 3
), moved AS (
    UPDATE trips_seen SET received_at = (SELECT max(received_at) FROM seen)
     WHERE EXISTS (SELECT FROM seen)
), due AS (
    INSERT INTO trips_due AS known (org_id, asset_id, day, since, until, due_at, flags)
    SELECT held.org_id, held.asset_id, seen.day,
           min(greatest(seen.since, held.assigned_from)),
           max(least(seen.until, held.assigned_to)),
           least(min(seen.received_at), clock_timestamp()) + make_interval(secs => %(gather_s)s),
           bit_and(seen.flags)
      FROM seen JOIN organizations AS o
        ON o.org_id = seen.org_id AND o.trip_events_since < seen.received_at
      JOIN tracker_assignments AS held
        ON held.org_id = seen.org_id AND held.tracker_id = seen.tracker_id
       AND held.asset_id IS NOT NULL AND held.assigned_from <= seen.until
       AND (held.assigned_to IS NULL OR held.assigned_to > seen.since)
      LEFT JOIN LATERAL (
           SELECT * FROM told_trips AS told
            WHERE told.org_id = held.org_id AND told.asset_id = held.asset_id
              AND told.told_at >= o.trip_events_since AND NOT told.is_retracted
            ORDER BY coalesce(told.ended_at, 'infinity') DESC LIMIT 1) AS last
        ON last.ended_at IS NULL
     WHERE NOT coalesce(
           seen.since > last.rests_since AND seen.until < last.rests_until
           OR seen.since > last.started_at + make_interval(secs => %(stop_after_s)s)
           AND 111195 * greatest(
               abs(seen.north - last.lat), abs(seen.south - last.lat),
               abs(seen.east - last.lon) * cos(radians(last.lat)),
               abs(seen.west - last.lon) * cos(radians(last.lat))) < %(stays_m)s, false)
     GROUP BY 1, 2, 3
        ON CONFLICT (org_id, asset_id, day) DO UPDATE
       SET since = least(known.since, excluded.since),
           until = greatest(known.until, excluded.until),
           due_at = least(known.due_at, excluded.due_at),
           flags = coalesce(known.flags & excluded.flags, excluded.flags)
    RETURNING 1
)
SELECT (SELECT count(*) FROM seen), (SELECT count(*) FROM due)
"""


class Stay(NamedTuple):
    """Who stays for more than `after_s` within `within_m` of a stop's middle is not looked at."""

    after_s: float
    within_m: float


async def is_wanted(conn: Connection) -> bool:
    """Return whether any organization wants the events."""
    query = "SELECT FROM organizations WHERE trip_events_since IS NOT NULL LIMIT 1"
    return (await conn.execute(query)).rowcount == 1


async def collect(conn: Connection, epoch: int, gather_s: float, stay: Stay) -> bool:
    """Note the assets of fixes that came since the last time, a stretch of time at once; whether
    more may have come since. They are due `gather_s` after the receipt of their first fix, or from
    now on, where the clock of ingest was ahead.

    Raises LeaseLost.
    """
    async with conn.transaction():
        await leases.check(conn, LEASE, epoch)
        cursor = await conn.execute(
            """
            SELECT greatest((SELECT received_at FROM trips_seen),
                            coalesce(min(trip_events_since), clock_timestamp())),
                   clock_timestamp()
              FROM organizations
            """
        )
        after, now = await fetch_one(cursor)
        length = _FIRST_STRETCH
        while True:
            values = {
                "after": after,
                "until": after + length if now - after > length else "infinity",
                "gather_s": gather_s,
                "stop_after_s": stay.after_s,
                "stays_m": stay.within_m,
            }
            cursor = await conn.execute(_COLLECT, values, prepare=False)
            seen, _ = await fetch_one(cursor)
            is_all = now - after <= length
            if seen or is_all:
                return not is_all
            length *= _MORE


_NOT_WAITING = not_waiting(
    KIND, "trips_due.asset_id || '/' || to_char(trips_due.day, 'YYYY-MM-DD')"
)
_DUE = f"""
SELECT o.org_id, mine.asset_id, mine.day, mine.since, mine.until, mine.due_at, mine.flags
  FROM organizations AS o
 CROSS JOIN LATERAL (
       SELECT *, row_number() OVER (ORDER BY due_at) AS turn FROM (
              SELECT * FROM trips_due
               WHERE org_id = o.org_id AND due_at <= now()
                 AND {_NOT_WAITING}
               ORDER BY due_at LIMIT %(of_each)s) AS first) AS mine
 WHERE o.trip_events_since IS NOT NULL
 ORDER BY mine.turn, mine.due_at LIMIT %(limit)s
"""  # noqa: S608  # constants


async def due(conn: Connection, of_each: int, limit: int) -> Sequence[TripsDue]:
    """Return what is due now: at most `of_each` rows of an organization, which take turns."""
    async with conn.cursor(row_factory=args_row(TripsDue)) as cursor:
        await cursor.execute(_DUE, {"of_each": of_each, "limit": limit})
        return await cursor.fetchall()


async def oldest_due_s(conn: Connection) -> float:
    """Return since when a row has been due; 0: none is."""
    query = f"""
    SELECT greatest(extract(epoch FROM now() - min(mine.due_at)), 0)::float8
      FROM organizations AS o CROSS JOIN LATERAL (
           SELECT due_at FROM trips_due WHERE org_id = o.org_id AND {_NOT_WAITING}
            ORDER BY due_at LIMIT 1) AS mine
     WHERE o.trip_events_since IS NOT NULL
    """  # noqa: S608  # constants
    ((age_s,),) = await rows_of(conn, query)
    return age_s or 0.0


# As opsc_app, for a tenant ------------------------------------------------------------------------


async def done(conn: Connection, row: TripsDue) -> None:
    """Remove the row. Nobody but who leads adds to it."""
    await conn.execute(
        "DELETE FROM trips_due WHERE asset_id = %s AND day = %s", (row.asset_id, row.day)
    )


async def postpone(conn: Connection, row: TripsDue, seconds: float) -> None:
    """Look at the row again later."""
    await conn.execute(
        "UPDATE trips_due SET due_at = now() + make_interval(secs => %s)"
        " WHERE asset_id = %s AND day = %s",
        (seconds, row.asset_id, row.day),
    )


async def look_again(conn: Connection, row: TripsDue, last: datetime, at: datetime) -> None:
    """Look at an asset whose last fix is this, although no other may come until then."""
    await conn.execute(
        """
        INSERT INTO trips_due AS known (org_id, asset_id, day, since, until, due_at)
        VALUES (%(org_id)s, %(asset_id)s, (%(last)s AT TIME ZONE 'UTC')::date, %(last)s, %(last)s,
                %(at)s)
            ON CONFLICT (org_id, asset_id, day) DO UPDATE
           SET until = greatest(known.until, excluded.until),
               due_at = least(known.due_at, excluded.due_at)
        """,
        {"org_id": row.org_id, "asset_id": row.asset_id, "last": last, "at": at},
    )
