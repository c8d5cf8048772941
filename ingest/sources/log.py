"""Ingest's end of the log: blocks of messages in, acknowledged once all in them are committed.

    async with LogSource(options, epoch) as log:
        messages = await log.batch(limits)
        ...                                    # one transaction
        log.acknowledge(messages, results)     # after COMMIT

All queues are taken from at once, and organizations take turns in one fair queue behind them, as
with links. Devices have their answers already, so nothing goes back to them but receipts and
takeovers. When the connection ends, so does the term: the log delivers to the next one what was not
acknowledged, in order.
"""

import asyncio
import hashlib
import ssl
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self
from uuid import UUID

import structlog

from db.core.connect import Connection
from ingest.id_index import IdIndex
from ingest.sources.batching import BatchLimits, batch
from ingest.sources.link_queue import Queue
from ingest.sources.source import RawMessage
from ingest.sources.tracker_connections import TrackerConnections
from service.amqp import rabbitmq
from service.amqp.address import LogAddress
from service.amqp.rabbitmq import Delivery, LogConnection, LogLost
from telemetry import link
from telemetry.link import Block, Connections, FrameError, Opened, Receipt, Topic, Welcome

PREFETCH_BLOCKS = 128
"""Of each queue. A block has 128 KiB, or one message that is larger."""
FRAME_RECEIPTS = 4_096
LOOK_S = 15.0
"""Between two looks at what waits in the log, and for listeners that are gone."""

_log = structlog.get_logger("ingest")


class LogOptions(NamedTuple):
    """The nodes of the log. tls: for `amqps://`."""

    address: LogAddress
    tls: ssl.SSLContext | None = None


@dataclass(slots=True, eq=False)
class Taken:
    """A block that was taken. unfinished: how many of its messages are not committed."""

    tag: int
    sent_us: int
    unfinished: int = 0


class LogMessage(NamedTuple):
    """A message of a device, and the block that it came in. flow: its number in the queue.

    since_s: when it was taken, in time of the event loop.
    """

    topic: str
    payload: bytes
    identity: UUID
    peer: Taken
    flow: int
    since_s: float
    correlation_data: bytes | None = None
    oversize_bytes: int = 0


@dataclass(slots=True, eq=False)
class Listener:
    """A listener's connections that are told in one queue. reply_to: the queue that it reads, and a
    new one each time that it connects to the log.
    """

    reply_to: str
    connections: dict[int, Opened] = field(default_factory=dict[int, Opened])


