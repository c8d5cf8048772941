"""The sequence of committed events: `events.seq`, and the deliveries that follow from it.

What an event is about (`event_subjects`) is written with its seq, for the filters of lists.

`events.position` is drawn before an event's transaction commits, so a reader that goes on from a
position misses what commits late. `seq` is given afterwards, by one leader at a time (the lease
"sequencer"), to what is visible: without gaps per organization, in the order of `position`. Events
that a transaction inserts together follow each other, in the place of the first.
"""

from typing import NamedTuple

from db.core import leases
from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.wakeups import Channel

LEASE = "sequencer"

# An active endpoint gets what its patterns name: everything, all types that begin with one word, or
# one type, as long as the organization has the API. What filters compare is worked out once for an
# event, where any endpoint has filters; an endpoint costs comparisons of short arrays.
_SEQUENCE = """
WITH waiting AS (
    SELECT org_id, id, type, data, position, xmin::text AS committed_by FROM events
     WHERE seq IS NULL AND NOT is_test ORDER BY position LIMIT %(limit)s
), placed AS (
    SELECT org_id, id, type, data, position,
           min(position) OVER (PARTITION BY org_id, committed_by) AS first_position
      FROM waiting
), counted AS (
    SELECT org_id, count(*) AS events FROM waiting GROUP BY org_id
), raised AS (
    UPDATE organizations AS o SET event_seq = o.event_seq + c.events
      FROM counted AS c WHERE o.org_id = c.org_id
    RETURNING o.org_id, o.event_seq - c.events AS last_seq, o.api_access
), numbered AS (
    SELECT w.org_id, w.id, w.type, w.data, r.api_access,
           r.last_seq + row_number() OVER (
               PARTITION BY w.org_id ORDER BY w.first_position, w.position) AS seq
      FROM placed AS w JOIN raised AS r USING (org_id)
), stamped AS (
    UPDATE events AS e SET seq = n.seq
      FROM numbered AS n WHERE e.org_id = n.org_id AND e.id = n.id
    RETURNING 1
), named AS (
    INSERT INTO event_subjects (org_id, subject, seq)
    SELECT n.org_id, s.subject, n.seq
      FROM numbered AS n CROSS JOIN LATERAL subjects_of_event(n.data) AS s (subject)
), filtering AS (
    SELECT DISTINCT p.org_id FROM webhook_endpoints AS p JOIN counted USING (org_id)
     WHERE p.deleted_at IS NULL AND p.state = 'active'
       AND NOT (p.asset_ids = '{}' AND p.zone_ids = '{}' AND p.client_ids = '{}' AND p.tags = '{}')
), offered AS MATERIALIZED (
    SELECT n.org_id, n.id, n.seq, n.type, has.asset_ids, has.zone_ids, has.client_ids, has.tags
      FROM numbered AS n
      LEFT JOIN filtering USING (org_id)
     CROSS JOIN LATERAL webhook_filter_values(filtering.org_id, n.data) AS has
     WHERE n.api_access
), queued AS (
    INSERT INTO webhook_deliveries (org_id, endpoint_id, event_id, seq, is_ordered)
    SELECT o.org_id, p.id, o.id, o.seq, p.is_ordered
      FROM offered AS o JOIN webhook_endpoints AS p USING (org_id)
     WHERE p.deleted_at IS NULL AND p.state = 'active'
       AND p.types && ARRAY['*', split_part(o.type, '.', 1) || '.*', o.type]
       AND (p.asset_ids = '{}' OR p.asset_ids && o.asset_ids)
       AND (p.zone_ids = '{}' OR p.zone_ids && o.zone_ids)
       AND (p.client_ids = '{}' OR p.client_ids && o.client_ids)
       AND (p.tags = '{}' OR p.tags && o.tags)
    RETURNING 1
)
SELECT (SELECT count(*) FROM stamped), (SELECT count(*) FROM queued),
       ARRAY(SELECT org_id FROM counted)
"""


class Sequenced(NamedTuple):
    """The work of one transaction."""

    events: int
    deliveries: int


async def sequence(conn: Connection, epoch: int, *, limit: int) -> Sequenced:
    """Number up to `limit` events in one transaction. Raises LeaseLost.

    Only one transaction of this kind runs at a time: each holds the lease's row at its epoch, and a
    successor cannot raise the epoch before it ends.
    """
    async with conn.transaction():
        await leases.check(conn, LEASE, epoch)
        # Planned each time: a plan kept from when the table was small would read it all later.
        cursor = await conn.execute(_SEQUENCE, {"limit": limit}, prepare=False)
        events, deliveries, org_ids = await fetch_one(cursor)
    for org_id in org_ids:
        conn.note(Channel.SEQUENCED, org_id)
    if deliveries:
        conn.note(Channel.DELIVERIES)
    return Sequenced(events, deliveries)
