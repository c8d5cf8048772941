"""What machines sent around an area: the hours in which they met it, and for each of these some
before and behind, so that it is seen how they came and went.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from db.core.connect import Connection
from db.fixes.areas import Area

PAST_DTYPE = np.dtype(
    [
        ("asset_id", "V16"),
        ("tracker_id", "V16"),
        ("time", ">i8"),  # microseconds since 2000
        ("seq", ">i4"),
        ("lat", ">f8"),
        ("lon", ">f8"),
        ("accuracy_m", ">f4"),  # NaN: not known
        ("speed_mps", ">f4"),
    ]
)
_PAST = sql.SQL(
    """
WITH span AS (
    SELECT a.asset_id, a.tracker_id, greatest(a.assigned_from, %(since)s) AS since,
           least(a.assigned_to, %(until)s) AS until
      FROM tracker_assignments AS a
     WHERE a.asset_id IS NOT NULL AND a.assigned_from < %(until)s
       AND (a.assigned_to IS NULL OR a.assigned_to > %(since)s) {of_assets}
), known AS (
    SELECT tracker_id, hour, {meets} AS meets FROM fix_hours AS known
     WHERE hour > %(since)s - interval '1 hour' AND hour < %(until)s
    UNION ALL
    SELECT tracker_id, hour, true FROM fix_hours_changed
     WHERE hour > %(since)s - interval '1 hour' AND hour < %(until)s
), hours AS (
    SELECT span.*, known.hour, bool_or(known.meets) OVER by_time AS is_near
      FROM span JOIN (SELECT tracker_id, hour, bool_or(meets) AS meets
                        FROM known GROUP BY tracker_id, hour) AS known
        ON known.tracker_id = span.tracker_id AND known.hour > span.since - interval '1 hour'
       AND known.hour < span.until
    WINDOW by_time AS (PARTITION BY span.asset_id ORDER BY known.hour, span.since
                       ROWS BETWEEN {hours} PRECEDING AND {hours} FOLLOWING)
), looked_at AS (
    SELECT asset_id, tracker_id, greatest(since, hour) AS since,
           least(hours.until, hour + interval '1 hour', ended.until) AS until
      FROM hours CROSS JOIN fix_hours_end AS ended WHERE is_near
    UNION ALL
    SELECT asset_id, tracker_id, greatest(since, ended.until), span.until
      FROM span, fix_hours_end AS ended WHERE span.until > ended.until
)
SELECT string_agg(uuid_send(fix.asset_id) || uuid_send(fix.tracker_id)
                  || timestamptz_send(fix.time) || int4send(fix.seq) || float8send(fix.lat)
                  || float8send(fix.lon) || float4send(coalesce(fix.accuracy_m, 'NaN'))
                  || float4send(coalesce(fix.speed_mps, 'NaN')), '')
  FROM (SELECT looked_at.asset_id, g.*
          FROM looked_at CROSS JOIN LATERAL (
               SELECT * FROM gps_events AS g
                WHERE g.tracker_id = looked_at.tracker_id AND g.time >= looked_at.since
                  AND g.time < looked_at.until
                  AND g.time >= %(since)s AND g.time < %(until)s  -- as a constant, for the chunks
                ORDER BY g.time, g.seq LIMIT %(most)s) AS g
         ORDER BY looked_at.asset_id, g.time, g.seq LIMIT %(most)s) AS fix
"""
)


class PastSpan(NamedTuple):
    """The times in [since, until)."""

    since: datetime
    until: datetime


async def around(
    conn: Connection,
    area: Area,
    span: PastSpan,
    asset_ids: Sequence[UUID],
    hours: int,
    most: int,
) -> NDArray[np.void]:
    """Return the fixes of assets, or of all where none are named, by asset and time: PAST_DTYPE,
    (n,); the first `most`. hours: with fixes, that are read before and behind each that meets the
    area.
    """
    of_assets = sql.SQL("AND a.asset_id = ANY (%(assets)s)" if asset_ids else "")
    statement = _PAST.format(meets=area.meets(), of_assets=of_assets, hours=sql.Literal(hours))
    values = area.holds().values | span._asdict() | {"assets": list(asset_ids), "most": most}
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(statement, values)
        row = await cursor.fetchone()
    return np.frombuffer(row[0] or b"" if row else b"", PAST_DTYPE)
