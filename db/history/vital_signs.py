"""Figures that show an operator at a glance whether the system works."""

from typing import NamedTuple

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one


class VitalSigns(NamedTuple):
    """fixes_last_minute: stored ones that have a time of the last minute. work_waiting,
    work_set_aside: rows of background work that failed (`db.history.failing_work`).
    """

    postgres: str
    timescaledb: str
    fixes_last_minute: int
    work_waiting: int = 0
    work_set_aside: int = 0


async def read(conn: Connection) -> VitalSigns:
    """Return the figures of all organizations, as opsc_ingest or a superuser."""
    async with conn.cursor(row_factory=args_row(VitalSigns)) as cursor:
        await cursor.execute(
            """
            SELECT current_setting('server_version'),
                   (SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'),
                   (SELECT count(*) FROM gps_events
                     WHERE time > now() - interval '1 minute' AND time <= now()),
                   (SELECT count(*) FROM failing_work
                     WHERE retry_at > now() AND retry_at < 'infinity'),
                   (SELECT count(*) FROM failing_work WHERE retry_at = 'infinity')
            """
        )
        return await fetch_one(cursor)
