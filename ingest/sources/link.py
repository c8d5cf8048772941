"""Ingest's end of the link: messages of devices in, results for ranges of them out after COMMIT.

    async with LinkServer(options, epoch) as links:
        messages = await links.batch(limits)
        ...                                    # one transaction
        links.acknowledge(messages, results)   # after COMMIT

The links of a term end with it: listeners connect to the next leader and send again what was not
answered. An organization that is slow has its own credit at the listener, and here its own turns
(`ingest.sources.link_queue`). A tracker has one connection over all listeners: a newer one ends the
older one. What the older one brought is stored and answered all the same: a device that repeats it
doubles nothing.
"""

import asyncio
import hmac
import math
import os
import ssl
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, cast
from uuid import UUID

import numpy as np
import structlog

from db.core.connect import Connection
from ingest.id_index import IdIndex
from ingest.sources.batching import BatchLimits, batch
from ingest.sources.link_address import LinkAddress
from ingest.sources.link_queue import Queue
from ingest.sources.source import RawMessage
from ingest.sources.tracker_connections import TrackerConnections
from service.tcp import give_up_in_time
from telemetry import link
from telemetry.link import Block, Connections, FrameReader, Hello, Opened, Receipt, Topic, Welcome

CREDIT_MESSAGES = 65_536
CREDIT_BYTES = 64 * 1024 * 1024
"""What one listener may have unanswered."""
HELLO_S = 10.0
"""From connecting to HELLO, with TLS as long again for the handshake before."""
FRAME_RECEIPTS = 4_096
SENDS_ON_S = 0.25
"""A device that sends so soon after an answer has waited for it, and has more, as with a backlog.
Its messages do not wait for others: each of its rounds would be longer."""
UNREAD_BYTES = 4 * 1024 * 1024
"""A listener that leaves so much unread is frozen, and gets no receipts."""

_log = structlog.get_logger("ingest")


@dataclass(slots=True)
class Sender:
    """A connection of a device that sends to a topic. flow: its number in the queue.

    answered_s: when a message of it was answered last, in time of the event loop.
    """

    topic: str
    identity: UUID
    flow: int
    answered_s: float = -math.inf


class LinkMessage(NamedTuple):
    """A message of a device, and where its answer goes. flow: its number in the queue.

    since_s: when it came, in time of the event loop; -inf where it is not to wait for others.
    """

    topic: str
    payload: bytes
    identity: UUID
    peer: "Peer"
    number: int
    flow: int
    sender: Sender
    since_s: float
    correlation_data: bytes | None = None
    oversize_bytes: int = 0


