"""Sources of messages: the listeners' link or log, the inbox table, and the session of a broker.

    async for source, messages in in_turn(sources, current_limits):
        ...                                       # plan
        async with conn.transaction():
            ...                                   # store
            await source.remove_finished(conn, finished)   # what must go with them
        source.acknowledge(finished, results)     # after COMMIT

A source gives its messages in order, and again to the next term what was not acknowledged when a
term ended. Sources have no order between them. A batch is of one source; what is finished may be of
several, and each source looks for its own messages in it.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol
from uuid import UUID

from db.core.connect import Connection
from db.core.wakeups import POLL_S
from db.history import inbox
from db.history.inbox import InboxMessage
from ingest.sources.batching import BatchLimits, FirstWait, batch
from mqtt import Message, Session
from telemetry.link import Receipt

WOKEN_S = 0.01  # between two looks into the inbox because of wake-ups
SHARED_IDLE_S = 0.02


class RawMessage(Protocol):
    """A message as ingest sees it, wherever it comes from."""

    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def correlation_data(self) -> bytes | None: ...
    @property
    def identity(self) -> UUID | None:
        """The tracker that signed in, or that an earlier judgement found; None: the topic says."""
        ...

    @property
    def oversize_bytes(self) -> int:
        """The bytes that the message had, where its payload was cut because of them; 0: whole."""
        ...


class Source(Protocol):
    """A queue that keeps each message until it is acknowledged."""

    async def batch(self, limits: BatchLimits) -> Sequence[RawMessage]:
        """Return the next messages, or none if none came within a fraction of a second.

        A source that does not know the organization of each message gives none where
        `limits.is_full`. Raises one of the errors that end the term.
        """
        ...

    async def remove_finished(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Settle messages inside the transaction that stores the last of `finished`, at its end."""
        ...

    def acknowledge(self, finished: Sequence[RawMessage], results: Sequence[int]) -> None:
        """Acknowledge messages after COMMIT. results: the `telemetry.result.Result` of each
        message.
        """
        ...


class ListenerSource(Source, Protocol):
    """A source of messages of listeners, which take receipts for their devices."""

    def tell(self, made: Iterable[Receipt]) -> None:
        """Send receipts to the listeners that their trackers are connected to."""
        ...


class SourceBatch(NamedTuple):
    """A batch and its source. Without messages: only time has passed."""

    source: Source
    messages: Sequence[RawMessage]


async def in_turn(
    sources: Sequence[Source], current_limits: Callable[[], BatchLimits | None]
) -> AsyncIterator[SourceBatch]:
    """Yield batches of one source after the other, for ever. One of them is the inbox.

    Where none of them has a message the batch is empty, and comes after `IDLE_S`. Where several
    sources wait for messages, each is waited for only a moment, and never beyond the next look into
    the inbox. No limits: nothing more is taken just now.
    """
    clock = asyncio.get_running_loop()
    inbox_source = next(source for source in sources if isinstance(source, InboxSource))
    most_idle_s = SHARED_IDLE_S if len(sources) > 2 else math.inf
    idle_since_s = clock.time()
    while True:
        is_idle = True
        for source in sources:
            limits = current_limits()
            if limits is None:
                continue
            until_s = min(idle_since_s + limits.idle_s, inbox_source.due_s)
            idle_s = min(most_idle_s, max(0.0, until_s - clock.time()))
            limits = replace(limits, idle_s=idle_s, wait=inbox_source.others_wait)
            if messages := await source.batch(limits):
                is_idle, idle_since_s = False, clock.time()
                yield SourceBatch(source, messages)
        limits = current_limits()
        due_s = idle_since_s + (0.0 if limits is None else limits.idle_s)
        if is_idle and clock.time() >= due_s:
            idle_since_s = clock.time()
            yield SourceBatch(sources[-1], ())


class BrokerSource:
    """The session at the MQTT broker: waits for messages, and sends PUBACKs after COMMIT."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def batch(self, limits: BatchLimits) -> Sequence[Message]:
        if limits.is_full:
            return ()
        clock = asyncio.get_running_loop()
        return await batch(self._session, limits, lambda _: clock.time())

    async def remove_finished(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Do nothing: the broker gets its acknowledgements after COMMIT."""

    def acknowledge(self, finished: Sequence[RawMessage], results: Sequence[int]) -> None:
        """Acknowledge messages without results, which the broker cannot take."""
        self._session.acknowledge(message for message in finished if isinstance(message, Message))


class InboxSource:
    """The inbox table, read once a second, soon after a wake-up, or as soon as a batch is stored.
    It does not wait, and cuts short the wait of another source where there is work.

    Rows are removed in the transaction that stores their last fix; until then they are not read
    again. At most the rows of one batch are in work at a time. due_s: when it is read next, in time
    of the event loop.
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._under_way: set[int] = set()
        self._looked_s = 0.0
        self.due_s = 0.0
        self.others_wait = FirstWait()

    def wake(self) -> None:
        """Look soon, because a message was put in; at most every `WOKEN_S`."""
        self._be_due(self._looked_s + WOKEN_S)

    async def batch(self, limits: BatchLimits) -> Sequence[InboxMessage]:
        now_s = asyncio.get_running_loop().time()
        if now_s < self.due_s:
            return ()
        self._looked_s, self.due_s = now_s, now_s + POLL_S  # before the look: `wake` may come in it
        room = limits.messages - len(self._under_way)
        if room <= 0 or limits.is_full:
            return ()
        under_way = list(self._under_way)
        messages = await inbox.waiting(self._conn, room, limits.bytes, under_way)
        self._under_way.update(message.id for message in messages)
        if messages:
            self.due_s = now_s
        return messages

    async def remove_finished(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        if own := _of_inbox(finished):
            await inbox.remove(conn, own)

    def acknowledge(self, finished: Sequence[RawMessage], results: Sequence[int]) -> None:
        if own := _of_inbox(finished):
            self._under_way.difference_update(message.id for message in own)
            self._be_due(self._looked_s)

    def _be_due(self, at_s: float) -> None:
        self.due_s = min(self.due_s, at_s)
        self.others_wait.cut(self.due_s)


def are_in_database(messages: Sequence[RawMessage]) -> bool:
    """Whether messages have to be removed in the transaction that stores them."""
    return any(isinstance(message, InboxMessage) for message in messages)


def _of_inbox(messages: Sequence[RawMessage]) -> list[InboxMessage]:
    return [message for message in messages if isinstance(message, InboxMessage)]


def fix_flags(message: RawMessage) -> int:
    """Return the `telemetry.fix.Flag` bits that the fixes of a message get."""
    return message.fix_flags if isinstance(message, InboxMessage) else 0


def released_id(message: RawMessage) -> UUID | None:
    """Return the row of quarantine that a message was released from."""
    return message.released_id if isinstance(message, InboxMessage) else None
