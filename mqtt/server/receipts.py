"""Subscriptions, of which two count, and what they deliver: receipts and commands.

A client may subscribe to what `may_filter` permits. Only filters that match its own `ack` topic, or
are a topic of commands, deliver anything.
"""

from collections import deque
from collections.abc import Callable

from mqtt.server import answers
from mqtt.server.connecting import ClientBounds
from mqtt.server.ended import (
    NOT_AUTHORIZED,
    QUOTA_EXCEEDED,
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
    TOPIC_FILTER_INVALID,
)
from mqtt.server.events import Receipts
from mqtt.server.options import ServerOptions

NO_SUBSCRIPTION_EXISTED = 0x11


class Subscriptions:
    """The filters of a connection, and whether they ask for receipts and commands."""

    def __init__(
        self,
        options: ServerOptions,
        ack_topic: str,
        may_filter: Callable[[str], bool],
        is_command_topic: Callable[[str], bool],
    ) -> None:
        self._options = options
        self._ack_topic = ack_topic
        self._may_filter = may_filter
        self._is_command_topic = is_command_topic
        self._granted: dict[str, int] = {}
        self._is_resumed = False
        self.receipt_qos: int | None = None
        """The QoS of receipts; None if the client wants none."""
        self.command_topic: str | None = None
        """On which the client hears commands; None if it wants none."""

    def resume(self, *, wants_receipts: bool, command_topic: str | None) -> None:
        """Take up what a session that goes on has subscribed to; the filter of receipts is not
        known.
        """
        self._is_resumed = wants_receipts
        if command_topic is not None:
            self._granted[command_topic] = 1
        self._note()

    def _note(self) -> None:
        asked = [qos for f, qos in self._granted.items() if matches(f, self._ack_topic)]
        if self._is_resumed:
            asked.append(1)
        self.receipt_qos = min(max(asked), 1) if asked else None
        self.command_topic = next(filter(self._is_command_topic, self._granted), None)

    @property
    def wanted(self) -> Receipts:
        """What the client hears."""
        return Receipts(self.receipt_qos is not None, self.command_topic)

    def qos_of(self, topic: str) -> int | None:
        """Return the QoS of what is delivered on a topic; None if the client wants none of it."""
        if topic == self._ack_topic:
            return self.receipt_qos
        return min(self._granted[topic], 1) if topic == self.command_topic else None

    def add(self, pattern: str, qos: int) -> int:
        """Return the reason code for a filter (MQTT 5)."""
        if pattern.startswith("$share/"):
            return SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        if not is_filter(pattern) or len(pattern) > self._options.max_filter_bytes:
            return TOPIC_FILTER_INVALID
        if not self._may_filter(pattern):
            return NOT_AUTHORIZED
        if pattern not in self._granted and len(self._granted) >= self._options.max_filters:
            return QUOTA_EXCEEDED
        self._granted[pattern] = qos
        self._note()
        return qos

    def remove(self, pattern: str) -> int:
        """Return the reason code for a filter (MQTT 5)."""
        existed = self._granted.pop(pattern, None) is not None
        if self._is_resumed and matches(pattern, self._ack_topic):
            self._is_resumed, existed = False, True
        self._note()
        return 0 if existed else NO_SUBSCRIPTION_EXISTED


class Deliveries:
    """Receipts on their way to the client, at most as many unanswered as it takes."""

    def __init__(self, options: ServerOptions, bounds: ClientBounds, version: int) -> None:
        self._max = options.receipts_max
        self._bounds = bounds
        self._version = version
        self._waiting: deque[tuple[str, bytes, bytes | None]] = deque()
        self._unanswered: set[int] = set()
        self._last_id = 0

    def put(
        self, topic: str, payload: bytes, correlation_data: bytes | None, qos: int
    ) -> bytes | None:
        """Return what is to be sent now, maybe nothing yet; None if the receipt is given up."""
        if qos == 0:
            packet = self._encode(topic, payload, correlation_data, 0)
            return packet if len(packet) <= self._bounds.max_packet_bytes else None
        size = len(self._encode(topic, payload, correlation_data, 1))
        is_full = len(self._waiting) + len(self._unanswered) >= self._max
        if is_full or size > self._bounds.max_packet_bytes:
            return None
        self._waiting.append((topic, payload, correlation_data))
        return self._next()

    def answered(self, packet_id: int) -> bytes:
        """Take a PUBACK; return what may be sent now."""
        self._unanswered.discard(packet_id)
        return self._next()

    def _next(self) -> bytes:
        if not self._waiting or len(self._unanswered) >= self._bounds.receive_maximum:
            return b""
        packet_id = self._last_id % 65_535 + 1
        while packet_id in self._unanswered:
            packet_id = packet_id % 65_535 + 1
        self._last_id = packet_id
        self._unanswered.add(packet_id)
        return self._encode(*self._waiting.popleft(), packet_id)

    def _encode(
        self, topic: str, payload: bytes, correlation_data: bytes | None, packet_id: int
    ) -> bytes:
        return answers.publish(self._version, topic, payload, correlation_data, packet_id)


def is_filter(pattern: str) -> bool:
    """Return whether wildcards stand where they may (MQTT 5, 4.7.1)."""
    levels = pattern.split("/")
    if not pattern or "#" in "".join(levels[:-1]):
        return False
    return all(level in {"#", "+"} or not set(level) & {"#", "+"} for level in levels)


def matches(pattern: str, topic: str) -> bool:
    """Return whether a filter includes a topic."""
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        levels = levels[: len(wanted)]
    return len(wanted) == len(levels) and all(
        want in {"+", level} for want, level in zip(wanted, levels, strict=True)
    )
