"""The deliveries of numbered events: made after their `seq`, in turns by organization.

How far they are made is kept for each organization in `webhook_cursors`, which moves in the
transaction that writes them; so an endpoint gets an event once, whatever is killed. It gets those
with a seq above `webhook_endpoints.event_seq`, the organization's when it became active.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from db.core import leases
from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.wakeups import Channel
from db.delivery.sequencer import LEASE

# An endpoint whose transaction holds the cursor has read the number that it begins with, and is
# not seen before it commits. So the cursor is locked before the statement that reads endpoints.
_LOCK = """
SELECT org_id FROM webhook_cursors WHERE org_id = ANY (%s) FOR NO KEY UPDATE SKIP LOCKED
"""

# The organizations of a turn have equal shares of its rows; whose share is less than one event has
# one. Those that a turn has no room for keep their places in the queue.
#
# An active endpoint gets what its patterns name: everything, all types that begin with one word, or
# one type, as long as the organization has the API. What filters compare is worked out once for an
# event, where any endpoint has filters; an endpoint costs comparisons of short arrays. OFFSET 0
# keeps the planner with the endpoints of the event's own organization: from what it knows of a
# young table it would read those of all organizations for each event.
_FAN_OUT = """
WITH asked AS (
    SELECT c.org_id, c.seq AS done, o.event_seq, place, c.org_id = ANY (%(locked)s) AS is_locked,
           own.endpoints, own.have_filters
      FROM unnest(%(org_ids)s::uuid[]) WITH ORDINALITY AS wanted (org_id, place)
      JOIN webhook_cursors AS c USING (org_id)
      JOIN organizations AS o USING (org_id)
     CROSS JOIN LATERAL (
        SELECT count(*) AS endpoints,
               bool_or(NOT (asset_ids = '{}' AND zone_ids = '{}' AND client_ids = '{}'
                            AND tags = '{}')) AS have_filters
          FROM webhook_endpoints AS p
         WHERE p.org_id = c.org_id AND p.deleted_at IS NULL AND p.state = 'active'
           AND o.api_access) AS own
     WHERE c.seq < o.event_seq
), share AS (
    SELECT *, CASE WHEN endpoints = 0 THEN event_seq - done ELSE
                   least(event_seq - done, greatest(1, %(rows)s / count(*) OVER () / endpoints))
              END AS events
      FROM asked WHERE is_locked
), piece AS MATERIALIZED (
    SELECT org_id, done, done + events AS until, event_seq, events, endpoints, have_filters
      FROM (SELECT *, sum(events * endpoints) OVER (ORDER BY place) - events * endpoints AS before
              FROM share) AS placed
     WHERE before < %(rows)s
), moved AS (
    UPDATE webhook_cursors AS c SET seq = piece.until FROM piece WHERE c.org_id = piece.org_id
), offered AS MATERIALIZED (
    SELECT piece.org_id, e.id, e.seq, e.type, has.asset_ids, has.zone_ids, has.client_ids, has.tags
      FROM piece
     CROSS JOIN LATERAL (
        SELECT id, seq, type, data, for_webhooks FROM events
         WHERE org_id = piece.org_id AND seq > piece.done AND seq <= piece.until
         ORDER BY seq LIMIT piece.events) AS e
     CROSS JOIN LATERAL webhook_filter_values(
        CASE WHEN piece.have_filters THEN piece.org_id END, e.data) AS has
     WHERE piece.endpoints > 0 AND e.for_webhooks
), queued AS (
    INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq, is_ordered)
    SELECT o.org_id, wanting.id, o.id, o.seq, wanting.is_ordered
      FROM offered AS o
     CROSS JOIN LATERAL (
        SELECT p.id, p.is_ordered FROM webhook_endpoints AS p
         WHERE p.org_id = o.org_id
           AND p.deleted_at IS NULL AND p.state = 'active' AND o.seq > p.event_seq
           AND p.types && ARRAY['*', split_part(o.type, '.', 1) || '.*', o.type]
           AND (p.asset_ids = '{}' OR p.asset_ids && o.asset_ids)
           AND (p.zone_ids = '{}' OR p.zone_ids && o.zone_ids)
           AND (p.client_ids = '{}' OR p.client_ids && o.client_ids)
           AND (p.tags = '{}' OR p.tags && o.tags)
        OFFSET 0) AS wanting
    RETURNING 1
)
SELECT (SELECT count(*) FROM queued),
       ARRAY(SELECT org_id FROM asked LEFT JOIN piece USING (org_id)
              WHERE piece.org_id IS NULL ORDER BY place),
       ARRAY(SELECT org_id FROM piece WHERE until < event_seq)
"""

_BEHIND = """
SELECT c.org_id FROM webhook_cursors AS c JOIN organizations AS o USING (org_id)
 WHERE c.seq < o.event_seq
"""


class FannedOut(NamedTuple):
    """The work of one turn. waiting: the organizations that had no room in it, or are locked, in
    their order. behind: those that had their share and have more.
    """

    deliveries: int
    waiting: Sequence[UUID]
    behind: Sequence[UUID]


async def behind(conn: Connection) -> list[UUID]:
    """Return the organizations that have events whose deliveries are not made."""
    cursor = await conn.execute(_BEHIND)
    return [org_id for (org_id,) in await cursor.fetchall()]


async def fan_out(
    conn: Connection, epoch: int, org_ids: Collection[UUID], *, rows: int
) -> FannedOut:
    """Make deliveries of the organizations in one transaction: about `rows`, at least one event's.

    Raises LeaseLost. An organization that is in neither list of the answer has nothing left.
    """
    async with conn.transaction():
        await leases.check(conn, LEASE, epoch)
        cursor = await conn.execute(_LOCK, (list(org_ids),))
        values = {
            "org_ids": list(org_ids),
            "locked": [org_id for (org_id,) in await cursor.fetchall()],
            "rows": rows,
        }
        # Planned each time: a plan kept from when the table was small would read it all later.
        cursor = await conn.execute(_FAN_OUT, values, prepare=False)
        done = FannedOut(*await fetch_one(cursor))
    if done.deliveries:
        conn.note(Channel.DELIVERIES)
    return done
