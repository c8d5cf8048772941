"""The listener's end of the link to ingest, over one connection after the other.

`Sender.offer` takes a message into the outbox; the connection that the message came from hears
`committed` after COMMIT. When the link breaks or the leader changes, all unanswered messages are
sent again, in order, to the next leader.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol, cast
from uuid import UUID

import structlog

from listener.link.outbox import (
    BLOCK_BYTES,
    DeviceMessage,
    HeldMessage,
    Origin,
    Outbox,
)
from service.tcp import give_up_in_time
from telemetry import link
from telemetry.link import Connections, Extra, FrameReader, Opened, Receipt, Results, Topic, Welcome

FRAME_CONNECTIONS = 128
"""Each has a client id of 64 KiB at most, and a frame 16 MiB."""

_log = structlog.get_logger("listener")


class IngestLink(asyncio.Protocol):
    """One connection to ingest, from HELLO to its end. It belongs to a `Sender`."""

    def __init__(self, hello: link.Hello, outbox: Outbox, origins: dict[int, Origin]) -> None:
        self._loop = asyncio.get_running_loop()
        self._hello = hello
        self._outbox = outbox
        self._origins = origins
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._topics = 0
        self._sent: deque[tuple[int, float]] = deque()  # of blocks: the end, and when
        self._is_due = False
        self._writable = True
        self.on_answers: Callable[[], None] = _nothing
        self.on_answered: Callable[[int, int, float], None] = _nothing
        self.on_evicted: Callable[[int], None] = _nothing
        self.on_receipt: Callable[[Receipt], None] = _nothing
        self.epoch: int | None = None
        """The leader's, once it has welcomed us."""
        self.lost: asyncio.Future[Exception | None] = self._loop.create_future()
        """The reason of the end, as a result."""
        self.welcomed: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self.lost.done():
            self._transport.abort()
            return
        give_up_in_time(transport)
        self._transport.set_write_buffer_limits(high=8 * BLOCK_BYTES)
        self._transport.write(link.frame(self._hello))

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)

    def data_received(self, data: bytes) -> None:
        if self.lost.done():
            return  # given up: another link may have begun, and the outbox is its own now
        try:
            for body in self._reader.feed(data):
                self._handle(body)
        except link.FrameError as error:
            self.cut(error)

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self.flush_soon()

    def cut(self, error: Exception | None = None) -> None:
        """End the link; the next one begins from what is not answered."""
        if self._transport is not None:
            self._transport.abort()
        self._end(error)

    @property
    def is_open(self) -> bool:
        return self.epoch is not None

    def opened(self, origin: Origin) -> None:
        """Tell the leader of a device that signed in, before its first message."""
        if self.epoch is not None:
            self._write(link.frame(Connections([self._opened(origin)], [])))

    def closed(self, origin: Origin) -> None:
        """Tell the leader that a connection is gone and all its messages are answered."""
        if self.epoch is not None:
            self._write(link.frame(Connections([], [origin.id])))

    def flush_soon(self) -> None:
        """Send what is ready at the end of this turn of the loop."""
        if not self._is_due and self.epoch is not None:
            self._is_due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        while self.epoch is not None and self._writable:
            first, taken = self._outbox.next_block()
            if not taken:
                return
            self._write(self._block(first, taken))
            self._sent.append((first + len(taken), self._loop.time()))

    def _note_answers(self, body: Results) -> None:
        """Report how many were answered and refused, and how long the oldest block took."""
        runs, sent_s = body.runs, self._loop.time()
        newest = int(runs["first"][-1]) if len(runs) else 0
        while self._sent and self._sent[0][0] <= newest:
            self._sent.popleft()
        if self._sent:
            sent_s = self._sent[0][1]
        refused = int(runs["count"][runs["result"] != 0].sum())
        self.on_answered(int(runs["count"].sum()), refused, self._loop.time() - sent_s)

    def _block(self, first: int, taken: list[HeldMessage]) -> bytes:
        topics: list[int] = []
        payloads: list[bytes] = []
        defined: list[Topic] = []
        extras: list[Extra] = []
        for origin, message in taken:
            if message.topic != origin.topic:
                self._topics += 1
                origin.topic, origin.topic_number = message.topic, self._topics
                defined.append(Topic(self._topics, origin.id, message.topic))
            if message.correlation_data is not None or message.oversize_bytes:
                extra = (message.correlation_data, message.oversize_bytes)
                extras.append(Extra(len(topics), *extra))
            topics.append(origin.topic_number)
            payloads.append(message.payload)
        return link.block(first, topics, payloads, defined, extras)

    def _handle(self, body: link.Body) -> None:
        if isinstance(body, Results):
            self._handle_results(body)
        elif isinstance(body, Welcome):
            self._begin(body)
        elif isinstance(body, list):
            for item in body:
                if isinstance(item, Receipt):
                    self.on_receipt(item)
                else:
                    self.on_evicted(item)
        else:
            raise link.FrameError(f"{type(body).__name__} is not for a listener")

    def _begin(self, welcome: Welcome) -> None:
        if welcome.version != link.VERSION:
            raise link.FrameError(f"version {welcome.version}: we speak {link.VERSION}")
        if self.welcomed.done():
            raise link.FrameError("a second WELCOME")  # numbers must not start anew on one link
        self.epoch = welcome.epoch
        for origin in self._origins.values():
            origin.topic = None
        self._tell_connections()
        self._outbox.begin_again(welcome.credit_messages, welcome.credit_bytes)
        self.flush_soon()
        self.welcomed.set_result(None)

    def _tell_connections(self) -> None:
        opened = [self._opened(origin) for origin in self._origins.values()]
        for start in range(0, len(opened), FRAME_CONNECTIONS):
            self._write(link.frame(Connections(opened[start : start + FRAME_CONNECTIONS], [])))

    def _opened(self, origin: Origin) -> Opened:
        return Opened(
            origin.id,
            origin.tracker_id,
            origin.org_id,
            origin.client_id,
            origin.age_us,
            origin.is_session,
        )

    def _handle_results(self, body: Results) -> None:
        if body.epoch != self.epoch:
            return
        self._note_answers(body)
        for first, count, result in body.runs.tolist():
            for origin, message in self._outbox.answered(first, count):
                origin.committed(message, result)
                if origin.is_gone and not origin.unanswered:
                    del self._origins[origin.id]
                    self.closed(origin)
        self._outbox.refill()
        self.flush_soon()
        self.on_answers()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _end(self, error: Exception | None) -> None:
        self.epoch = None
        if not self.lost.done():
            self.lost.set_result(error)


