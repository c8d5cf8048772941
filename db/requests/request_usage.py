"""The number of requests of an organization's programs, by the hour."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.tenant import act_for

Step = Literal["hour", "day"]
_LENGTHS: Mapping[Step, timedelta] = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_ADD = """
INSERT INTO request_usage AS known (org_id, hour, requests, refused)
SELECT org_id, date_trunc('hour', now()), %(requests)s, %(refused)s
  FROM organizations WHERE org_id = current_org_id()  -- if it is there still
ON CONFLICT (org_id, hour) DO UPDATE
   SET requests = known.requests + excluded.requests, refused = known.refused + excluded.refused
"""


class Count(NamedTuple):
    """The number of requests let in, and refused."""

    requests: int
    refused: int


class UsagePeriod(NamedTuple):
    """An hour, or a day in UTC."""

    start: datetime
    requests: int
    refused: int


async def add(conn: Connection, counts: Mapping[UUID, Count]) -> None:
    """Add to the hour that it is by the clock of the database."""
    async with conn.transaction():
        for org_id in sorted(counts):  # in one order, so that nobody waits in a circle
            await act_for(conn, org_id)
            await conn.execute(_ADD, counts[org_id]._asdict())


async def history(
    conn: Connection, step: Step, since: datetime, until: datetime
) -> list[UsagePeriod]:
    """Return every period of the tenant that begins in [since, until), oldest first, also empty
    ones.

    The session's time zone must be UTC, as it is on our connections.
    """
    async with conn.cursor(row_factory=args_row(UsagePeriod)) as cursor:
        await cursor.execute(
            """
            SELECT start, coalesce(sum(requests), 0)::bigint, coalesce(sum(refused), 0)::bigint
              FROM generate_series(
                       date_trunc(%(step)s, %(since)s - interval '1 microsecond') + %(length)s,
                       %(until)s - interval '1 microsecond', %(length)s) AS start
              LEFT JOIN request_usage ON hour >= start AND hour < start + %(length)s
             GROUP BY start ORDER BY start
            """,
            {"step": step, "since": since, "until": until, "length": _LENGTHS[step]},
        )
        return await cursor.fetchall()
