"""Where messages come from: the broker's session, and the inbox table beside it.

    async for source, messages in in_turn(sources, current_limits):
        ...                                       # plan
        async with conn.transaction():
            ...                                   # store
            await source.settle(conn, finished)   # what must go with them
        source.acknowledge(finished)              # after COMMIT

A source gives its messages in order, and again to the next turn what was not acknowledged when a
turn ended. Sources have no order between them. A batch is of one source; what is finished may be of
several, and each source looks for its own messages in it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import NamedTuple, Protocol
from uuid import UUID

from db import inbox
from db.connect import Connection
from db.inbox import InboxMessage
from ingest.batcher import BatchLimits, batch
from mqtt import Message, Session

POLL_S = 0.25


class RawMessage(Protocol):
    """What ingest asks of a message, wherever it comes from."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def correlation_data(self) -> bytes | None: ...


class Source(Protocol):
    """A queue that keeps each message until it is acknowledged."""

    async def batch(self, limits: BatchLimits) -> Sequence[RawMessage]:
        """The next messages; none where none came within a fraction of a second.

        Raises what ends the turn.
        """
        ...

    async def settle(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Inside the transaction that stores the last of `finished`, at its end."""
        ...

    def acknowledge(self, finished: Sequence[RawMessage]) -> None:
        """After COMMIT."""
        ...


class Taken(NamedTuple):
    """A batch and the source that it is of. Without messages: time has passed."""

    source: Source
    messages: Sequence[RawMessage]


async def in_turn(
    sources: Sequence[Source], current_limits: Callable[[], BatchLimits | None]
) -> AsyncIterator[Taken]:
    """Batches of one source after the other, for ever.

    Where none of them has a message the batch is empty. How long that takes is up to the sources:
    one of them should wait for messages. No limits: nothing more is taken just now.
    """
    while True:
        is_idle = True
        for source in sources:
            limits = current_limits()
            if limits is not None and (messages := await source.batch(limits)):
                is_idle = False
                yield Taken(source, messages)
        if is_idle:
            yield Taken(sources[-1], ())


class Broker:
    """The session at the MQTT broker: waits for messages, and sends PUBACKs after COMMIT."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def batch(self, limits: BatchLimits) -> Sequence[Message]:
        return await batch(self._session, limits)

    async def settle(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Nothing: the broker is told after COMMIT."""

    def acknowledge(self, finished: Sequence[RawMessage]) -> None:
        self._session.acknowledge(one for one in finished if isinstance(one, Message))


class Inbox:
    """The inbox table, looked at four times a second, or as soon as a batch is stored; does not
    wait.

    Rows go in the transaction that stores their last fix, so one batch is under way at a time, and
    the next look finds what is left.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._under_way = 0  # messages
        self._due_s = 0.0

    async def batch(self, limits: BatchLimits) -> Sequence[InboxMessage]:
        now_s = asyncio.get_running_loop().time()
        if self._under_way or now_s < self._due_s:
            return ()
        messages = await inbox.waiting(self._conn, limits.messages, limits.bytes)
        self._under_way = len(messages)
        self._due_s = now_s if messages else now_s + POLL_S
        return messages

    async def settle(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        if own := _of_inbox(finished):
            await inbox.settle(conn, own)

    def acknowledge(self, finished: Sequence[RawMessage]) -> None:
        self._under_way -= len(_of_inbox(finished))


def _of_inbox(messages: Sequence[RawMessage]) -> list[InboxMessage]:
    return [one for one in messages if isinstance(one, InboxMessage)]


def released_id(message: RawMessage) -> UUID | None:
    """The row of quarantine that a message was released from."""
    return message.released_id if isinstance(message, InboxMessage) else None
