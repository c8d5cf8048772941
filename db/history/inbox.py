"""Messages that come to ingest by another way than the broker.

Whoever takes one in writes a row; ingest reads it, and deletes it in the transaction that stores
its fixes. Rows leave in the order of their ids, as far as their writers commit in that order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.wakeups import Channel
from db.history import quarantine


class InboxMessage(NamedTuple):
    """A message as ingest takes it. fix_flags: the `telemetry.fix.Flag` bits that its fixes get;
    released_id: the row of quarantine that it was released from; identity: the tracker of that row,
    so that a release gives no fix to another tracker.

    It answers to the names of a message of the broker that ingest asks for.
    """

    topic: str
    payload: bytes
    id: int
    fix_flags: int
    released_id: UUID | None
    identity: UUID | None = None
    correlation_data: bytes | None = None
    oversize_bytes: int = 0


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message that the API hands in. org_id: of its tracker, None where there is none.
    fix_flags: see `InboxMessage`.
    """

    org_id: UUID | None
    topic: str
    payload: bytes
    released_id: UUID | None = None
    fix_flags: int = 0


async def put(conn: Connection, message: NewMessage) -> None:
    """Put a message into the inbox: ingest reads it once the caller's transaction commits, and is
    woken up then. Not under a tenant: None.
    """
    await conn.execute(
        "INSERT INTO inbox (org_id, topic, payload, quarantine_id, fix_flags)"
        " VALUES (%s, %s, %s, %s, %s)",
        (
            message.org_id,
            message.topic,
            message.payload,
            message.released_id,
            message.fix_flags,
        ),
    )
    conn.note(Channel.INBOX)


async def waiting_of_tenant(conn: Connection, at_most: int) -> int:
    """Count the messages of the tenant that wait, up to `at_most`."""
    return await value_of(
        conn, "SELECT count(*) FROM (SELECT FROM inbox LIMIT %s) AS waiting", (at_most,)
    )


async def waiting(
    conn: Connection, max_messages: int, max_bytes: int, but: Sequence[int] = ()
) -> list[InboxMessage]:
    """Return the oldest messages within both bounds; one at least, if any waits. but: ids of
    others.
    """
    cursor = await conn.execute(
        """
        SELECT topic, payload, id, fix_flags, quarantine_id,
               (SELECT tracker_id FROM quarantine WHERE quarantine.id = quarantine_id)
          FROM (SELECT topic, payload, id, fix_flags, quarantine_id,
                       sum(length(payload)) OVER (ORDER BY id) - length(payload) AS bytes_before
                  FROM (SELECT * FROM inbox WHERE id <> ALL (%s)
                         ORDER BY id LIMIT %s) AS oldest) AS counted
         WHERE bytes_before < %s
         ORDER BY id
        """,
        (list(but), max_messages, max_bytes),
    )
    return [InboxMessage(*row) for row in await cursor.fetchall()]


async def remove(conn: Connection, messages: Sequence[InboxMessage]) -> None:
    """Remove messages inside the transaction that stored or rejected them, after
    `quarantine.keep`.
    """
    if not messages:
        return
    await quarantine.forget_released(
        conn, [message.released_id for message in messages if message.released_id is not None]
    )
    await conn.execute(
        "DELETE FROM inbox WHERE id = ANY (%s)", ([message.id for message in messages],)
    )
