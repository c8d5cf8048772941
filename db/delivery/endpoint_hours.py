"""Statistics of webhook endpoints by the hour: attempts, those accepted, and how long answers took.

The delivering processes count in memory and add what they counted now and then. Durations are
counted by classes, so that any number of attempts costs one row an hour; a percentile is
interpolated within its class, which makes it exact to an eighth.
"""

from bisect import bisect_left
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection

# The upper bounds of the classes: ten a decade, from 1 ms to 63 s; the last class has none.
DURATIONS_MS = tuple(10 ** (step / 10) for step in range(48))
CLASSES = len(DURATIONS_MS) + 1


class EndpointHour(NamedTuple):
    """The attempts of one endpoint that began in one hour. durations: numbers by class."""

    hour: datetime
    attempts: int
    accepted: int
    durations: Sequence[int]


class CountedHour(NamedTuple):
    """The attempts to add to one hour of one endpoint."""

    org_id: UUID
    endpoint_id: UUID
    hour: datetime
    attempts: int
    accepted: int
    durations: Sequence[int]


def duration_class(duration_ms: float) -> int:
    return bisect_left(DURATIONS_MS, duration_ms)


def percentile_ms(durations: Sequence[int], share: float) -> float | None:
    """Return the duration below which `share` of the answers lie; None without any answer."""
    rank, below = share * sum(durations), 0
    for place, number in enumerate(durations):
        if number and below + number >= rank:
            low = DURATIONS_MS[place - 1] if place else 0.0
            high = DURATIONS_MS[min(place, CLASSES - 2)]
            return low + (max(high, low) - low) * (rank - below) / number
        below += number
    return None


async def add(conn: Connection, counted: Sequence[CountedHour]) -> None:
    """Add what was counted, as opsc_deliver. Organizations that were deleted are left out."""
    if not counted:
        return
    org_ids, endpoint_ids, hours, attempts, accepted, durations = zip(
        *sorted(counted, key=lambda attempts: attempts[:3]), strict=True
    )
    await conn.execute(
        """
        INSERT INTO webhook_endpoint_hours AS known
               (org_id, endpoint_id, hour, attempts, accepted, durations)
        SELECT org_id, endpoint_id, hour, new.attempts, new.accepted, new.durations::bigint[]
          FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[], %s::bigint[], %s::bigint[],
                      %s::text[])
               AS new (org_id, endpoint_id, hour, attempts, accepted, durations)
          JOIN organizations USING (org_id)
         ORDER BY org_id, endpoint_id, hour
            ON CONFLICT (org_id, endpoint_id, hour) DO UPDATE
           SET attempts = known.attempts + excluded.attempts,
               accepted = known.accepted + excluded.accepted,
               durations = (SELECT array_agg(one + other ORDER BY place)
                              FROM unnest(known.durations, excluded.durations)
                                   WITH ORDINALITY AS both_of (one, other, place))
        """,
        (
            list(org_ids),
            list(endpoint_ids),
            list(hours),
            list(attempts),
            list(accepted),
            ["{" + ",".join(map(str, numbers)) + "}" for numbers in durations],
        ),
    )


async def between(
    conn: Connection, endpoint_id: UUID, since: datetime, until: datetime
) -> list[EndpointHour]:
    """Return the tenant's hours of an endpoint that begin in [since, until), the oldest first."""
    async with conn.cursor(row_factory=args_row(EndpointHour)) as cursor:
        await cursor.execute(
            """
            SELECT hour, attempts, accepted, durations FROM webhook_endpoint_hours
             WHERE endpoint_id = %s AND hour >= %s AND hour < %s ORDER BY hour
            """,
            (endpoint_id, since, until),
        )
        return await cursor.fetchall()
