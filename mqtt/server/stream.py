"""The bytes of an accepted connection: messages out of them, however the network cut them.

A PUBLISH is read on the spot, by index, since there are many. Other packets go to `on_packet`.
A payload that is too long is read past without being held. At most one packet within the bounds,
and one read, are held.
"""

from collections.abc import Callable
from typing import TypeAlias

from mqtt.server.ended import (
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    TOPIC_ALIAS_INVALID,
    Violation,
)
from mqtt.server.events import Event, Publish
from mqtt.server.fields import (
    CORRELATION_DATA,
    OF_PUBLISH,
    PAYLOAD_FORMAT_INDICATOR,
    TOPIC_ALIAS,
    Fields,
    as_topic,
)
from mqtt.server.options import ServerOptions
from mqtt.server.states import Packet
from mqtt.server.window import ReceiveWindow

OnPacket: TypeAlias = Callable[[int, bytes, int, int, list[Event]], bool]
"""Handles a packet: first byte, data, begin and end of its content. False: nothing may follow."""
LEVEL_5 = 5
LENGTH_BYTES_MAX = 4
_PUBLISH_HEADS = frozenset({0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D})
"""First bytes of a PUBLISH: not QoS 3, and not DUP with QoS 0."""


class Stream:
    """The received bytes whose packet is not complete. Raises `Violation`, after which it must not
    be used again.
    """

    __slots__ = (
        "_admit",
        "_aliases",
        "_expected_bytes",
        "_options",
        "_passing",
        "_passing_bytes",
        "_short_bytes",
        "_topic",
        "_topic_bytes",
        "held",
        "version",
    )

    def __init__(self, options: ServerOptions, window: ReceiveWindow) -> None:
        self.version = 0
        self.held = bytearray()
        """A packet that is not complete."""
        self._options = options
        self._admit = window.admit
        self._expected_bytes = 0  # how many have to be held before a look is worth it
        self._passing: Publish | None = None  # an oversize message that is read past
        self._passing_bytes = 0  # what is left of it
        self._short_bytes = min(options.max_head_bytes, options.max_payload_bytes)
        self._topic_bytes: bytes | None = None  # of the last message, and what they say
        self._topic = ""
        self._aliases: dict[int, str] | None = None

    def close(self) -> None:
        """Let go of what is held."""
        self.held.clear()
        self._passing = None

    def feed(self, data: bytes, events: list[Event], on_packet: OnPacket) -> None:
        """Append the messages of `data` to `events`, and have other packets taken."""
        if self._passing is not None:
            data = self._pass_by(data, events)
        if self.held:
            data = self._joined(data)
        self._read(data, events, on_packet)

    def _read(self, data: bytes, events: list[Event], on_packet: OnPacket) -> None:
        """Read packets. This is the hot path: no object per packet but the event."""
        admit, is_5 = self._admit, self.version == LEVEL_5
        short = self._short_bytes
        at, end, stop = 0, len(data), 0
        while end - at >= 2:
            head, size, begin = data[at], data[at + 1], at + 2
            if size > 127:
                if end > begin and 0 < data[begin] < 128:  # two bytes, as most
                    size += (data[begin] << 7) - 128
                    begin += 1
                else:
                    size, begin = remaining_length(data, at)
                    if begin == 0:
                        break
            stop = begin + size
            if size > short and (passed := self._pass_long(data, at, begin, size, events)):
                at = passed
                continue
            if stop > end:
                break
            if head & 0xF0 != 0x30:
                at = stop
                if on_packet(head, data, begin, stop, events):
                    continue
                return
            if size < 2 or head not in _PUBLISH_HEADS:
                raise Violation(MALFORMED_PACKET, f"PUBLISH begins with {head:#x}, {size} bytes")
            payload_at = begin + 2 + (data[begin] << 8 | data[begin + 1])
            if payload_at > stop:
                raise too_short()
            topic_bytes = data[begin + 2 : payload_at]
            if topic_bytes == self._topic_bytes:
                topic = self._topic
            else:
                topic = self._new_topic(topic_bytes)
            packet_id = b""
            qos = head >> 1 & 3
            if qos:
                packet_id = data[payload_at : payload_at + 2]
                payload_at += 2
                if packet_id == b"\0\0":
                    raise Violation(PROTOCOL_ERROR, "PUBLISH with packet id 0")
            if is_5:
                if payload_at >= stop:
                    raise too_short()
                if data[payload_at] == 0 and topic:
                    payload_at += 1
                    message = admit(topic, data[payload_at:stop], qos, packet_id)
                else:
                    fields = Fields(data, payload_at, stop)
                    topic, correlation, is_utf8 = self._publish_properties(fields, topic)
                    payload = data[fields.at : stop]
                    message = admit(topic, payload, qos, packet_id, correlation, 0, is_utf8)
            else:
                if payload_at > stop:
                    raise too_short()
                message = admit(topic, data[payload_at:stop], qos, packet_id)
            if message is not None:
                events.append(message)
            at = stop
        if at < end:
            self._hold(data[at:], stop - at)

    def _new_topic(self, topic_bytes: bytes) -> str:
        """Decode a topic other than the last one. Empty: version 5 may have an alias."""
        if not topic_bytes and self.version == LEVEL_5:
            return ""
        topic = as_topic(topic_bytes)
        if len(topic) <= self._options.aliased_max_characters:
            self._topic, self._topic_bytes = topic, topic_bytes
        return topic

    def _publish_properties(self, fields: Fields, topic: str) -> tuple[str, bytes | None, bool]:
        """Return the topic, the correlation data and whether the payload is text."""
        properties = fields.properties(OF_PUBLISH)
        if TOPIC_ALIAS in properties:
            topic = self._aliased(int(properties[TOPIC_ALIAS]), topic)
        if not topic:
            raise Violation(PROTOCOL_ERROR, "PUBLISH without a topic and without an alias")
        correlation = properties.get(CORRELATION_DATA)
        if not isinstance(correlation, bytes) or len(correlation) > (
            self._options.correlation_max_bytes
        ):
            correlation = None
        return topic, correlation, bool(properties.get(PAYLOAD_FORMAT_INDICATOR))

    def _aliased(self, alias: int, topic: str) -> str:
        """Define an alias, or look it up where there is no topic."""
        if not 1 <= alias <= self._options.topic_alias_maximum:
            text = f"topic alias {alias}; we take 1 to {self._options.topic_alias_maximum}"
            raise Violation(TOPIC_ALIAS_INVALID, text)
        if self._aliases is None:
            self._aliases = {}
        if topic:
            if len(topic) > self._options.aliased_max_characters:
                raise Violation(TOPIC_ALIAS_INVALID, f"an alias for {len(topic)} characters")
            self._aliases[alias] = topic
        elif alias not in self._aliases:
            raise Violation(PROTOCOL_ERROR, f"topic alias {alias} is not defined")
        return self._aliases[alias]

    # Packets in pieces --------------------------------------------------------------------------

    def _hold(self, rest: bytes, expected_bytes: int) -> None:
        self.held += rest
        self._expected_bytes = expected_bytes

    def _joined(self, data: bytes) -> bytes:
        """Return what is held with `data`; nothing as long as a packet is not complete."""
        self.held += data
        if len(self.held) < self._expected_bytes:
            return b""
        data = bytes(self.held)
        self.held.clear()
        self._expected_bytes = 0
        return data

    def _pass_long(self, data: bytes, at: int, begin: int, size: int, events: list[Event]) -> int:
        """Judge a long packet. Returns 0 to go on with it, else where to go on after it."""
        options, is_publish = self._options, data[at] >> 4 == Packet.PUBLISH
        bound = options.max_packet_bytes if is_publish else options.max_head_bytes
        if size > bound:
            raise Violation(PACKET_TOO_LARGE, f"packet of {size} bytes; we take {bound}")
        if not is_publish or size <= options.max_payload_bytes:
            return 0
        look_bytes = min(size, options.max_head_bytes)
        if len(data) - begin < look_bytes:
            self._hold(data[at:], begin - at + look_bytes)
            return len(data)
        message = self._oversize(data[at], Fields(data, begin, begin + look_bytes), size)
        if message is None:
            return 0
        self._passing, self._passing_bytes = message, begin + size
        return len(data) - len(self._pass_by(data, events))

    def _oversize(self, head: int, fields: Fields, size: int) -> Publish | None:
        """Read a PUBLISH up to its payload; None if the payload is not too long after all."""
        if head not in _PUBLISH_HEADS:
            raise Violation(MALFORMED_PACKET, f"PUBLISH begins with {head:#x}")
        stop = fields.at + size
        topic = self._new_topic(fields.binary())
        qos = head >> 1 & 3
        packet_id = fields.packet_id() if qos else b""
        correlation, is_utf8 = None, False
        if self.version == LEVEL_5:
            topic, correlation, is_utf8 = self._publish_properties(fields, topic)
        payload_bytes = stop - fields.at
        if payload_bytes <= self._options.max_payload_bytes:
            return None
        return Publish(0, topic, b"", qos, correlation, payload_bytes, is_utf8, packet_id)

    def _pass_by(self, data: bytes, events: list[Event]) -> bytes:
        """Read past an oversize message; hand it out at its end. Return what follows it."""
        left = self._passing_bytes - len(data)
        if left > 0 or self._passing is None:
            self._passing_bytes = left
            return b""
        passed, self._passing = self._passing, None
        _, topic, payload, qos, correlation, oversize_bytes, is_utf8, packet_id = passed
        message = self._admit(topic, payload, qos, packet_id, correlation, oversize_bytes, is_utf8)
        if message is not None:
            events.append(message)
        return data[self._passing_bytes :]


def remaining_length(data: bytes, at: int) -> tuple[int, int]:
    """Read the length after the byte at `at` (MQTT 5, 1.5.5): the length, and where it ends.

    Where it is not complete, both are 0.
    """
    length = 0
    for position, byte in enumerate(data[at + 1 : at + 1 + LENGTH_BYTES_MAX]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if position and not byte:
                break
            return length, at + 2 + position
    else:
        if len(data) - at <= LENGTH_BYTES_MAX:
            return 0, 0
    raise Violation(MALFORMED_PACKET, "a remaining length is not the shortest form of 4 bytes")


def too_short() -> Violation:
    return Violation(MALFORMED_PACKET, "a field reaches beyond the end of its packet")
