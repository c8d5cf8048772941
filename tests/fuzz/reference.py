"""MQTT read plainly: packet by packet from the specification, without regard to speed.

The server's machine is held against this. It shares no code with it.
"""

from typing import NamedTuple

import mqtt5

from mqtt.server import ServerOptions

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 3, 4, 5, 6, 7
_KINDS = {0x01: 1, 0x02: 4, 0x03: "s", 0x08: "s", 0x09: "b", 0x23: 2, 0x26: "p"}


class Bad(Exception):
    """A packet that the specification or a bound of ours does not allow."""


class Message(NamedTuple):
    """A PUBLISH as it is to be handed out, but for its number."""

    topic: str
    payload: bytes
    qos: int
    correlation_data: bytes | None
    oversize_bytes: int
    is_utf8: bool
    packet_id: bytes


class Answer(NamedTuple):
    """A packet of the server. code: of a PUBACK, PUBREC or PUBCOMP; how many, of a SUBACK."""

    kind: int
    packet_id: int = 0
    code: int = 0


def content_range(data: bytes) -> tuple[int, int] | None:
    """Return where the content of the first packet begins and ends; None while its length is cut
    off.
    """
    size = 0
    for place in range(1, 5):
        if place >= len(data):
            return None
        size += (data[place] & 127) << 7 * (place - 1)
        if data[place] < 128:
            if place > 1 and data[place] == 0:
                raise Bad("a longer form of a length")
            return place + 1, place + 1 + size
    raise Bad("a length of five bytes")