class Peer(asyncio.Protocol):
    """The link to one listener."""

    def __init__(self, server: "LinkServer") -> None:
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._senders: dict[int, Sender] = {}  # by the number of their topic
        self._topic_of: dict[int, int] = {}  # by connection
        self._connections: dict[int, Opened] = {}
        self._next = 0
        self._unanswered = 0
        self._hello_timer: asyncio.TimerHandle | None = None
        self.listener: UUID | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        give_up_in_time(transport)
        self._server.peers.add(self)
        loop = asyncio.get_running_loop()
        self._hello_timer = loop.call_later(self._server.hello_s, self._expect_hello)

    def _expect_hello(self) -> None:
        if self.listener is None:
            _log.warning("link cut", listener="None", error="no HELLO in time")
            self.cut()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
        self._server.lost(self, self._connections.values())

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            for body in self._reader.feed(data):
                self._handle(body)
        except link.FrameError as error:
            _log.warning("link cut", listener=str(self.listener), error=str(error))
            self.cut()

    def cut(self) -> None:
        """End the link at once."""
        if self._transport is not None:
            self._transport.abort()

    def close(self) -> None:
        """End the link once the last answers are sent."""
        if self._transport is not None:
            self._transport.close()

    def write(self, frame: bytes) -> None:
        """Send a frame, unless the link is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frame)

    @property
    def keeps_up(self) -> bool:
        """Whether the listener reads what we send. Results are bounded by its credit."""
        transport = self._transport
        return transport is not None and transport.get_write_buffer_size() < UNREAD_BYTES

    def answer(self, numbers: Sequence[int], codes: Sequence[int]) -> None:
        """Send the results of messages that are committed."""
        self._unanswered -= len(numbers)
        which, what = np.array(numbers, np.uint64), np.array(codes, np.uint8)
        if (which[1:] < which[:-1]).any():
            order = np.argsort(which)
            which, what = which[order], what[order]
        self.write(link.results(self._server.epoch, which, what))

    def _handle(self, body: link.Body) -> None:
        if isinstance(body, Hello):
            self._greet(body)
        elif self.listener is None:
            raise link.FrameError("the first frame is not HELLO")
        elif isinstance(body, Block):
            self._handle_block(body)
        elif isinstance(body, Connections):
            self._handle_connections(body)
        else:
            raise link.FrameError(f"{type(body).__name__} is not for ingest")

    def _greet(self, hello: Hello) -> None:
        if hello.version != link.VERSION:
            raise link.FrameError(f"version {hello.version}: we speak {link.VERSION}")
        if not hmac.compare_digest(hello.key, self._server.key):
            raise link.FrameError("the key is wrong")
        self.listener = hello.listener
        welcome = Welcome(link.VERSION, self._server.epoch, CREDIT_MESSAGES, CREDIT_BYTES)
        self.write(link.frame(welcome))

    def _handle_connections(self, body: Connections) -> None:
        for opened in body.opened:
            self._connections[opened.connection] = opened
            if opened.is_session:
                self._server.opened(self, opened)
        for connection in body.closed:
            self._senders.pop(self._topic_of.pop(connection, -1), None)
            opened = self._connections.pop(connection, None)
            if opened is not None:
                self._server.tracker_connections.closed(self, opened)

    def _handle_block(self, block: Block) -> None:
        if block.first != self._next:
            raise link.FrameError(f"message {block.first} follows {self._next - 1}")
        self._next += len(block.payloads)
        self._unanswered += len(block.payloads)
        if self._unanswered > CREDIT_MESSAGES:
            raise link.FrameError(f"{self._unanswered} messages, {CREDIT_MESSAGES} are allowed")
        outdated = [self._define(topic) for topic in block.defined]
        try:
            senders = [self._senders[number] for number in block.topics]
        except KeyError as error:
            raise link.FrameError(f"topic {error} is not defined") from None
        now_s = asyncio.get_running_loop().time()
        messages = [
            LinkMessage(
                sender.topic,
                payload,
                sender.identity,
                self,
                number,
                sender.flow,
                sender,
                now_s if now_s - sender.answered_s > SENDS_ON_S else -math.inf,
            )
            for number, (sender, payload) in enumerate(
                zip(senders, block.payloads, strict=True), block.first
            )
        ]
        for extra in block.extras:
            if not 0 <= extra.index < len(messages):
                raise link.FrameError(f"message {extra.index} of {len(messages)} has extras")
            messages[extra.index] = messages[extra.index]._replace(
                correlation_data=extra.correlation_data, oversize_bytes=extra.oversize_bytes
            )
        for number in outdated:
            self._senders.pop(number, None)
        self._server.queue.put(messages)

    def _define(self, topic: Topic) -> int:
        """Return the number that the connection's topic had before."""
        opened = self._connections.get(topic.connection)
        if opened is None:
            raise link.FrameError(f"connection {topic.connection} is not open")
        before = self._topic_of.get(topic.connection, -1)
        self._topic_of[topic.connection] = topic.number
        flow = self._server.flows.number(opened.org_id)
        sender = Sender(topic.name, opened.tracker_id, flow)
        if before in self._senders:
            sender.answered_s = self._senders[before].answered_s
        self._senders[topic.number] = sender
        return before


