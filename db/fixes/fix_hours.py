"""How many fixes each tracker has of each hour, and the box in which they lie.

Ingest keeps the hours behind its batches. Up to `end` each fix is in the row of its hour, unless
the hour is marked as changed, in the transaction that changed it. So whoever asks for what lies in
a box reads the rows, the marks and the end in one statement, and then the fixes of hours that may
have some.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import columns, rows_of, value_of
from db.fixes.areas import Area


class TrackerHour(NamedTuple):
    """The hour of a tracker that begins at `hour`."""

    org_id: UUID
    tracker_id: UUID
    hour: datetime


# Ingest -------------------------------------------------------------------------------------------


async def end(conn: Connection) -> datetime | None:
    """Return up to when fixes are in the hours; None: none is yet."""
    query = "SELECT nullif(until, '-infinity') FROM fix_hours_end"
    return await value_of(conn, query)


_OLDEST_CHUNK: LiteralString = """
SELECT min(range_start) FROM timescaledb_information.chunks
 WHERE hypertable_name = 'gps_events' AND range_end > coalesce(%s::timestamptz, '-infinity')
"""


async def next_fixes(conn: Connection, since: datetime | None) -> datetime | None:
    """Return a time up to which there are no fixes from `since` on, whose table begins there."""
    return await value_of(conn, _OLDEST_CHUNK, (since,))


_ADD: LiteralString = """
INSERT INTO fix_hours AS known (org_id, tracker_id, hour, fixes, south, west, north, east)
SELECT org_id, tracker_id, date_trunc('hour', time, 'UTC'), count(*),
       min(lat), min(lon), max(lat), max(lon)
  FROM gps_events WHERE time >= %(since)s AND time < %(until)s GROUP BY 1, 2, 3
    ON CONFLICT (org_id, tracker_id, hour) DO UPDATE
   SET fixes = known.fixes + excluded.fixes,
       south = least(known.south, excluded.south), west = least(known.west, excluded.west),
       north = greatest(known.north, excluded.north), east = greatest(known.east, excluded.east)
"""
_MOVE_END = "UPDATE fix_hours_end SET until = %(until)s"


async def add(conn: Connection, since: datetime, until: datetime) -> None:
    """Add the fixes of [since, until), and move the end there."""
    values = {"since": since, "until": until}
    await conn.execute(_ADD, values, prepare=False)  # planned for the chunks of that time
    await conn.execute(_MOVE_END, values)


async def mark(conn: Connection, changed: Sequence[TrackerHour]) -> None:
    """Mark hours that get or lose fixes in this transaction."""
    await conn.execute(
        "INSERT INTO fix_hours_changed (org_id, tracker_id, hour)"
        " SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[])",
        columns(changed),
    )


_COUNT_AGAIN: LiteralString = """
WITH counted AS MATERIALIZED (
    SELECT asked.*, seen.*
      FROM unnest(%(org_ids)s::uuid[], %(tracker_ids)s::uuid[], %(hours)s::timestamptz[])
           AS asked (org_id, tracker_id, hour)
     CROSS JOIN fix_hours_end AS ended
     CROSS JOIN LATERAL (
           SELECT count(*) AS fixes, min(lat) AS south, min(lon) AS west, max(lat) AS north,
                  max(lon) AS east
             FROM gps_events AS fix
            WHERE fix.tracker_id = asked.tracker_id AND fix.time >= asked.hour
              AND fix.time < least(asked.hour + interval '1 hour', ended.until)) AS seen
), gone AS (
    DELETE FROM fix_hours AS known USING counted
     WHERE known.org_id = counted.org_id AND known.tracker_id = counted.tracker_id
       AND known.hour = counted.hour
       AND counted.fixes = 0
)
INSERT INTO fix_hours (org_id, tracker_id, hour, fixes, south, west, north, east)
SELECT org_id, tracker_id, hour, fixes, south, west, north, east FROM counted WHERE fixes > 0
    ON CONFLICT (org_id, tracker_id, hour) DO UPDATE
   SET fixes = excluded.fixes, south = excluded.south, west = excluded.west,
       north = excluded.north, east = excluded.east