def check_shape(version: int, head: int, content: bytes) -> None:
    """Check flags and length of a packet other than PUBLISH. Raises Bad."""
    kind, flags = head >> 4, head & (7 if version == 3 else 15)
    if kind not in (4, 6, 8, 10, 12, 14) or flags != (2 if kind in (6, 8, 10) else 0):
        raise Bad("kind or flags")
    begin = {4: 2, 6: 2, 12: 0, 14: 0}.get(kind)
    if begin is None:
        return
    if len(content) < begin or (begin and content[:2] == b"\0\0"):
        raise Bad("packet id")
    code_and_properties = content[begin:]
    if code_and_properties and (version != 5 or kind == 12):
        raise Bad("too long")
    if len(code_and_properties) > 1:
        where = content_range(code_and_properties)
        if where is None or where[1] != len(code_and_properties):
            raise Bad("properties")


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, size: int) -> bytes:
        if len(self.rest) < size:
            raise Bad("too short")
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        found = content_range(b"\0" + self.rest[:4] + bytes(4 * (len(self.rest) < 4)))
        assert found is not None
        begin, end = found
        self.take(begin - 1)
        return end - begin

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def text(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError:
            raise Bad("not UTF-8") from None
        if "\0" in text:
            raise Bad("U+0000")
        return text


class Publishes:
    """A reader of the PUBLISH packets of one client in order, since version 5 has aliases."""

    def __init__(self, version: int, options: ServerOptions) -> None:
        self._version = version
        self._options = options
        self._aliases: dict[int, str] = {}

    def read(self, head: int, content: bytes) -> Message:
        """Raise Bad."""
        options, fields = self._options, _Reader(content)
        if len(content) > options.max_packet_bytes:
            raise Bad("packet too large")
        qos = head >> 1 & 3
        if qos == 3 or (head & 8 and not qos):
            raise Bad("flags")
        topic = fields.text()
        if "#" in topic or "+" in topic:
            raise Bad("wildcard")
        packet_id = fields.take(2) if qos else b""
        if packet_id == b"\0\0":
            raise Bad("packet id 0")
        correlation, is_utf8 = None, False
        if self._version == 5:
            topic, correlation, is_utf8 = self._properties(fields, topic)
        if not topic:
            raise Bad("no topic")
        payload, oversize_bytes = fields.rest, 0
        head_bytes = len(content) - len(payload)
        if len(content) > options.max_payload_bytes and head_bytes > options.max_head_bytes:
            raise Bad("head too large")
        if len(payload) > options.max_payload_bytes:
            payload, oversize_bytes = b"", len(payload)
        return Message(topic, payload, qos, correlation, oversize_bytes, is_utf8, packet_id)

    def _properties(self, fields: _Reader, topic: str) -> tuple[str, bytes | None, bool]:
        found: dict[int, bytes | int] = {}
        properties = _Reader(fields.take(fields.varint()))
        while properties.rest:
            identifier = properties.varint()
            kind = _KINDS.get(identifier)
            if kind is None or identifier in found:
                raise Bad("property")
            if isinstance(kind, int):
                found[identifier] = properties.number(kind)
            elif kind == "b":
                found[identifier] = properties.binary()
            else:
                for _ in range(1 if kind == "s" else 2):
                    properties.text()
                if kind == "s":
                    found[identifier] = 0
        is_utf8 = found.get(0x01, 0)
        if is_utf8 not in (0, 1):
            raise Bad("payload format indicator")
        correlation = found.get(0x09)
        assert correlation is None or isinstance(correlation, bytes)
        if correlation is not None and len(correlation) > self._options.correlation_max_bytes:
            correlation = None
        alias = found.get(0x23)
        if isinstance(alias, int):
            if not 1 <= alias <= self._options.topic_alias_maximum:
                raise Bad("alias")
            topic = topic or self._aliases.get(alias, "")
            self._aliases[alias] = topic
        return topic, correlation, is_utf8 == 1


class Ledger:
    """Messages that are handed out, in order, and the answers that are due for them."""

    def __init__(self, version: int) -> None:
        self._is_5 = version == 5
        self.number = 0
        self.messages: dict[int, Message] = {}  # by number: handed out, not answered
        self._settled: dict[int, int] = {}  # number -> code, behind an older one
        self._completing: set[bytes] = set()  # ids that wait for PUBREL

    def come(self, message: Message) -> tuple[bool, list[Answer]]:
        """Return whether a message is handed out, and what is answered at once."""
        if message.qos:
            same_id = [m for m in self.messages.values() if m.packet_id == message.packet_id]
            if same_id and same_id[-1] == message:
                return False, []
            if not same_id and message.qos == 2 and message.packet_id in self._completing:
                return False, [Answer(PUBREC, _int(message.packet_id))]
        self.messages[self.number] = message
        self.number += 1
        return True, []

    def settle(self, number: int, code: int) -> list[Answer]:
        if number in self.messages:
            self._settled.setdefault(number, code)
        due: list[Answer] = []
        while self.messages and (oldest := next(iter(self.messages))) in self._settled:
            code = self._settled.pop(oldest) if self._is_5 else self._settled.pop(oldest) and 0
            message = self.messages.pop(oldest)
            if any(m.packet_id == message.packet_id for m in self.messages.values()):
                continue  # its id has one answer, when the newest is settled
            if message.qos:
                due.append(Answer(3 + message.qos, _int(message.packet_id), code))
            if message.qos == 2 and code < 0x80:
                self._completing.add(message.packet_id)
        return due

    def release(self, packet_id: bytes) -> Answer:
        """Answer a PUBREL."""
        known = packet_id in self._completing
        self._completing.discard(packet_id)
        return Answer(PUBCOMP, _int(packet_id), 0 if known or not self._is_5 else 0x92)


def _int(packet_id: bytes) -> int:
    return int.from_bytes(packet_id, "big")


def read_answers(version: int, data: bytes, max_packet_bytes: int) -> list[Answer]:
    """Read what the server sent; for version 5 with the codec."""
    found: list[Answer] = []
    while data:
        where = content_range(data)
        assert where is not None
        begin, end = where
        assert end <= len(data), "the server sent half a packet"
        assert end <= max_packet_bytes, "longer than the client takes"
        found.append(_codec_reads(data[:end]) if version == 5 else _plain(data[0], data[begin:end]))
        data = data[end:]
    return found


def _codec_reads(data: bytes) -> Answer:
    packet, size = mqtt5.read(memoryview(data))
    assert size == len(data)
    packet_id = getattr(packet, "packet_id", None) or 0
    if isinstance(packet, mqtt5.SubAckPacket | mqtt5.UnsubAckPacket):
        return Answer(data[0] >> 4, packet_id, len(packet.reason_codes))
    return Answer(data[0] >> 4, packet_id, int(getattr(packet, "reason_code", 0)))


def _plain(head: int, content: bytes) -> Answer:
    kind = head >> 4
    if kind == PUBLISH:
        topic_bytes = _int(content[:2])
        has_id = bool(head & 6)
        return Answer(kind, _int(content[2 + topic_bytes : 4 + topic_bytes]) if has_id else 0)
    if kind in (PUBACK, PUBREC, PUBCOMP, 11):
        assert head & 15 == 0
        assert len(content) == 2
        return Answer(kind, _int(content))
    if kind == 9:
        assert set(content[2:]) <= {0, 1, 2, 0x80}
        return Answer(kind, _int(content[:2]), len(content) - 2)
    if kind == 2:
        assert len(content) == 2
        return Answer(kind, 0, content[1])
    assert (head, content) == (0xD0, b"")
    return Answer(kind)
