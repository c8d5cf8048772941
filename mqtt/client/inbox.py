"""Received messages, from the socket to their acknowledgement: values in, PUBACK bytes out.

The contract of acknowledgement:
- Every QoS 1 message gets a receipt, a number that rises in the order of arrival and is never
  used again.
- PUBACKs leave in the order of receipt (MQTT-4.6.0-2). A message acknowledged before an older one
  waits for it.
- A receipt is worth something only on the connection that brought its message. The broker sends
  again what was not acknowledged when that connection ended, so an acknowledgement that comes too
  late does nothing.
"""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import mqtt5

from mqtt.errors import ProtocolViolationError, UnsupportedQosError

MESSAGE_OVERHEAD_BYTES = 512
"""Counted per message beside its payload: what the objects around a small message take."""

NO_RECEIPT = -1
"""Receipt of a QoS 0 message, which nobody acknowledges."""

_QOS_0 = mqtt5.QoS.AT_MOST_ONCE
_QOS_1 = mqtt5.QoS.AT_LEAST_ONCE


class Message(NamedTuple):
    """One application message. `receipt` is for `Session.acknowledge` and means nothing else."""

    topic: str
    payload: bytes
    qos: int
    receipt: int
    retain: bool
    duplicate: bool
    response_topic: str | None
    correlation_data: bytes | None

    @property
    def identity(self) -> None:
        """None: a broker does not tell who published."""
        return None

    @property
    def oversize_bytes(self) -> int:
        """0: a message of a broker is whole."""
        return 0


class Inbox:
    """Messages that wait for `dequeue`, and messages that were taken and wait for their
    acknowledgement.

    `held_bytes` counts a message until its PUBACK is made or, where none will be, until it is
    taken.
    """

    def __init__(self, receive_maximum: int) -> None:
        self._receive_maximum = receive_maximum
        self._waiting: deque[Message] = deque()
        self._unacknowledged: deque[tuple[int, int]] = deque()  # (packet id, bytes), oldest first
        self._oldest = 0  # receipt of _unacknowledged[0]
        self._early: set[int] = set()  # acknowledged by the owner before an older one
        self.held_bytes = 0
        self.received = 0
        self.received_bytes = 0
        self.acknowledged = 0
        self.stale = 0

    @property
    def waiting(self) -> int:
        """Messages not taken yet."""
        return len(self._waiting)

    @property
    def unacknowledged(self) -> int:
        """QoS 1 messages of this connection for which no PUBACK was made."""
        return len(self._unacknowledged)

    def add(self, packet: mqtt5.PublishPacket) -> None:
        """Take in a PUBLISH. Raises if the broker sends more, or other, than it was allowed to."""
        qos, payload = packet.qos, packet.payload
        cost = len(payload) + MESSAGE_OVERHEAD_BYTES
        if qos is _QOS_1:
            receipt = self._oldest + len(self._unacknowledged)
            self._unacknowledged.append((self._checked_id(packet), cost))
        elif qos is _QOS_0:
            receipt = NO_RECEIPT
        else:
            raise UnsupportedQosError(packet.topic)
        if not packet.topic:
            raise ProtocolViolationError("topic alias used, we allow none")
        self._waiting.append(
            Message(
                packet.topic,
                payload,
                int(qos),
                receipt,
                packet.retain,
                packet.duplicate,
                packet.response_topic,
                packet.correlation_data,
            )
        )
        self.held_bytes += cost
        self.received += 1
        self.received_bytes += len(payload)

    def _checked_id(self, packet: mqtt5.PublishPacket) -> int:
        if len(self._unacknowledged) >= self._receive_maximum:
            raise ProtocolViolationError(
                f"more than {self._receive_maximum} messages without acknowledgement",
                mqtt5.DisconnectReasonCode.RECEIVE_MAX_EXCEEDED,
            )
        if not packet.packet_id:
            raise ProtocolViolationError("QoS 1 message without a packet id")
        return packet.packet_id

    def dequeue(self, max_messages: int, max_bytes: int) -> list[Message]:
        """Return the oldest waiting messages within both bounds; one at least, if any waits.

        `max_bytes` counts payloads.
        """
        taken: list[Message] = []
        waiting, room = self._waiting, max_bytes
        while waiting and len(taken) < max_messages:
            message = waiting[0]
            size = len(message.payload)
            if size > room and taken:
                break
            room -= size
            taken.append(waiting.popleft())
            if (
                message.receipt < self._oldest
            ):  # QoS 0, or of an older connection: nothing will follow
                self.held_bytes -= size + MESSAGE_OVERHEAD_BYTES
        return taken

    def acknowledge(self, messages: Iterable[Message]) -> tuple[int, bytes]:
        """Note that `messages` are dealt with.

        Returns how many of them count on this connection, and the PUBACKs that may leave now.
        """
        counted = 0
        pubacks: list[bytes] = []
        for message in messages:
            receipt = message.receipt
            if receipt == self._oldest and self._unacknowledged:
                counted += 1
                self._release_oldest(pubacks)
                while self._oldest in self._early:
                    self._early.remove(self._oldest)
                    self._release_oldest(pubacks)
            elif receipt != NO_RECEIPT:
                counted += self._acknowledge_early(receipt)
        self.acknowledged += len(pubacks)
        return counted, b"".join(pubacks)

    def _release_oldest(self, pubacks: list[bytes]) -> None:
        packet_id, cost = self._unacknowledged.popleft()
        self._oldest += 1
        self.held_bytes -= cost
        pubacks.append(mqtt5.PubAckPacket(packet_id).write())

    def _acknowledge_early(self, receipt: int) -> bool:
        newest = self._oldest + len(self._unacknowledged)
        if self._oldest < receipt < newest and receipt not in self._early:
            self._early.add(receipt)
            return True
        self.stale += 1
        return False

    def connection_lost(self) -> None:
        """Drop the receipts of a lost connection. What waits may still be taken."""
        self._oldest += len(self._unacknowledged)
        self._unacknowledged.clear()
        self._early.clear()
        self._recount()

    def connection_made(self, session_present: bool, most_bytes: int) -> None:
        """Prepare for a connection that the broker has accepted. What still waits stays, and comes
        twice where the broker has it too.

        A broker that was killed may say that it kept the session and have lost messages of it. Only
        beyond `most_bytes`, as after many connections that are lost at once, is dropped what the
        broker says it has.
        """
        if session_present and self.held_bytes > most_bytes:
            self._waiting = deque(message for message in self._waiting if message.qos == 0)
            self._recount()

    def _recount(self) -> None:
        self.held_bytes = sum(len(m.payload) + MESSAGE_OVERHEAD_BYTES for m in self._waiting)
