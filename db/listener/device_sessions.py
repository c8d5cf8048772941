"""Sessions of devices: what an MQTT client finds again that does not ask for a clean start.

A tracker keeps the `MOST_OF_TRACKER` that expire last, and so does a gateway, whose id stands in
the place of a tracker's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection

MOST_OF_TRACKER = 8
MOST_CLIENT_ID_BYTES = 256  # a session of a longer one is not kept


class SessionKey(NamedTuple):
    """A client id counts within its tracker alone."""

    org_id: UUID
    tracker_id: UUID
    client_id: str


class DeviceSession(NamedTuple):
    """wants_receipts: the client had subscribed to its receipts. command_topic: that it had
    subscribed to.
    """

    wants_receipts: bool
    expires_at: datetime
    command_topic: str | None = None


_WANTED = "unnest(%s::uuid[], %s::uuid[], %s::text[]) AS wanted (org_id, tracker_id, client_id)"
_FIND = f"""
SELECT kept.org_id, kept.tracker_id, kept.client_id, kept.wants_receipts, kept.expires_at,
       kept.command_topic
  FROM {_WANTED} JOIN device_sessions AS kept USING (org_id, tracker_id, client_id)
 WHERE kept.expires_at > now()
"""  # noqa: S608  # a constant
# Only of those that are still there. In one order, so that two listeners do not deadlock.
_KEEP = """
INSERT INTO device_sessions
       (org_id, tracker_id, client_id, wants_receipts, expires_at, command_topic)
SELECT org_id, tracker_id, client_id, wants_receipts, expires_at, command_topic
  FROM unnest(%s::uuid[], %s::uuid[], %s::text[], %s::boolean[], %s::timestamptz[], %s::text[])
       AS noted (org_id, tracker_id, client_id, wants_receipts, expires_at, command_topic)
 WHERE EXISTS (SELECT FROM trackers AS t WHERE t.org_id = noted.org_id AND t.id = tracker_id)
    OR EXISTS (SELECT FROM gateways AS g WHERE g.org_id = noted.org_id AND g.id = tracker_id)
 ORDER BY org_id, tracker_id, client_id
    ON CONFLICT (org_id, tracker_id, client_id) DO UPDATE
       SET wants_receipts = excluded.wants_receipts, expires_at = excluded.expires_at,
           command_topic = excluded.command_topic
"""
_BOUND = """
DELETE FROM device_sessions AS kept
 USING (SELECT session.org_id, session.tracker_id, session.client_id,
               row_number() OVER (PARTITION BY session.org_id, session.tracker_id
                                  ORDER BY session.expires_at DESC) AS place
          FROM (SELECT DISTINCT * FROM unnest(%s::uuid[], %s::uuid[])) AS t (org_id, tracker_id)
          JOIN device_sessions AS session USING (org_id, tracker_id)) AS placed
 WHERE placed.place > %s AND kept.org_id = placed.org_id
   AND kept.tracker_id = placed.tracker_id AND kept.client_id = placed.client_id
"""
_REMOVE = f"""
DELETE FROM device_sessions AS kept USING {_WANTED}
 WHERE kept.org_id = wanted.org_id AND kept.tracker_id = wanted.tracker_id
   AND kept.client_id = wanted.client_id
"""  # noqa: S608  # a constant
_REMOVE_EXPIRED = """
DELETE FROM device_sessions WHERE ctid = ANY (ARRAY(
       SELECT ctid FROM device_sessions WHERE expires_at < now() ORDER BY expires_at LIMIT %s))
"""


async def find(conn: Connection, keys: Sequence[SessionKey]) -> dict[SessionKey, DeviceSession]:
    """Read those sessions that are kept and have not expired."""
    cursor = await conn.execute(_FIND.encode(), _columns(keys))
    rows = await cursor.fetchall()
    return {SessionKey(*row[:3]): DeviceSession(*row[3:]) for row in rows}


async def keep(conn: Connection, sessions: dict[SessionKey, DeviceSession]) -> None:
    """Write sessions, and remove those that their trackers have beyond the bound."""
    org_ids, tracker_ids, client_ids = _columns(list(sessions))
    columns = [list(column) for column in zip(*sessions.values(), strict=True)]
    await conn.execute(_KEEP, (org_ids, tracker_ids, client_ids, *columns))
    await conn.execute(_BOUND, (org_ids, tracker_ids, MOST_OF_TRACKER))


async def remove(conn: Connection, keys: Sequence[SessionKey]) -> None:
    """Remove these sessions."""
    await conn.execute(_REMOVE.encode(), _columns(keys))


async def remove_expired(conn: Connection, most: int) -> int:
    """Remove sessions that have expired, the oldest first, and return how many they were."""
    return (await conn.execute(_REMOVE_EXPIRED, (most,))).rowcount


def _columns(keys: Sequence[SessionKey]) -> tuple[list[UUID], list[UUID], list[str]]:
    return (
        [key.org_id for key in keys],
        [key.tracker_id for key in keys],
        [key.client_id for key in keys],
    )