class LinkOptions(NamedTuple):
    """The address at which we wait for listeners. key: the shared one; it guards TCP. tls: for `tls://`.

    advertised: where listeners reach us, if that is another address.
    """

    address: LinkAddress
    key: bytes = b""
    tls: ssl.SSLContext | None = None
    advertised: LinkAddress | None = None


class LinkServer:
    """The links of one term. Leaving the context ends them.

    Raises OSError where the address cannot be had.
    """

    def __init__(self, options: LinkOptions, epoch: int, hello_s: float = HELLO_S) -> None:
        self.epoch = epoch
        self.hello_s = hello_s
        self.key = options.key
        self.queue = Queue[LinkMessage]()
        self.flows = IdIndex("org")
        self.tracker_connections = TrackerConnections[Peer]()
        self.peers: set[Peer] = set()
        self._options = options
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop, address = asyncio.get_running_loop(), self._options.address
        if address.is_unix:
            _remove_socket(address.path)
            before = os.umask(0o177)  # for the user alone
            try:
                self._server = await loop.create_unix_server(self.protocol, address.path)
            finally:
                os.umask(before)
        else:
            tls = self._options.tls
            self._server = await loop.create_server(
                self.protocol,
                address.host,
                address.port,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HELLO_S,
                reuse_address=True,
            )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for peer in list(self.peers):
            peer.close()

    def protocol(self) -> Peer:
        """Return the protocol of a link that begins."""
        return Peer(self)

    async def batch(self, limits: BatchLimits) -> Sequence[LinkMessage]:
        """Return the next messages; none where none came within a fraction of a second."""
        self.queue.paused = {self.flows.find(org_id) for org_id in limits.paused}
        return await batch(self.queue, limits, _oldest_s)

    async def remove_finished(self, conn: Connection, finished: Sequence[RawMessage]) -> None:
        """Do nothing: listeners get their results after COMMIT."""

    def opened(self, peer: Peer, opened: Opened) -> None:
        """Note that a device signed in: an older connection of it ends."""
        now_us = round(asyncio.get_running_loop().time() * 1_000_000)
        ended = self.tracker_connections.opened(peer, opened, now_us)
        if ended is not None:
            other, connection = ended
            other.write(link.evicted([connection]))

    def lost(self, peer: Peer, connections: Iterable[Opened]) -> None:
        """Note that a link ended: its messages come again on another one."""
        self.peers.discard(peer)
        self.queue.drop(peer)
        for opened in connections:
            self.tracker_connections.closed(peer, opened)

    def acknowledge(self, finished: Sequence[RawMessage], results: Sequence[int]) -> None:
        """Send each listener the results of its messages, after COMMIT."""
        by_peer: dict[Peer, tuple[list[int], list[int]]] = {}
        now_s = asyncio.get_running_loop().time()
        for message, result in zip(finished, results, strict=True):
            if not isinstance(message, LinkMessage):
                continue
            message.sender.answered_s = now_s
            of_peer = by_peer.get(message.peer)
            if of_peer is None:
                of_peer = by_peer[message.peer] = ([], [])
            of_peer[0].append(message.number)
            of_peer[1].append(result)
        for peer, (numbers, codes) in by_peer.items():
            peer.answer(numbers, codes)

    def tell(self, made: Iterable[Receipt]) -> None:
        """Send receipts to the links that their trackers are connected by."""
        by_peer: dict[Peer, list[Receipt]] = {}
        for receipt in made:
            peer = self.tracker_connections.peer_of(receipt.tracker_id)
            if peer is not None and peer.keeps_up:
                by_peer.setdefault(peer, []).append(receipt)
        for peer, receipts in by_peer.items():
            for start in range(0, len(receipts), FRAME_RECEIPTS):
                peer.write(link.receipts(receipts[start : start + FRAME_RECEIPTS]))


def _oldest_s(messages: Sequence[LinkMessage]) -> float:
    return min(message.since_s for message in messages)


def _remove_socket(path: str) -> None:
    """Remove a socket that a killed process left."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
