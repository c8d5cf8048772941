"""Connections of trackers: the last one of each, open as long as its listener lives.

A listener that runs renews its row in `listeners`. Where one does not, others end its entries.
"""

from collections.abc import Sequence
from datetime import datetime
from ipaddress import IPv4Address, IPv6Address
from typing import LiteralString, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of


class DeviceConnection(NamedTuple):
    """listener_id: None where the connection has ended, at disconnected_at. protocol_version: of
    MQTT: 3, 4 or 5. takes_commands: whether the device takes commands as it is connected.
    """

    org_id: UUID
    tracker_id: UUID
    listener_id: UUID | None
    address: IPv4Address | IPv6Address
    protocol_version: int | None
    connected_at: datetime
    disconnected_at: datetime | None
    takes_commands: bool


class SharedCredential(NamedTuple):
    """Two devices take turns with the secret of one tracker."""

    org_id: UUID
    tracker_id: UUID
    at: datetime


class ConnectionState(NamedTuple):
    """A tracker that was connected once. connected_since and address: None where it is not now.

    is_credential_shared: two devices took turns with its secret in the last day.
    """

    connected_since: datetime | None
    address: str | None
    last_connected_at: datetime
    is_credential_shared: bool


# A tracker `t` is connected as long as its listener lives.
IS_CONNECTED: LiteralString = """
EXISTS (SELECT FROM device_connections AS c JOIN listeners AS l ON l.id = c.listener_id
         WHERE c.org_id = trackers.org_id AND c.tracker_id = trackers.id AND l.expires_at > now())
"""
_OF_TRACKERS = """
SELECT c.tracker_id, CASE WHEN l.id IS NOT NULL THEN c.connected_at END,
       CASE WHEN l.id IS NOT NULL THEN host(c.address) END, c.connected_at,
       coalesce(c.credential_shared_at > now() - interval '1 day', false)
  FROM unnest(%s::uuid[]) AS wanted (id)
  JOIN device_connections AS c ON c.org_id = current_org_id() AND c.tracker_id = wanted.id
  LEFT JOIN listeners AS l ON l.id = c.listener_id AND l.expires_at > now()
"""
# An older connection is not written over a newer one, which another listener has.
_WRITE = """
INSERT INTO device_connections AS known
       (org_id, tracker_id, listener_id, address, protocol_version, connected_at, disconnected_at,
        takes_commands)
SELECT noted.* FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::inet[], %s::smallint[],
                           %s::timestamptz[], %s::timestamptz[], %s::boolean[]) AS noted
       (org_id, tracker_id, listener_id, address, protocol_version, connected_at, disconnected_at,
        takes_commands)
 WHERE EXISTS (SELECT FROM trackers AS t WHERE t.org_id = noted.org_id AND t.id = tracker_id)
 ORDER BY org_id, tracker_id
    ON CONFLICT (org_id, tracker_id) DO UPDATE
       SET listener_id = excluded.listener_id, address = excluded.address,
           protocol_version = excluded.protocol_version, connected_at = excluded.connected_at,
           takes_commands = excluded.takes_commands,
           disconnected_at = coalesce(excluded.disconnected_at, known.disconnected_at)
     WHERE excluded.connected_at >= known.connected_at
"""
_WRITE_SHARED = """
UPDATE device_connections AS known SET credential_shared_at = noted.at
  FROM unnest(%s::uuid[], %s::uuid[], %s::timestamptz[]) AS noted (org_id, tracker_id, at)
 WHERE known.org_id = noted.org_id AND known.tracker_id = noted.tracker_id
"""
_REFUSES_COMMANDS = """
SELECT EXISTS (SELECT FROM device_connections AS c JOIN listeners AS l ON l.id = c.listener_id
                WHERE c.tracker_id = %s AND l.expires_at > now() AND NOT c.takes_commands)
"""
_RENEW = """
INSERT INTO listeners AS known (id, expires_at)
VALUES (%(id)s, clock_timestamp() + make_interval(secs => %(ttl_s)s))
    ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
RETURNING xmax = 0
"""
_END_OF_THE_DEAD = """
WITH dead AS (DELETE FROM listeners WHERE expires_at < clock_timestamp() RETURNING id, expires_at)
UPDATE device_connections AS known
   SET listener_id = NULL, disconnected_at = greatest(dead.expires_at, known.connected_at)
  FROM dead WHERE known.listener_id = dead.id
"""


async def of_trackers(conn: Connection, ids: Sequence[UUID]) -> dict[UUID, ConnectionState]:
    """Read the connections of the tenant's trackers; one that never was connected has none."""
    cursor = await conn.execute(_OF_TRACKERS, (list(ids),))
    return {row[0]: ConnectionState(*row[1:]) for row in await cursor.fetchall()}


async def refuses_commands(conn: Connection, tracker_id: UUID) -> bool:
    """Return whether the tenant's tracker is connected in a way that has no commands."""
    return await value_of(conn, _REFUSES_COMMANDS, (tracker_id,))


async def write(conn: Connection, connections: Sequence[DeviceConnection]) -> None:
    """Write the newest connection of each tracker, one row a tracker."""
    await conn.execute(_WRITE, [list(column) for column in zip(*connections, strict=True)])


async def write_shared(conn: Connection, shared: Sequence[SharedCredential]) -> None:
    """Write down whose secret is shared."""
    await conn.execute(_WRITE_SHARED, [list(column) for column in zip(*shared, strict=True)])


async def renew(conn: Connection, listener_id: UUID, ttl_s: float) -> bool:
    """Keep the listener alive for another `ttl_s`. True: its row is new, or others removed it."""
    return await value_of(conn, _RENEW, {"id": listener_id, "ttl_s": ttl_s})


async def end_of_the_dead(conn: Connection) -> None:
    """Remove listeners that have expired, and end their connections."""
    await conn.execute(_END_OF_THE_DEAD)


async def release(conn: Connection, listener_id: UUID) -> None:
    """Let the listener expire now; its connections end with it."""
    await conn.execute(
        "UPDATE listeners SET expires_at = clock_timestamp() WHERE id = %s", (listener_id,)
    )