def _nothing(*_: object) -> None: ...


class Way(Protocol):
    """A connection that messages leave by: a link to ingest, or one to the log."""

    @property
    def is_open(self) -> bool:
        """Whether messages are taken just now."""
        ...

    def opened(self, origin: Origin) -> None: ...
    def closed(self, origin: Origin) -> None: ...
    def flush_soon(self) -> None: ...


class Sender:
    """The messages of all connections of a process on their way to ingest, over all links."""

    def __init__(self, listener: UUID, key: bytes = b"") -> None:
        self.outbox = Outbox()
        self.outboxes = [self.outbox]
        self.origins: dict[int, Origin] = {}
        self.on_answers: Callable[[], None] = _nothing
        self.on_answered: Callable[[int, int, float], None] = _nothing
        self.on_evicted: Callable[[int], None] = _nothing
        self.on_receipt: Callable[[Receipt], None] = _nothing
        self.on_offered: Callable[[Origin, DeviceMessage], None] | None = None
        self._hello = link.Hello(link.VERSION, listener, key)
        self._way: Way | None = None

    @property
    def is_linked(self) -> bool:
        """Whether messages are taken just now."""
        return self._way is not None and self._way.is_open

    @property
    def unanswered(self) -> int:
        """Messages that are sent and not answered."""
        return sum(len(outbox.sent) for outbox in self.outboxes)

    @property
    def held(self) -> int:
        """Messages that are not answered, sent or not."""
        return sum(map(len, self.outboxes))

    def opened(self, origin: Origin) -> None:
        """Note that a device signed in."""
        self.origins[origin.id] = origin
        if self._way is not None:
            self._way.opened(origin)

    def offer(self, origin: Origin, message: DeviceMessage) -> None:
        """Take a message over. `origin.committed` is called after COMMIT."""
        if self.on_offered is not None:
            self.on_offered(origin, message)
        self.outboxes[origin.queue].put(origin, message)
        if self._way is not None:
            self._way.flush_soon()

    def drop_waiting(self, origin: Origin, *, keeps_qos_0: bool) -> None:
        """Release what waits here of a connection that is gone.

        A fleet that connects anew again and again must not leave a copy of its messages each time.
        """
        for held in self.outboxes[origin.queue].drop_waiting(origin, keeps_qos_0=keeps_qos_0):
            origin.released(held.message)

    def closed(self, origin: Origin) -> None:
        """Note that the connection is gone. Its messages at ingest are stored all the same."""
        origin.is_gone = True
        if not origin.unanswered:
            self.origins.pop(origin.id, None)
            if self._way is not None:
                self._way.closed(origin)

    def link(self) -> IngestLink:
        """Return the protocol of the next link to the leader. There is one at a time: its answers
        are about the numbers of the outbox."""
        if isinstance(self._way, IngestLink):
            self._way.cut()
        self._way = made = IngestLink(self._hello, self.outbox, self.origins)
        made.on_answers, made.on_evicted = self.on_answers, self.on_evicted
        made.on_receipt, made.on_answered = self.on_receipt, self.on_answered
        return made
