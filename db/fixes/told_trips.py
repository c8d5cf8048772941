"""Trips and stops as they were told last, of the tenant (`geofence.trips.telling`)."""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import columns, value_of


class ToldTrip(NamedTuple):
    """One row. ended_at: None while it goes on. lat, lon: the middle of a stop, degrees."""

    id: UUID
    is_stop: bool
    revision: int
    started_at: datetime
    ended_at: datetime | None
    is_retracted: bool
    lat: float | None = None
    lon: float | None = None


# What was told before the events were switched off and on again is told anew.
_OVERLAPPING: LiteralString = """
SELECT id, is_stop, revision, started_at, ended_at, is_retracted OR told_at < %(told_since)s,
       lat, lon
  FROM told_trips
 WHERE id = ANY (%(ids)s)
    OR asset_id = %(asset_id)s AND NOT is_retracted AND started_at < %(until)s
   AND coalesce(ended_at, 'infinity') > %(since)s
"""
_STOP_BEFORE: LiteralString = """
SELECT (SELECT started_at FROM told_trips
         WHERE asset_id = %(asset_id)s AND coalesce(ended_at, 'infinity') < %(before)s AND is_stop
           AND NOT is_retracted AND told_at >= %(told_since)s
         ORDER BY coalesce(ended_at, 'infinity') DESC LIMIT 1)
"""
_WRITE: LiteralString = """
INSERT INTO told_trips AS known
       (org_id, asset_id, id, is_stop, revision, started_at, ended_at, is_retracted, lat, lon)
SELECT %s, %s, * FROM unnest(%s::uuid[], %s::bool[], %s::int[], %s::timestamptz[],
                             %s::timestamptz[], %s::bool[], %s::float8[], %s::float8[])
    ON CONFLICT (org_id, id) DO UPDATE
   SET revision = excluded.revision, started_at = excluded.started_at,
       ended_at = excluded.ended_at, is_retracted = excluded.is_retracted, lat = excluded.lat,
       lon = excluded.lon, rests_since = NULL, rests_until = NULL, told_at = now()
"""


async def stop_before(
    conn: Connection, asset_id: UUID, before: datetime, told_since: datetime
) -> datetime | None:
    """Return the beginning of the last stop that ended before then, if one was told."""
    values = {"asset_id": asset_id, "before": before, "told_since": told_since}
    return await value_of(conn, _STOP_BEFORE, values)


async def overlapping(
    conn: Connection,
    asset_id: UUID,
    ids: Sequence[UUID],
    since: datetime,
    until: datetime | None,
    told_since: datetime,
) -> list[ToldTrip]:
    """Return those that share time with (since, until), and those with these ids."""
    async with conn.cursor(row_factory=args_row(ToldTrip)) as cursor:
        await cursor.execute(
            _OVERLAPPING,
            {
                "asset_id": asset_id,
                "ids": list(ids),
                "since": since,
                "until": until or "infinity",
                "told_since": told_since,
            },
        )
        return await cursor.fetchall()


async def rest(
    conn: Connection, asset_id: UUID, started_at: datetime, since: datetime, until: datetime
) -> None:
    """Note that fixes between these times change nothing of the trip that goes on."""
    await conn.execute(
        """
        UPDATE told_trips SET rests_since = %s, rests_until = %s
         WHERE asset_id = %s AND NOT is_retracted AND coalesce(ended_at, 'infinity') = 'infinity'
           AND NOT is_stop AND started_at = %s
        """,
        (since, until, asset_id, started_at),
    )


async def write(conn: Connection, org_id: UUID, asset_id: UUID, rows: Sequence[ToldTrip]) -> None:
    """Write the rows, each of which has an id of its own."""
    if rows:
        await conn.execute(_WRITE, (org_id, asset_id, *columns(rows)))
