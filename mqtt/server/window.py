"""Messages that were handed out and are not settled, and the answers to them in order of receipt.

A packet id has at most one answer outstanding. The same message again on the open connection, as
many modems send it, is counted and not handed out; another message with an id that is in use is,
and the answer follows when both are settled (MQTT-2.2.1 says what an id means, 4.6 the order).
"""

from collections import deque
from collections.abc import Callable

from mqtt.server.answers import PUBACK, PUBCOMP, PUBREC, refused_publish
from mqtt.server.ended import PACKET_ID_NOT_FOUND
from mqtt.server.events import Publish

REFUSED_FROM = 0x80
_ACK = bytes((PUBACK, 2))
_REC = bytes((PUBREC, 2))
_COMP = bytes((PUBCOMP, 2))
_FIELDS_COMPARED = slice(1, None)
_new: Callable[[type[Publish], tuple[object, ...]], Publish] = tuple.__new__  # type: ignore[assignment]  # typed as of any tuple
"""Makes a Publish in half the time that its own constructor takes."""


class ReceiveWindow:
    """The unsettled messages of a connection. `out` gets the answers."""

    __slots__ = (
        "_completing",
        "_early",
        "_ids",
        "_oldest",
        "held_bytes",
        "is_5",
        "max_packet_bytes",
        "messages",
        "out",
        "repeated",
        "wants_reasons",
    )

    def __init__(self, out: list[bytes]) -> None:
        self.out = out
        self.messages: deque[Publish] = deque()  # oldest first
        self.held_bytes = 0
        self.repeated = 0
        self._oldest = 0  # number of messages[0]
        self._early: dict[int, tuple[int, str]] = {}  # settled before an older one
        self._ids: dict[bytes, int] = {}  # packet id -> its newest unsettled message
        self._completing = 0  # bit by packet id: of QoS 2, answered, waits for PUBREL; 8 KB at most
        self.begin(is_5=False, max_packet_bytes=0, wants_reasons=False)

    def begin(self, *, is_5: bool, max_packet_bytes: int, wants_reasons: bool) -> None:
        """Set what is known once the client is accepted."""
        self.is_5 = is_5
        self.max_packet_bytes = max_packet_bytes
        self.wants_reasons = wants_reasons

    def admit(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        packet_id: bytes,
        correlation_data: bytes | None = None,
        oversize_bytes: int = 0,
        is_utf8: bool = False,
    ) -> Publish | None:
        """Number a message. None for one that is here already."""
        messages, ids = self.messages, self._ids
        number = self._oldest + len(messages)
        message = _new(
            Publish,
            (number, topic, payload, qos, correlation_data, oversize_bytes, is_utf8, packet_id),
        )
        if qos:
            if packet_id in ids:
                earlier = messages[ids[packet_id] - self._oldest]
                if earlier[_FIELDS_COMPARED] == message[_FIELDS_COMPARED]:
                    self.repeated += 1
                    return None
            elif qos == 2 and self._completing & _bit(packet_id):
                self.repeated += 1
                self.out.append(_REC + packet_id)
                return None
            ids[packet_id] = number
        messages.append(message)
        self.held_bytes += len(payload)
        return message

    def settle(self, number: int, reason_code: int, reason: str) -> None:
        """Answer a message, once all older ones are."""
        if number != self._oldest or not self.messages:
            self._settle_early(number, reason_code, reason)
            return
        self._settle_oldest(number, reason_code, reason)
        while self._early and self._oldest in self._early:
            number = self._oldest
            self._settle_oldest(number, *self._early.pop(number))

    def _settle_oldest(self, number: int, reason_code: int, reason: str) -> None:
        message = self.messages.popleft()
        self._oldest = number + 1
        self.held_bytes -= len(message[2])
        packet_id = message[7]
        if packet_id and self._ids[packet_id] == number:
            del self._ids[packet_id]
            if reason_code == 0 and message[3] == 1:
                self.out.append(_ACK + packet_id)
            else:
                self._answer(message, reason_code, reason)

    def _settle_early(self, number: int, reason_code: int, reason: str) -> None:
        """Remember an answer. A number that is not unsettled is of no account."""
        if self._oldest < number < self._oldest + len(self.messages):
            self._early.setdefault(number, (reason_code, reason))

    def _answer(self, message: Publish, reason_code: int, reason: str) -> None:
        head = PUBACK if message.qos == 1 else PUBREC
        packet_id = message.packet_id
        answer = bytes((head, 2)) + packet_id
        if self.is_5 and reason_code:
            answer = refused_publish(head, packet_id, reason_code, "")
            if reason and self.wants_reasons:
                longer = refused_publish(head, packet_id, reason_code, reason)
                answer = longer if len(longer) <= self.max_packet_bytes else answer
        if message.qos == 2 and not (self.is_5 and reason_code >= REFUSED_FROM):
            self._completing |= _bit(packet_id)
        self.out.append(answer)

    def complete(self, packet_id: bytes) -> None:
        """Answer PUBREL."""
        bit = _bit(packet_id)
        if self.is_5 and not self._completing & bit:
            self.out.append(bytes((PUBCOMP, 3)) + packet_id + bytes((PACKET_ID_NOT_FOUND,)))
        else:
            self._completing &= ~bit
            self.out.append(_COMP + packet_id)

    def close(self) -> None:
        """Forget everything: nothing is answered any more."""
        self.messages.clear()
        self._early.clear()
        self._ids.clear()
        self._completing = 0
        self.held_bytes = 0


def _bit(packet_id: bytes) -> int:
    return 1 << int.from_bytes(packet_id)
