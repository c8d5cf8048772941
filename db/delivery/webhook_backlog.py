"""The work that waits for the delivering processes, for the metrics."""

from typing import NamedTuple

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one

# A few probes of an index for each endpoint, and one look at as many pending rows as are counted.
# What waits for a disabled endpoint, or for the plan, does not count.
_BACKLOG = """
WITH unnumbered AS (
    SELECT created_at FROM events
     WHERE seq IS NULL AND NOT is_test LIMIT %(limit)s
), endpoint AS (
    SELECT p.org_id, p.id
      FROM webhook_endpoints AS p
      JOIN organizations AS o USING (org_id)
     WHERE p.deleted_at IS NULL AND p.state = 'active' AND o.api_access
), queue AS (
    SELECT count(*) AS deliveries
      FROM (SELECT endpoint.id
              FROM endpoint
             CROSS JOIN LATERAL (
                SELECT FROM webhook_deliveries AS d
                 WHERE d.org_id = endpoint.org_id AND d.endpoint_id = endpoint.id
                   AND d.state = 'pending' LIMIT %(limit)s) AS d
             LIMIT %(limit)s) AS d
     GROUP BY d.id
), due AS (
    SELECT least(
        (SELECT d.next_attempt_at FROM webhook_deliveries AS d
          WHERE d.org_id = endpoint.org_id AND d.endpoint_id = endpoint.id AND d.state = 'pending'
            AND NOT d.is_ordered
          ORDER BY d.next_attempt_at LIMIT 1),
        (SELECT d.next_attempt_at FROM webhook_deliveries AS d
          WHERE d.org_id = endpoint.org_id AND d.endpoint_id = endpoint.id AND d.state = 'pending'
            AND d.is_ordered
          ORDER BY d.next_attempt_at LIMIT 1)) AS next_attempt_at
      FROM endpoint
)
SELECT (SELECT count(*) FROM unnumbered),
       (SELECT coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8 FROM unnumbered),
       (SELECT count(*) FROM webhook_cursors AS c JOIN organizations AS o USING (org_id)
         WHERE c.seq < o.event_seq),
       (SELECT coalesce(sum(deliveries), 0)::bigint FROM queue),
       (SELECT count(*) FROM queue),
       (SELECT coalesce(max(deliveries), 0) FROM queue),
       (SELECT greatest(0, coalesce(extract(epoch FROM now() - min(next_attempt_at)), 0))::float8
          FROM due)
"""


class DeliveryBacklog(NamedTuple):
    """The rows that wait for active endpoints; counts of rows stop at the limit that was asked for.

    organizations_behind: those with numbered events whose deliveries are not made yet.
    queues: endpoints for which deliveries wait. longest_queue: the deliveries of the endpoint that
    has most. oldest_due_s: since when a delivery has been due that is not accepted yet.
    """

    events_without_seq: int
    oldest_without_seq_s: float
    organizations_behind: int
    pending: int
    queues: int
    longest_queue: int
    oldest_due_s: float


async def read(conn: Connection, *, limit: int) -> DeliveryBacklog:
    """Count what waits, up to `limit` each."""
    async with conn.cursor(row_factory=args_row(DeliveryBacklog)) as cursor:
        await cursor.execute(_BACKLOG, {"limit": limit}, prepare=False)
        return await fetch_one(cursor)
