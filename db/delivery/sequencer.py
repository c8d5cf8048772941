"""The sequence of committed events: `events.seq`.

What an event is about (`event_subjects`) is written with its seq, for the filters of lists. The
deliveries follow (`db.delivery.fan_out`).

`events.position` is drawn before an event's transaction commits, so a reader that goes on from a
position misses what commits late. `seq` is given afterwards, by one leader at a time (the lease
"sequencer"), to what is visible: without gaps per organization, in the order of `position`. Events
that a transaction inserts together follow each other, in the place of the first.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from db.core import leases
from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.wakeups import Channel

LEASE = "sequencer"

# The first organization that has events without a seq, and from each the next one.
_BEHIND = """
WITH RECURSIVE behind AS (
    (SELECT org_id FROM events WHERE seq IS NULL AND NOT is_test ORDER BY org_id LIMIT 1)
    UNION ALL
    SELECT next.org_id FROM behind CROSS JOIN LATERAL (
        SELECT org_id FROM events WHERE seq IS NULL AND NOT is_test AND org_id > behind.org_id
         ORDER BY org_id LIMIT 1) AS next
)
SELECT org_id FROM behind
"""

# All of them have an equal share of what is numbered at once. Whose row somebody else holds waits
# for the next time.
_SEQUENCE = """
WITH free AS MATERIALIZED (
    SELECT org_id FROM organizations WHERE org_id = ANY (%(asked)s)
       FOR NO KEY UPDATE SKIP LOCKED
), waiting AS MATERIALIZED (
    SELECT e.* FROM free CROSS JOIN LATERAL (
        SELECT org_id, id, data, position, xmin::text AS committed_by FROM events
         WHERE seq IS NULL AND NOT is_test AND org_id = free.org_id
         ORDER BY position
         LIMIT (SELECT greatest(1, %(limit)s / count(*)) FROM free)) AS e
), placed AS (
    SELECT org_id, id, data, position,
           min(position) OVER (PARTITION BY org_id, committed_by) AS first_position
      FROM waiting
), counted AS (
    SELECT org_id, count(*) AS events FROM waiting GROUP BY org_id
), raised AS (
    UPDATE organizations AS o SET event_seq = o.event_seq + c.events
      FROM counted AS c WHERE o.org_id = c.org_id
    RETURNING o.org_id, o.event_seq - c.events AS last_seq
), numbered AS (
    SELECT w.org_id, w.id, w.data,
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
)
SELECT (SELECT count(*) FROM stamped), ARRAY(SELECT org_id FROM counted)
"""


class Sequenced(NamedTuple):
    """The work of one transaction. org_ids: whose events they are."""

    events: int
    org_ids: Sequence[UUID]


async def behind(conn: Connection) -> list[UUID]:
    """Return the organizations that have events without a seq."""
    cursor = await conn.execute(_BEHIND, prepare=False)  # as in `sequence`
    return [org_id for (org_id,) in await cursor.fetchall()]


async def sequence(conn: Connection, epoch: int, asked: Sequence[UUID], *, limit: int) -> Sequenced:
    """Number about `limit` events of the organizations in one transaction, at least one of each
    that has any. Raises LeaseLost.

    Only one transaction of this kind runs at a time: each holds the lease's row at its epoch, and a
    successor cannot raise the epoch before it ends.
    """
    async with conn.transaction():
        await leases.check(conn, LEASE, epoch)
        # Planned each time: a plan kept from when the table was small would read it all later.
        cursor = await conn.execute(
            _SEQUENCE, {"limit": limit, "asked": list(asked)}, prepare=False
        )
        done = Sequenced(*await fetch_one(cursor))
    for org_id in done.org_ids:
        conn.note(Channel.SEQUENCED, org_id)
    return done
