"""The listener's end of the log: messages go into queues of RabbitMQ, and count as taken once a
majority of its nodes has them on disk.

`LogSender.offer` takes a message into the outbox of its organization's queue. Each queue is sent
one block at a time, and the next one gathers meanwhile, so that blocks are as large as the load
wants. A block says by itself whose its messages are: whoever leads ingest later can read it. When
the connection ends, or the log does not take a block, what was not confirmed is sent again, in
order.
"""

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from listener.link.ingest_link import Sender
from listener.link.outbox import HeldMessage, Origin, Outbox
from listener.metrics import ListenerMetrics
from service.amqp import rabbitmq
from service.amqp.address import LogAddress
from service.amqp.rabbitmq import LogConnection, LogLost
from telemetry import link
from telemetry.link import Connections, Extra, FrameError, Opened, Receipt, Topic, Welcome
from telemetry.result import Result

BLOCK_MESSAGES = 1_024
BLOCK_BYTES = 128 * 1024
CREDIT_MESSAGES = 16_384
CREDIT_BYTES = 16 * 1024 * 1024
"""What may be on its way into one queue, or be the next to go."""
REFUSED_S = 0.5
"""Between two tries of a block that a queue does not take."""
CONFIRM_S = 8.0
"""A node that confirms nothing for so long is given up for another one."""
LOOK_S = 1.0
COUNT_S = 15.0
"""Between two looks at what waits in the log."""
PAUSE_S = 0.5
NOTES = 1_024
"""Connections in a block beside those that its messages are of."""

_log = structlog.get_logger("listener")


@dataclass(slots=True)
class Sending:
    """The block that is on its way into a queue."""

    first: int
    count: int
    sent_s: float
    opened: list[Origin]
    closed: list[int]


@dataclass(slots=True)
class Queue:
    """A queue of the log as this process sends to it.

    opened, closed: connections that ingest is to hear of with the next block. is_refused: the log
    did not take the last block; is_paused: and it is not tried again yet.
    """

    name: str
    outbox: Outbox
    opened: dict[int, Origin] = field(default_factory=dict[int, Origin])
    closed: list[int] = field(default_factory=list[int])
    sending: Sending | None = None
    is_refused: bool = False
    is_paused: bool = False

    def notes(self, taken: list[HeldMessage]) -> tuple[list[Origin], list[int]]:
        """Take what ingest is to hear of connections: those of messages, and others that wait."""
        told = {held.origin.id: held.origin for held in taken}
        for number in told:
            self.opened.pop(number, None)
        for number in list(self.opened)[:NOTES]:
            told[number] = self.opened.pop(number)
        closed, self.closed = self.closed[:NOTES], self.closed[NOTES:]
        return list(told.values()), closed


class LogSender(Sender):
    """The messages of all connections of a process on their way into the log."""

    def __init__(self, listener: UUID) -> None:
        super().__init__(listener)
        self.listener = listener
        self.outboxes = [self.outbox, *(Outbox() for _ in range(rabbitmq.QUEUES - 1))]

    def opened(self, origin: Origin) -> None:
        origin.queue = rabbitmq.queue_of(origin.org_id)
        super().opened(origin)

    def over(self, log: LogConnection, reply_to: str) -> "LogLink":
        """Send by this connection from now on. reply_to: the queue that we are answered in."""
        self._way = made = LogLink(self, log, reply_to)
        return made


