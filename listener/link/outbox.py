"""The listener's end of the link: what devices sent, kept until ingest has committed it.

`offer` takes a message over; the connection that it came from hears `committed` after COMMIT. What
one organization may have unanswered at ingest is bounded, so that a slow one fills its own share:
the rest of its messages waits here, in order. When the link breaks or the leader changes, all that
was not answered is sent again, in order, to the next leader.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast
from uuid import UUID

import structlog

from service.tcp import give_up_in_time
from telemetry import link
from telemetry.link import Connections, Extra, FrameReader, Opened, Receipt, Results, Topic, Welcome

BLOCK_MESSAGES = 4_096
BLOCK_BYTES = 1024 * 1024
FRAME_CONNECTIONS = 128
"""Each has a client id of 64 KiB at most, and a frame 16 MiB."""
CONTENDED_MESSAGES = 256
CONTENDED_BYTES = 1024 * 1024
"""What an organization may have at ingest while others send, too: those wait for the batch that it
is in, so the batch must be small.
"""
CONTENDED_FOR_MESSAGES = 65_536
"""The number of messages after its last one for which another organization counts as sending."""
MESSAGE_OVERHEAD_BYTES = 512
"""Counted per message beside its payload: what the objects around a small message take."""

_log = structlog.get_logger("listener")


class DeviceMessage(Protocol):
    """A PUBLISH as the link sees it."""

    @property
    def number(self) -> int: ...
    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def correlation_data(self) -> bytes | None: ...
    @property
    def oversize_bytes(self) -> int: ...
    @property
    def qos(self) -> int: ...


@dataclass(slots=True, eq=False)
class Origin:
    """A connection that messages come from, as the link sees it.

    id: never used again by this process. organization: a number of ours. began_s: by the loop's
    clock. committed: called with the message and its result, in the order of the connection's
    messages as far as they are committed in order. released: called instead with a message that is
    not sent any more.
    """

    id: int
    organization: int
    tracker_id: UUID
    org_id: UUID
    client_id: str
    began_s: float
    committed: Callable[[DeviceMessage, int], None]
    released: Callable[[DeviceMessage], None]
    topic: str | None = None  # that was defined last
    topic_number: int = 0
    unanswered: int = 0
    is_gone: bool = False


class HeldMessage(NamedTuple):
    """A message and where it came from."""

    origin: Origin
    message: DeviceMessage

    @property
    def cost(self) -> int:
        return cost(self.message)


def cost(message: DeviceMessage) -> int:
    """Return what a message counts for in bounds: bytes, but for the characters of its topic."""
    return len(message.payload) + len(message.topic) + MESSAGE_OVERHEAD_BYTES


class Share:
    """The messages that an organization has at ingest, and those that wait here."""

    __slots__ = ("bytes", "messages", "waiting")

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        self.waiting: dict[int, deque[HeldMessage]] = {}  # by connection; the next one is the first

    def hold_back(self, held: HeldMessage) -> None:
        """Let a message wait."""
        self.waiting.setdefault(held.origin.id, deque()).append(held)

    def next_waiting(self) -> HeldMessage:
        """Take the next message that waits: connections take turns."""
        origin_id = next(iter(self.waiting))
        queue = self.waiting.pop(origin_id)
        held = queue.popleft()
        if queue:
            self.waiting[origin_id] = queue
        return held


class Outbox:
    """Messages in order: those that are at ingest, by number, and those that wait for credit.

    An organization may have as much at ingest as there is room for beside it: alone a half of all,
    with another one a third each (dynamic thresholds: Choudhury and Hahne, 1998). While others
    send, it has no more there than `CONTENDED_MESSAGES`: theirs wait for all that is in a batch.
    """

    def __init__(self) -> None:
        self.sent: dict[int, HeldMessage] = {}
        self.messages = 0
        self.bytes = 0
        self.credit_messages = 0
        self.credit_bytes = 0
        self._next = 0
        self._puts = 0
        self._latest = -1  # the organization of the last message
        self._contended_until = 0  # how many messages were put by then
        self._ready: deque[HeldMessage] = deque()
        self._shares: dict[int, Share] = {}
        self._waiting: set[int] = set()  # organizations

    def __len__(self) -> int:
        """Return messages that are not committed."""
        return (
            len(self.sent)
            + len(self._ready)
            + sum(len(queue) for s in self._shares.values() for queue in s.waiting.values())
        )

    def put(self, origin: Origin, message: DeviceMessage) -> None:
        """Take a message over."""
        share = self._share(origin.organization)
        self._puts += 1
        if origin.organization != self._latest:
            if self._latest >= 0:
                self._contended_until = self._puts + CONTENDED_FOR_MESSAGES
            self._latest = origin.organization
        held = HeldMessage(origin, message)
        origin.unanswered += 1
        if share.waiting or not self._has_room(share):
            share.hold_back(held)
            self._waiting.add(origin.organization)
        else:
            self._admit(share, held)

    def next_block(self) -> tuple[int, list[HeldMessage]]:
        """Number what may be sent now, at most a block of it."""
        first, taken, size = self._next, list[HeldMessage](), 0
        while self._ready and len(taken) < BLOCK_MESSAGES and size < BLOCK_BYTES:
            held = self._ready.popleft()
            size += len(held.message.payload) + len(held.message.topic)
            self.sent[self._next] = held
            self._next += 1
            taken.append(held)
        return first, taken

    def answered(self, first: int, count: int) -> Iterable[HeldMessage]:
        """Forget messages that are committed, and let in what waited for their room."""
        for number in range(first, first + count):
            held = self.sent.pop(number, None)
            if held is None:
                raise link.FrameError(f"message {number} is answered and was not sent")
            share = self._shares[held.origin.organization]
            share.messages -= 1
            share.bytes -= held.cost
            self.messages -= 1
            self.bytes -= held.cost
            held.origin.unanswered -= 1
            yield held

    def refill(self) -> None:
        """Let organizations that wait send what there is room for now, by turns."""
        while self._waiting:
            moved = False
            for organization in tuple(self._waiting):
                share = self._shares[organization]
                if self._has_room(share):
                    self._admit(share, share.next_waiting())
                    moved = True
                if not share.waiting:
                    self._waiting.discard(organization)
            if not moved:
                return

    def begin_again(self, credit_messages: int, credit_bytes: int) -> None:
        """Begin a new link: numbers start again, and all that was not answered is sent again."""
        self.credit_messages, self.credit_bytes = credit_messages, credit_bytes
        again = [*self.sent.values(), *self._ready]
        for share in self._shares.values():
            for queue in share.waiting.values():
                again.extend(queue)
        self.sent.clear()
        self._ready.clear()
        self._shares.clear()
        self._waiting.clear()
        self._next = self.messages = self.bytes = 0
        for origin, message in again:
            origin.unanswered -= 1
            self.put(origin, message)

    def drop_waiting(self, origin: Origin, *, keeps_qos_0: bool) -> list[HeldMessage]:
        """Forget what waits of a connection that is gone, and return it.

        Its device sends again what is of QoS 1 or 2.
        """
        share = self._shares.get(origin.organization)
        queue = None if share is None else share.waiting.pop(origin.id, None)
        if share is None or queue is None:
            return []
        kept = deque(held for held in queue if keeps_qos_0 and held.message.qos == 0)
        dropped = [held for held in queue if not keeps_qos_0 or held.message.qos != 0]
        if kept:
            share.waiting[origin.id] = kept
        if not share.waiting:
            self._waiting.discard(origin.organization)
        origin.unanswered -= len(dropped)
        return dropped

    def _share(self, organization: int) -> Share:
        share = self._shares.get(organization)
        if share is None:
            share = self._shares[organization] = Share()
        return share

    def _has_room(self, share: Share) -> bool:
        if self._puts < self._contended_until and (
            share.messages >= CONTENDED_MESSAGES or share.bytes >= CONTENDED_BYTES
        ):
            return False
        return (
            share.messages < self.credit_messages - self.messages
            and share.bytes < self.credit_bytes - self.bytes
        )

    def _admit(self, share: Share, held: HeldMessage) -> None:
        cost = held.cost
        share.messages += 1
        share.bytes += cost
        self.messages += 1
        self.bytes += cost
        self._ready.append(held)


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
                self._take(body)
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

    def opened(self, origin: Origin) -> None:
        """Tell the leader of a device that signed in, before its first message."""
        if self.epoch is not None:
            self._write(link.frame(Connections([self._opened(origin)], [])))

    def closed(self, origin: Origin) -> None:
        """Tell the leader of a connection that is gone, of which all is answered."""
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

    def _take(self, body: link.Body) -> None:
        if isinstance(body, Results):
            self._take_results(body)
        elif isinstance(body, Welcome):
            self._begin(body)
        elif isinstance(body, list):
            for one in body:
                if isinstance(one, Receipt):
                    self.on_receipt(one)
                else:
                    self.on_evicted(one)
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
        opened = [self._opened(one) for one in self._origins.values()]
        for start in range(0, len(opened), FRAME_CONNECTIONS):
            self._write(link.frame(Connections(opened[start : start + FRAME_CONNECTIONS], [])))

    def _opened(self, origin: Origin) -> Opened:
        age_us = round(max(0.0, self._loop.time() - origin.began_s) * 1_000_000)
        return Opened(origin.id, origin.tracker_id, origin.org_id, origin.client_id, age_us)

    def _take_results(self, body: Results) -> None:
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


class Sender:
    """The messages of all connections of a process on their way to ingest, over all links."""

    def __init__(self, listener: UUID, key: bytes = b"") -> None:
        self.outbox = Outbox()
        self.origins: dict[int, Origin] = {}
        self.on_answers: Callable[[], None] = _nothing
        self.on_answered: Callable[[int, int, float], None] = _nothing
        self.on_evicted: Callable[[int], None] = _nothing
        self.on_receipt: Callable[[Receipt], None] = _nothing
        self._hello = link.Hello(link.VERSION, listener, key)
        self._link: IngestLink | None = None

    @property
    def is_linked(self) -> bool:
        """Whether a leader takes messages just now."""
        return self._link is not None and self._link.epoch is not None

    def opened(self, origin: Origin) -> None:
        """Note that a device signed in."""
        self.origins[origin.id] = origin
        if self._link is not None:
            self._link.opened(origin)

    def offer(self, origin: Origin, message: DeviceMessage) -> None:
        """Take a message over; `origin` hears of it after COMMIT."""
        self.outbox.put(origin, message)
        if self._link is not None:
            self._link.flush_soon()

    def drop_waiting(self, origin: Origin, *, keeps_qos_0: bool) -> None:
        """Release what waits here of a connection that is gone.

        A fleet that connects anew again and again must not leave a copy of its messages each time.
        """
        for held in self.outbox.drop_waiting(origin, keeps_qos_0=keeps_qos_0):
            origin.released(held.message)

    def closed(self, origin: Origin) -> None:
        """Note that the connection is gone. What is at ingest, or about to be, is stored all the
        same.
        """
        origin.is_gone = True
        if not origin.unanswered:
            self.origins.pop(origin.id, None)
            if self._link is not None:
                self._link.closed(origin)

    def link(self) -> IngestLink:
        """Return the protocol of the next link to the leader. There is one at a time: its answers
        are about the numbers of the outbox."""
        if self._link is not None:
            self._link.cut()
        self._link = made = IngestLink(self._hello, self.outbox, self.origins)
        made.on_answers, made.on_evicted = self.on_answers, self.on_evicted
        made.on_receipt, made.on_answered = self.on_receipt, self.on_answered
        return made