"""


class Mark(NamedTuple):
    id: int
    hour: TrackerHour


async def marks(conn: Connection, most: int) -> list[Mark]:
    """Return the oldest marks."""
    rows = await rows_of(
        conn,
        "SELECT id, org_id, tracker_id, hour FROM fix_hours_changed ORDER BY id LIMIT %s",
        (most,),
    )
    return [Mark(row[0], TrackerHour(*row[1:])) for row in rows]


async def count_again(conn: Connection, counted: Sequence[Mark]) -> None:
    """Count the fixes of marked hours again, and remove these marks: one at least. Marks that
    others make meanwhile stay.
    """
    org_ids, tracker_ids, hours = columns(sorted({mark.hour for mark in counted}))
    values = {"org_ids": org_ids, "tracker_ids": tracker_ids, "hours": hours}
    await conn.execute(_COUNT_AGAIN, values)
    ids = [mark.id for mark in counted]
    await conn.execute("DELETE FROM fix_hours_changed WHERE id = ANY (%s)", (ids,))


# API ----------------------------------------------------------------------------------------------

_OF_SPANS = sql.SQL(
    """
  FROM ({spans}) AS span CROSS JOIN fix_hours_end AS ended
  JOIN {hours} AS known ON known.tracker_id = span.tracker_id
   AND known.hour > span.since - interval '1 hour' AND known.hour < span.until
   AND known.hour > %(since)s - interval '1 hour' AND known.hour < %(until)s
"""
)
_TO_READ = sql.SQL(
    """
SELECT span.tracker_id, greatest(span.since, known.hour) AS since,
       least(span.until, known.hour + interval '1 hour', ended.until) AS until
"""
)
_BEHIND_THE_END = sql.SQL(
    """
SELECT span.tracker_id, greatest(span.since, ended.until), span.until
  FROM ({spans}) AS span, fix_hours_end AS ended WHERE span.until > ended.until
"""
)
_WHOLE = sql.SQL(
    """
(known.hour >= greatest(span.since, %(since)s)
 AND known.hour + interval '1 hour' <= least(span.until, ended.until, %(until)s) AND {inside}
 AND NOT EXISTS (SELECT FROM fix_hours_changed AS changed
                  WHERE changed.tracker_id = known.tracker_id AND changed.hour = known.hour))
"""
)


class SpanHours(NamedTuple):
    """The hours of spans (tracker_id, since, until), a SELECT, that matter for an area, or for all
    places: None. The statements need the values `since` and `until` of the whole question, and
    those of spans and area.
    """

    spans: sql.Composable
    area: Area | None

    def to_read(self, *, but_whole: bool = False) -> sql.Composable:
        """Return a SELECT of spans without hours that lie elsewhere, and without those that
        `sum_of_whole` adds up.
        """
        meets = sql.SQL("true") if self.area is None else self.area.meets()
        if but_whole:
            meets += sql.SQL(" AND NOT ") + self._whole()
        known, changed = (
            _TO_READ + _OF_SPANS.format(spans=self.spans, hours=sql.Identifier(hours))
            for hours in ("fix_hours", "fix_hours_changed")
        )
        return sql.SQL("{} WHERE {} UNION {} UNION ALL {}").format(
            known, meets, changed, _BEHIND_THE_END.format(spans=self.spans)
        )

    def sum_of_whole(self) -> sql.Composable:
        """Return a SELECT of the number of fixes in hours that need not be read, since all of their
        fixes are asked for.
        """
        of_spans = _OF_SPANS.format(spans=self.spans, hours=sql.Identifier("fix_hours"))
        start = sql.SQL("SELECT coalesce(sum(known.fixes), 0)::int8")
        return start + of_spans + sql.SQL(" WHERE ") + self._whole()

    def _whole(self) -> sql.Composable:
        inside = sql.SQL("true") if self.area is None else self.area.contains()
        return _WHOLE.format(inside=inside)