class LogLink:
    """One connection to the log, from its declarations to its end."""

    def __init__(self, sender: LogSender, log: LogConnection, reply_to: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._sender, self._log, self._reply_to = sender, log, reply_to
        self._id = str(sender.listener)
        self._is_due = self._has_begun = False
        self._by_number: dict[int, Queue] = {}
        self._queues = [
            Queue(rabbitmq.queue_name(number), outbox)
            for number, outbox in enumerate(sender.outboxes)
        ]
        log.on_returned = lambda key: log.close(f"there is no queue {key}")
        log.on_unblocked = self.flush_soon

    async def begin(self) -> None:
        """Send what is not confirmed, and all that comes. Raises LogLost."""
        await self._log.confirm(self._confirmed)
        await self._log.own_queue(self._reply_to, self._hear)
        for queue in self._queues:
            queue.outbox.begin_again(CREDIT_MESSAGES, CREDIT_BYTES)
        self._has_begun = True
        self._tell_connections()

    @property
    def is_open(self) -> bool:
        log = self._log
        return self._has_begun and not log.lost.done() and not log.is_blocked

    @property
    def trouble(self) -> str | None:
        """Why messages wait, if they do."""
        if self._log.is_blocked:
            return "the log takes no messages: RabbitMQ lacks memory or disk"
        refusing = [queue.name for queue in self._queues if queue.is_refused]
        if refusing:
            return f"the log is full, or has no majority: {', '.join(refusing)}"
        return None

    def opened(self, origin: Origin) -> None:
        """Tell ingest of a device that signed in, with or before its first message."""
        if origin.is_session:
            self._queues[origin.queue].opened[origin.id] = origin
            self.flush_soon()

    def closed(self, origin: Origin) -> None:
        """Tell ingest that a connection is gone and all its messages are in the log."""
        if not origin.is_session:
            return
        queue = self._queues[origin.queue]
        if queue.opened.pop(origin.id, None) is None:
            queue.closed.append(origin.id)
            self.flush_soon()

    def flush_soon(self) -> None:
        """Send what is ready at the end of this turn of the loop."""
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def look(self) -> None:
        """Give the node up where it confirms nothing."""
        now_s = self._loop.time()
        sending = [queue.sending for queue in self._queues if queue.sending is not None]
        if self._log.is_blocked:
            for one in sending:
                one.sent_s = now_s
        elif any(now_s - one.sent_s > CONFIRM_S for one in sending):
            self._log.close(f"nothing was confirmed for {CONFIRM_S:.0f} s")

    def _flush(self) -> None:
        self._is_due = False
        if self.is_open:
            for queue in self._queues:
                if queue.sending is None and not queue.is_paused:
                    self._send(queue)

    def _send(self, queue: Queue) -> None:
        first, taken = queue.outbox.next_block(BLOCK_MESSAGES, BLOCK_BYTES)
        opened, closed = queue.notes(taken)
        if not (taken or opened or closed):
            return
        queue.sending = Sending(first, len(taken), self._loop.time(), opened, closed)
        number = self._log.publish(
            queue.name,
            self._block(taken, opened, closed),
            sender=self._id,
            reply_to=self._reply_to,
            is_lasting=True,
            is_mandatory=True,
        )
        self._by_number[number] = queue

    def _block(self, taken: list[HeldMessage], opened: list[Origin], closed: list[int]) -> bytes:
        """Return a block that can be read without any before it."""
        numbers: dict[tuple[int, str], int] = {}
        defined: list[Topic] = []
        topics: list[int] = []
        extras: list[Extra] = []
        for index, (origin, message) in enumerate(taken):
            topic = (origin.id, message.topic)
            number = numbers.get(topic)
            if number is None:
                number = numbers[topic] = len(numbers)
                defined.append(Topic(number, *topic))
            topics.append(number)
            if message.correlation_data is not None or message.oversize_bytes:
                extras.append(Extra(index, message.correlation_data, message.oversize_bytes))
        frames = [link.frame(Connections([self._opened(origin) for origin in opened], closed))]
        if taken:
            payloads = [message.payload for _, message in taken]
            frames.append(link.block(0, topics, payloads, defined, extras))
        return b"".join(frames)

    def _opened(self, origin: Origin) -> Opened:
        """Describe a connection. Its client id stays here: ingest has no use for it."""
        return Opened(
            origin.id, origin.tracker_id, origin.org_id, "", origin.age_us, origin.is_session
        )

    # Answers --------------------------------------------------------------------------------

    def _confirmed(self, number: int, is_multiple: bool, is_taken: bool) -> None:
        numbers = [n for n in self._by_number if n <= number] if is_multiple else [number]
        for one in numbers:
            queue = self._by_number.pop(one)
            sending, queue.sending = queue.sending, None
            assert sending is not None
            if is_taken:
                self._commit(queue, sending)
            else:
                self._refuse(queue, sending)
        self.flush_soon()
        self._sender.on_answers()

    def _commit(self, queue: Queue, sending: Sending) -> None:
        queue.is_refused = False
        for origin, message in queue.outbox.answered(sending.first, sending.count):
            origin.committed(message, Result.STORED)
            if origin.is_gone and not origin.unanswered:
                self._sender.origins.pop(origin.id, None)
                self.closed(origin)
        queue.outbox.refill()
        if sending.count:
            self._sender.on_answered(sending.count, 0, self._loop.time() - sending.sent_s)

    def _refuse(self, queue: Queue, sending: Sending) -> None:
        """Try again in a while what a queue that is full, or has no leader, has not taken."""
        queue.outbox.begin_again(CREDIT_MESSAGES, CREDIT_BYTES)
        opened = {one.id: one for one in sending.opened if one.id in self._sender.origins}
        queue.opened = opened | queue.opened
        queue.closed = sending.closed + queue.closed
        queue.is_refused = queue.is_paused = True
        self._loop.call_later(REFUSED_S, self._try_again, queue)

    def _try_again(self, queue: Queue) -> None:
        queue.is_paused = False
        self.flush_soon()

    def _hear(self, message: bytes) -> None:
        """Take what the leader of ingest says to us, or to all."""
        try:
            for body in link.bodies(message):
                if isinstance(body, Welcome):
                    _log.info("ingest has a new leader", epoch=body.epoch)
                    self._tell_connections()
                elif isinstance(body, list):
                    for item in body:
                        if isinstance(item, Receipt):
                            self._sender.on_receipt(item)
                        else:
                            self._sender.on_evicted(item)
        except FrameError as error:
            _log.warning("what ingest said cannot be read", error=str(error))

    def _tell_connections(self) -> None:
        for origin in self._sender.origins.values():
            if origin.is_session:
                self._queues[origin.queue].opened[origin.id] = origin
        self.flush_soon()


class LogKeeper:
    """Keeps a connection to a node of the log, to the next node after each failure.

    trouble: why messages wait.
    """

    def __init__(
        self,
        address: LogAddress,
        sender: LogSender,
        metrics: ListenerMetrics,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._address, self._sender, self._metrics, self._tls = address, sender, metrics, tls
        self._tries = sender.listener.int % len(address.hosts)  # processes take different nodes
        self._failure: str | None = "not connected to the log yet"
        self._link: LogLink | None = None

    @property
    def trouble(self) -> str | None:
        return self._failure or (None if self._link is None else self._link.trouble)

    async def run(self) -> None:
        """Keep a connection until cancelled."""
        while True:
            try:
                await self._connect_once()
            except LogLost as error:
                self._fail(f"the log cannot be reached: {error}")
                await asyncio.sleep(PAUSE_S)

    async def _connect_once(self) -> None:
        host = self._address.hosts[self._tries % len(self._address.hosts)]
        self._tries += 1
        log = await rabbitmq.connect(self._address, host, "opsc-listen", self._tls)
        try:
            await rabbitmq.declare(log)
            reply_to = f"opsc.listener.{self._sender.listener}.{self._tries}"
            self._link = link = self._sender.over(log, reply_to)
            await link.begin()
            self._failure = None
            self._metrics.links.inc()
            _log.info("connected to the log", host=host[0], port=host[1])
            counting = asyncio.create_task(self._count(log))
            try:
                while not log.lost.done():
                    await asyncio.wait({log.lost}, timeout=LOOK_S)
                    link.look()
            finally:
                counting.cancel()
        finally:
            log.close()
        self._fail(f"the connection to the log ended: {log.lost.result()}")

    async def _count(self, log: LogConnection) -> None:
        """Count what waits in the log, whoever leads ingest, until the connection ends."""
        with suppress(LogLost):
            while True:
                self._metrics.log_blocks.set(await log.waiting())
                await asyncio.sleep(COUNT_S)

    def _fail(self, text: str) -> None:
        if text != self._failure:
            _log.warning("messages wait", reason=text)
        self._failure = text
