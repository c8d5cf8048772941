"""Packets of MQTT 3.1, 3.1.1 and 5 as a device writes and reads them: pure functions over bytes.

Only what a tracker needs: it subscribes to nothing, so nothing is delivered to it.
"""

from enum import IntEnum
from typing import NamedTuple

SESSION_EXPIRY_S = 3600
_PROTOCOL_NAMES = {3: b"MQIsdp", 4: b"MQTT", 5: b"MQTT"}
_USERNAME_AND_PASSWORD = 0xC0
_DUP = 0x08
_MAX_LENGTH_BYTES = 4

PINGREQ = b"\xc0\x00"
DISCONNECT = b"\xe0\x00"


class PacketType(IntEnum):
    """Types of packets that a broker sends to a tracker: the upper half of the first byte."""

    CONNACK = 2
    PUBACK = 4
    PUBREC = 5
    PUBCOMP = 7
    PINGRESP = 13
    DISCONNECT = 14


class ReceivedPacket(NamedTuple):
    """A packet that has come: its type, and what follows its length."""

    kind: int
    body: bytes

    @property
    def packet_id(self) -> int:
        return int.from_bytes(self.body[:2], "big")

    def is_refusal(self) -> bool:
        """Return whether a PUBREC of version 5 refuses its message, so that nothing follows it."""
        return len(self.body) > 2 and self.body[2] >= 0x80


def connect(version: int, client_id: str, secret: str, keepalive_s: int) -> bytes:
    """Write CONNECT that goes on with the session before. The user name is the client id."""
    properties = b"\x05\x11" + SESSION_EXPIRY_S.to_bytes(4, "big") if version == 5 else b""
    head = _text(_PROTOCOL_NAMES[version]) + bytes([version, _USERNAME_AND_PASSWORD])
    name = _text(client_id.encode())
    rest = keepalive_s.to_bytes(2, "big") + properties + name + name + _text(secret.encode())
    return _packet(0x10, head + rest)


def publish(version: int, topic: str, content: bytes, qos: int, packet_id: int) -> bytes:
    """Write PUBLISH. packet_id is left out where the QoS is 0."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    properties = b"\x00" if version == 5 else b""
    return _packet(0x30 | qos << 1, _text(topic.encode()) + number + properties + content)


def as_repeated(packet: bytes) -> bytes:
    """Set DUP in a PUBLISH."""
    return bytes([packet[0] | _DUP]) + packet[1:]


def pubrel(packet_id: int) -> bytes:
    return _packet(0x62, packet_id.to_bytes(2, "big"))


def split(data: bytes) -> tuple[list[ReceivedPacket], bytes]:
    """Cut the complete packets off; the rest waits for more. Raises ValueError."""
    packets: list[ReceivedPacket] = []
    at = 0
    while (size := _length(data, at)) is not None:
        start, length = size
        if len(data) < start + length:
            break
        packets.append(ReceivedPacket(data[at] >> 4, data[start : start + length]))
        at = start + length
    return packets, data[at:]


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return where the content of the packet at `at` begins, and its length; None while it is
    unknown.
    """
    length = 0
    for position, byte in enumerate(data[at + 1 : at + 1 + _MAX_LENGTH_BYTES]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return at + 2 + position, length
        if position == _MAX_LENGTH_BYTES - 1:
            raise ValueError("the length of a packet has more than four bytes")
    return None


def _packet(first: int, body: bytes) -> bytes:
    length, head = len(body), bytearray([first])
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(content: bytes) -> bytes:
    return len(content).to_bytes(2, "big") + content
