"""When a machine was around an area: by the hours of fixes in the database, and by the days of
those in the archive.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import rows_of
from db.fixes.areas import Area
from db.fixes.zone_pasts import PastSpan

_JOINED = timedelta(hours=6)  # read with what is around it: each time is a question of its own
_TIMES = sql.SQL(
    """
WITH held AS (
    SELECT tracker_id, greatest(assigned_from, %(since)s) AS since,
           least(assigned_to, %(until)s) AS until
      FROM tracker_assignments
     WHERE asset_id = %(asset)s AND assigned_from < %(until)s
       AND (assigned_to IS NULL OR assigned_to > %(since)s)
), known AS (
    SELECT tracker_id, hour AS since, hour + interval '1 hour' AS until, bool_or(meets) AS meets
      FROM (SELECT tracker_id, hour, {meets} AS meets FROM fix_hours AS known
             WHERE tracker_id IN (SELECT tracker_id FROM held)
            UNION ALL
            SELECT tracker_id, hour, true FROM fix_hours_changed
             WHERE tracker_id IN (SELECT tracker_id FROM held)) AS hours
     WHERE hour > %(since)s - interval '1 hour' AND hour < %(until)s
     GROUP BY tracker_id, hour
    UNION ALL
    SELECT tracker_id, (day::timestamp) AT TIME ZONE 'UTC',
           (day::timestamp) AT TIME ZONE 'UTC' + interval '1 day', {meets}
      FROM archived_trackers AS known
     WHERE tracker_id IN (SELECT tracker_id FROM held)
       AND day >= (%(since)s AT TIME ZONE 'UTC')::date
       AND day <= (%(until)s AT TIME ZONE 'UTC')::date
    UNION ALL
    SELECT tracker_id, ended.until, 'infinity', true FROM held, fix_hours_end AS ended
), times AS (
    SELECT greatest(known.since, held.since) AS since, least(known.until, held.until) AS until,
           bool_or(known.meets) OVER by_time AS is_near
      FROM held JOIN known ON known.tracker_id = held.tracker_id
       AND known.since < held.until AND known.until > held.since
    WINDOW by_time AS (ORDER BY known.since, held.since
                       ROWS BETWEEN {hours} PRECEDING AND {hours} FOLLOWING)
)
SELECT since, until FROM times WHERE is_near ORDER BY since
"""
)
_ASSETS = """
SELECT DISTINCT held.asset_id, asset.asset_class
  FROM tracker_assignments AS held JOIN assets AS asset
    ON asset.org_id = held.org_id AND asset.id = held.asset_id
 WHERE held.assigned_from < %(until)s AND (held.assigned_to IS NULL OR held.assigned_to > %(since)s)
   AND (%(all)s OR held.asset_id = ANY (%(assets)s))
 ORDER BY held.asset_id
"""


async def around(
    conn: Connection, area: Area, span: PastSpan, asset_id: UUID, hours: int
) -> list[PastSpan]:
    """Return the times in which the machine was around the area, in order, apart from each other.

    hours: with fixes, that belong to it before and behind each that meets the area.
    """
    statement = _TIMES.format(meets=area.meets(), hours=sql.Literal(hours))
    values = area.holds().values | span._asdict() | {"asset": asset_id}
    return joined([PastSpan(*row) for row in await rows_of(conn, statement, values)])


def joined(times: Sequence[PastSpan]) -> list[PastSpan]:
    """Return times, in order of their beginnings, without those that follow one another."""
    found: list[PastSpan] = []
    for since, until in times:
        if found and since - found[-1].until < _JOINED:
            found[-1] = PastSpan(found[-1].since, max(found[-1].until, until))
        else:
            found.append(PastSpan(since, until))
    return found


async def assets_of(
    conn: Connection, span: PastSpan, asset_ids: Sequence[UUID]
) -> list[tuple[UUID, str]]:
    """Return the machines that had a tracker then, of those that are named, or of all where none
    are, with their classes; in order.
    """
    values = span._asdict() | {"all": not asset_ids, "assets": list(asset_ids)}
    return [(row[0], row[1]) for row in await rows_of(conn, _ASSETS, values)]
