"""Messages on their way to the broker: a bounded queue, packet ids, and what to send again after
a cut.

- QoS 1 messages leave in the order in which they were put in, at most as many at a time as the
  broker allows. Each keeps its packet id until its PUBACK, whatever happens to the connection.
- After a resumed session those already sent go first, marked DUP. If the broker lost the session
  they are sent as new ones. Either way the broker may see a message twice: that is what QoS 1
  means.
- QoS 0 messages that were not handed to the network when the connection ends are dropped and
  counted.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import mqtt5

from mqtt.client.options import PENDING_PUBLISHES_MAX
from mqtt.errors import (
    PublishQueueFullError,
    PublishRefusedError,
    PublishUnsupportedError,
)

DUP_FLAG = 0x08
REFUSED_FROM = 0x80
"""Reason codes from here on are refusals (MQTT 5, 2.4)."""

Published = asyncio.Future[mqtt5.PubAckReasonCode]
"""Done at the PUBACK, or with the error that the message or the session ended with."""


@dataclass(slots=True)
class BrokerLimits:
    """The limits that the broker stated in CONNACK."""

    receive_maximum: int = 65_535
    max_packet_bytes: int | None = None
    qos_1: bool = True
    retain: bool = True

    def objection(self, size: int, qos: int, retain: bool) -> str | None:
        """Return why the broker would not take such a packet; None if it would."""
        if self.max_packet_bytes is not None and size > self.max_packet_bytes:
            return f"packet of {size} bytes, it allows {self.max_packet_bytes}"
        if qos and not self.qos_1:
            return "QoS 1, it allows only 0"
        if retain and not self.retain:
            return "retain flag, it does not keep messages"
        return None


class OutgoingPublish(NamedTuple):
    topic: str
    payload: bytes
    retain: bool = False
    response_topic: str | None = None
    correlation_data: bytes | None = None

    def encode(self, qos: mqtt5.QoS, packet_id: int | None = None) -> bytes:
        return mqtt5.PublishPacket(
            self.topic,
            self.payload,
            qos=qos,
            retain=self.retain,
            packet_id=packet_id,
            response_topic=self.response_topic,
            correlation_data=self.correlation_data,
        ).write()


@dataclass(slots=True)
class _Pending:
    topic: str
    data: bytes
    retain: bool
    published: Published
    in_flight: bool = False
    known_to_broker: bool = False  # was sent in the broker session that goes on


class Outgoing:
    """The publishes of one session; outlives its connections."""

    def __init__(self, max_pending: int, max_bytes: int) -> None:
        self._max_pending = max_pending
        self._max_bytes = max_bytes
        self._pending: dict[int, _Pending] = {}  # by packet id, in order of publishing
        self._unsent: deque[int] = deque()  # packet ids, in the order in which they have to leave
        self._unsent_qos_0: deque[bytes] = deque()
        self._last_id = 0
        self._limits = BrokerLimits()
        self.pending_bytes = 0
        self.published = 0
        self.published_bytes = 0
        self.confirmed = 0
        self.refused = 0
        self.dropped = 0

    @property
    def pending(self) -> int:
        """QoS 1 messages without PUBACK, and QoS 0 messages not handed to the network."""
        return len(self._pending) + len(self._unsent_qos_0)

    @property
    def in_flight(self) -> int:
        """QoS 1 messages sent on this connection and not acknowledged yet."""
        return len(self._pending) - len(self._unsent)

    @property
    def has_room(self) -> bool:
        """Whether one more message can be put in."""
        return self.pending < self._max_pending and self.pending_bytes < self._max_bytes

    def put_qos_0(self, message: OutgoingPublish) -> None:
        """Put in a message to be sent once. Raises when there is no room or the broker cannot
        take it.
        """
        self._check_room()
        data = message.encode(mqtt5.QoS.AT_MOST_ONCE)
        if objection := self._limits.objection(len(data), 0, message.retain):
            raise PublishUnsupportedError(message.topic, objection)
        self._unsent_qos_0.append(data)
        self._count(data)

    def put_qos_1(self, message: OutgoingPublish, published: Published) -> None:
        """Put in a message to be sent until its PUBACK, which goes to `published`. Raises without
        room.
        """
        self._check_room()
        packet_id = self._free_id()
        data = message.encode(mqtt5.QoS.AT_LEAST_ONCE, packet_id)
        self._pending[packet_id] = _Pending(message.topic, data, message.retain, published)
        self._unsent.append(packet_id)
        self._count(data)

    def _free_id(self) -> int:
        packet_id = self._last_id % PENDING_PUBLISHES_MAX + 1
        while packet_id in self._pending:  # fewer are pending than there are ids
            packet_id = packet_id % PENDING_PUBLISHES_MAX + 1
        self._last_id = packet_id
        return packet_id

    def _check_room(self) -> None:
        if not self.has_room:
            raise PublishQueueFullError(self.pending, self.pending_bytes)

    def _count(self, data: bytes) -> None:
        self.pending_bytes += len(data)
        self.published += 1
        self.published_bytes += len(data)

    def dequeue(self, max_bytes: int) -> Iterator[bytes]:
        """Yield packets to be sent now: within the broker's window, and until `max_bytes` are
        reached.
        """
        room = max_bytes
        while self._unsent_qos_0 and room > 0:
            data = self._unsent_qos_0.popleft()
            self.pending_bytes -= len(data)
            room -= len(data)
            yield data
        while self._unsent and room > 0 and self.in_flight < self._limits.receive_maximum:
            data = self._next_confirmed(self._unsent.popleft())
            room -= len(data)
            if data:
                yield data

    def _next_confirmed(self, packet_id: int) -> bytes:
        """Return the packet to send; empty if its publisher gave up or the broker
        cannot take it.
        """
        entry = self._pending[packet_id]
        if entry.known_to_broker:
            entry.in_flight = True
            return bytes((entry.data[0] | DUP_FLAG,)) + entry.data[1:]
        objection = self._limits.objection(len(entry.data), 1, entry.retain)
        if objection or entry.published.cancelled():
            self._forget(packet_id)
            self.dropped += 1
            _fail(entry.published, PublishUnsupportedError(entry.topic, objection or "given up"))
            return b""
        entry.in_flight = entry.known_to_broker = True
        return entry.data

    def _forget(self, packet_id: int) -> None:
        self.pending_bytes -= len(self._pending.pop(packet_id).data)

    def acknowledge(self, packet: mqtt5.PubAckPacket) -> None:
        """Take in a PUBACK. One for a message that is not in flight says nothing and is ignored."""
        entry = self._pending.get(packet.packet_id)
        if entry is None or not entry.in_flight:
            return
        self._forget(packet.packet_id)
        if int(packet.reason_code) >= REFUSED_FROM:
            self.refused += 1
            _fail(
                entry.published,
                PublishRefusedError(entry.topic, packet.reason_code, packet.reason_str),
            )
            return
        self.confirmed += 1
        if not entry.published.done():
            entry.published.set_result(packet.reason_code)

    def connection_lost(self) -> None:
        """Put every QoS 1 message in flight back into the queue, in its order."""
        self._unsent = deque(self._pending)
        for entry in self._pending.values():
            entry.in_flight = False
        self.dropped += len(self._unsent_qos_0)
        self.pending_bytes -= sum(map(len, self._unsent_qos_0))
        self._unsent_qos_0.clear()

    def connection_made(self, session_present: bool, limits: BrokerLimits) -> None:
        """Start the messages of a new connection: the broker has said whether it knows what was
        sent before.
        """
        self._limits = limits
        if not session_present:
            for entry in self._pending.values():
                entry.known_to_broker = False

    def end(self, error: BaseException) -> None:
        """Fail every pending message: its fate is unknown and will stay so."""
        for entry in self._pending.values():
            _fail(entry.published, error)
            if not entry.published.cancelled():
                entry.published.exception()  # read once: a publisher that does not care is no news
        self.connection_lost()
        self._unsent.clear()
        self._pending.clear()
        self.pending_bytes = 0


def _fail(published: Published, error: BaseException) -> None:
    if not published.done():
        published.set_exception(error)
