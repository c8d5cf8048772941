"""The evidence of stored fixes about a clock: whether a tracker was sending at a time
of its own.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from db.core.connect import Connection
from telemetry.times import to_datetime

_DAY = timedelta(days=1)


async def preceded(conn: Connection, fixes: Sequence[tuple[UUID, int]]) -> list[bool]:
    """Return, for each tracker and time (microseconds since 1970), whether a fix of the tracker is
    stored that lies in the day before the time, or at it.
    """
    trackers, instants_us = zip(*fixes, strict=True)
    instants = [to_datetime(instant_us) for instant_us in instants_us]
    cursor = await conn.execute(
        """
        SELECT EXISTS (
               SELECT FROM gps_events
                WHERE tracker_id = asked.tracker_id
                  AND time BETWEEN asked.time - %(day)s AND asked.time
                  AND time BETWEEN %(first)s AND %(last)s)  -- spares looking into other chunks
          FROM unnest(%(trackers)s::uuid[], %(instants)s::timestamptz[])
               WITH ORDINALITY AS asked (tracker_id, time, place)
         ORDER BY place
        """,
        {
            "day": _DAY,
            "first": min(instants) - _DAY,
            "last": max(instants),
            "trackers": list(trackers),
            "instants": instants,
        },
    )
    return [found for (found,) in await cursor.fetchall()]