class LogSource:
    """The log of one term. Leaving the context ends the connection.

    waiting: how many blocks wait in the log and are not taken, as of the last look. Raises LogLost
    where no node can be reached.
    """

    def __init__(self, options: LogOptions, epoch: int) -> None:
        self._options, self._epoch = options, epoch
        self._log: LogConnection | None = None
        self._queue = Queue[LogMessage]()
        self._flows = IdIndex("org")
        self._tracker_connections = TrackerConnections[Listener]()
        self._listeners: dict[tuple[int, str], Listener] = {}  # by queue and id
        self._taken: dict[int, Taken] = {}  # in order
        self.waiting = 0
        self.unreadable = 0

    async def __aenter__(self) -> Self:
        self._log = log = await self._connected()
        log.on_returned = self._forget
        try:
            await rabbitmq.declare(log)
            welcome = Welcome(link.VERSION, self._epoch, 0, 0)
            log.publish("", link.frame(welcome), exchange=rabbitmq.LISTENERS)
            for number in range(rabbitmq.QUEUES):
                name = rabbitmq.queue_name(number)
                await log.consume(name, PREFETCH_BLOCKS, lambda one, n=number: self._take(n, one))
        except BaseException:
            log.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._connection.close()

    async def _connected(self) -> LogConnection:
        """Connect to the first node that answers."""
        address, tls = self._options
        lost = LogLost("no node")
        for host in address.hosts:
            try:
                return await rabbitmq.connect(address, host, "opsc-ingest", tls)
            except LogLost as error:
                lost = error
        raise lost

    @property
    def _connection(self) -> LogConnection:
        assert self._log is not None
        return self._log

    @property
    def oldest_s(self) -> float:
        """The age of the oldest block that was taken and is not stored."""
        first = next(iter(self._taken.values()), None)
        return 0.0 if first is None else max(0.0, time.time() - first.sent_us / 1e6)

    # As a source ----------------------------------------------------------------------------

    async def batch(self, limits: BatchLimits) -> Sequence[LogMessage]:
        """Return the next messages; none where none came within a fraction of a second."""
        self._queue.paused = {self._flows.find(org_id) for org_id in limits.paused}
        return await batch(self._queue, limits, _oldest_s)

    async def remove_finished(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Do nothing: blocks are acknowledged after COMMIT."""

    def acknowledge(self, finished: Sequence[RawMessage], results: Sequence[int]) -> None:
        """Acknowledge the blocks all of whose messages are committed."""
        ended: list[Taken] = []
        for message in finished:
            if isinstance(message, LogMessage):
                message.peer.unfinished -= 1
                if not message.peer.unfinished:
                    ended.append(message.peer)
        self._settle(ended)

    def _settle(self, ended: Sequence[Taken]) -> None:
        """Acknowledge blocks: those at the front by one frame."""
        if not ended:
            return
        last = None
        while self._taken and not (first := next(iter(self._taken.values()))).unfinished:
            del self._taken[first.tag]
            last = first.tag
        if last is not None:
            self._connection.acknowledge(last, multiple=True)
        for one in ended:
            if self._taken.pop(one.tag, None) is not None:
                self._connection.acknowledge(one.tag)

    def tell(self, made: Iterable[Receipt]) -> None:
        """Send receipts to the listeners that their trackers are connected to."""
        by_listener: dict[Listener, list[Receipt]] = {}
        for receipt in made:
            listener = self._tracker_connections.peer_of(receipt.tracker_id)
            if listener is not None:
                by_listener.setdefault(listener, []).append(receipt)
        for listener, receipts in by_listener.items():
            for start in range(0, len(receipts), FRAME_RECEIPTS):
                self._say(listener, link.receipts(receipts[start : start + FRAME_RECEIPTS]))

    def _say(self, listener: Listener, frame: bytes, *, is_mandatory: bool = False) -> None:
        self._connection.publish(listener.reply_to, frame, is_mandatory=is_mandatory)

    async def keep(self) -> None:
        """Look at the log now and then, until the connection ends. Raises LogLost."""
        log = self._connection
        while True:
            self.waiting = await log.waiting()
            for reply_to in {one.reply_to for one in self._listeners.values()}:
                # It comes back where the listener is gone.
                log.publish(reply_to, link.evicted([]), is_mandatory=True)
            await asyncio.wait({log.lost}, timeout=LOOK_S)
            if log.lost.done():
                raise log.lost.result()

    # Blocks ---------------------------------------------------------------------------------

    def _take(self, queue: int, delivery: Delivery) -> None:
        try:
            told, blocks = _read(delivery.body)
        except FrameError as error:
            self.unreadable += 1
            digest = hashlib.sha256(delivery.body).hexdigest()
            _log.error(
                "a block of the log cannot be read",
                error=str(error),
                queue=rabbitmq.queue_name(queue),
                kept_in=rabbitmq.UNREADABLE,
                bytes=len(delivery.body),
                sha256=digest,
            )
            self._connection.reject(delivery.tag)
            return
        listener = self._listener(queue, delivery)
        taken = self._taken[delivery.tag] = Taken(delivery.tag, delivery.sent_us)
        self._note(listener, told, delivery.sent_us)
        for block, senders in blocks:
            messages = self._messages(block, senders, taken)
            taken.unfinished += len(messages)
            self._queue.put(messages)
        if not taken.unfinished:
            self._settle([taken])

    def _listener(self, queue: int, delivery: Delivery) -> Listener:
        """Return who sent a block. One that has connected anew tells all its connections again."""
        key = (queue, delivery.sender)
        known = self._listeners.get(key)
        if known is None:
            known = self._listeners[key] = Listener(delivery.reply_to)
        elif known.reply_to != delivery.reply_to:
            self._end_connections(known)
            known.reply_to = delivery.reply_to
        return known

    def _note(self, listener: Listener, told: Connections, sent_us: int) -> None:
        """Note connections that are new or gone. Of a tracker the older one ends: blocks wait for
        us, and may be read all at once, so the time is that of their sender.
        """
        for opened in told.opened:
            if not opened.is_session or opened.connection in listener.connections:
                continue
            listener.connections[opened.connection] = opened
            ended = self._tracker_connections.opened(listener, opened, sent_us)
            if ended is not None:
                other, connection = ended
                self._say(other, link.evicted([connection]))
        for connection in told.closed:
            opened = listener.connections.pop(connection, None)
            if opened is not None:
                self._tracker_connections.closed(listener, opened)

    def _messages(
        self, block: Block, senders: dict[int, tuple[Topic, Opened]], taken: Taken
    ) -> list[LogMessage]:
        now_s = asyncio.get_running_loop().time()
        extras = {extra.index: extra for extra in block.extras}
        flows = {
            number: self._flows.number(opened.org_id) for number, (_, opened) in senders.items()
        }
        messages: list[LogMessage] = []
        for index, (number, payload) in enumerate(zip(block.topics, block.payloads, strict=True)):
            topic, opened = senders[number]
            made = LogMessage(topic.name, payload, opened.tracker_id, taken, flows[number], now_s)
            if extras and (extra := extras.get(index)) is not None:
                made = made._replace(
                    correlation_data=extra.correlation_data, oversize_bytes=extra.oversize_bytes
                )
            messages.append(made)
        return messages

    def _forget(self, reply_to: str) -> None:
        """Forget a listener that is gone; one that has connected anew by now is another one."""
        for key, listener in list(self._listeners.items()):
            if listener.reply_to == reply_to:
                self._end_connections(listener)
                del self._listeners[key]

    def _end_connections(self, listener: Listener) -> None:
        for opened in listener.connections.values():
            self._tracker_connections.closed(listener, opened)
        listener.connections.clear()


def _read(
    body: bytes,
) -> tuple[Connections, list[tuple[Block, dict[int, tuple[Topic, Opened]]]]]:
    """Return the connections in a block, and its messages with the senders of their topics.

    Raises FrameError where it is no block that can be read by itself.
    """
    told = Connections([], [])
    blocks: list[tuple[Block, dict[int, tuple[Topic, Opened]]]] = []
    for one in link.bodies(body):
        if isinstance(one, Connections):
            told = Connections([*told.opened, *one.opened], [*told.closed, *one.closed])
        elif isinstance(one, Block):
            opened = {connection.connection: connection for connection in told.opened}
            try:
                senders = {topic.number: (topic, opened[topic.connection]) for topic in one.defined}
                if not senders.keys() >= set(one.topics):
                    raise FrameError("a topic is not defined")
            except KeyError as error:
                raise FrameError(f"connection {error} is not open") from None
            if not all(0 <= extra.index < len(one.payloads) for extra in one.extras):
                raise FrameError(
                    f"one of {len(one.payloads)} messages has extras, and is not there"
                )
            blocks.append((one, senders))
        else:
            raise FrameError(f"{type(one).__name__} is not for ingest")
    return told, blocks


def _oldest_s(messages: Sequence[LogMessage]) -> float:
    return min(message.since_s for message in messages)
