"""The fields of a packet, one after the other, with every check that the specification makes.

The codec is not used to read: it panics over a string that is not UTF-8 and prints the panic, so
that a stranger could fill our log; and it takes reserved bits, U+0000, and properties that reach
beyond their length.
"""

from collections.abc import Mapping
from typing import cast

from mqtt.server.ended import MALFORMED_PACKET, PROTOCOL_ERROR, QUOTA_EXCEEDED, Violation

Value = int | str | bytes

PAYLOAD_FORMAT_INDICATOR = 0x01
CORRELATION_DATA = 0x09
SUBSCRIPTION_ID = 0x0B
SESSION_EXPIRY = 0x11
AUTHENTICATION_METHOD = 0x15
AUTHENTICATION_DATA = 0x16
REQUEST_PROBLEM_INFORMATION = 0x17
WILL_DELAY = 0x18
RECEIVE_MAXIMUM = 0x21
TOPIC_ALIAS = 0x23
USER_PROPERTY = 0x26
MAXIMUM_PACKET_SIZE = 0x27

KINDS: Mapping[int, str] = {
    PAYLOAD_FORMAT_INDICATOR: "flag",
    0x02: "u32",  # Message Expiry Interval
    0x03: "text",  # Content Type
    0x08: "text",  # Response Topic
    CORRELATION_DATA: "binary",
    SUBSCRIPTION_ID: "varint",
    SESSION_EXPIRY: "u32",
    AUTHENTICATION_METHOD: "text",
    AUTHENTICATION_DATA: "binary",
    REQUEST_PROBLEM_INFORMATION: "flag",
    WILL_DELAY: "u32",
    0x19: "flag",  # Request Response Information
    0x1F: "text",  # Reason String
    RECEIVE_MAXIMUM: "u16",
    0x22: "u16",  # Topic Alias Maximum
    TOPIC_ALIAS: "u16",
    USER_PROPERTY: "pair",
    MAXIMUM_PACKET_SIZE: "u32",
}
"""How each property that a client may send is written (MQTT 5, 2.2.2.2)."""

PROPERTIES_MAX = 64
"""In a packet; there is room for 14,000, which would keep everybody else waiting."""

OF_CONNECT = frozenset({0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27})
OF_WILL = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26})
OF_PUBLISH = frozenset({0x01, 0x02, 0x03, 0x08, 0x09, 0x23, 0x26})
OF_ANSWER = frozenset({0x1F, 0x26})
OF_SUBSCRIBE = frozenset({0x0B, 0x26})
OF_UNSUBSCRIBE = frozenset({0x26})
OF_DISCONNECT = frozenset({0x11, 0x1F, 0x26})


class Fields:
    """The bytes from `at` to `end`. Each method reads a field and moves on."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self.data = data
        self.at = at
        self.end = end

    @property
    def is_empty(self) -> bool:
        return self.at >= self.end

    def read(self, size: int) -> bytes:
        at = self.at
        if at + size > self.end:
            raise Violation(MALFORMED_PACKET, "a field reaches beyond the end of its packet")
        self.at = at + size
        return self.data[at : at + size]

    def u8(self) -> int:
        return self.read(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.read(2), "big")

    def u32(self) -> int:
        return int.from_bytes(self.read(4), "big")

    def flag(self) -> int:
        value = self.u8()
        if value > 1:
            raise Violation(PROTOCOL_ERROR, f"a property that is 0 or 1 is {value}")
        return value

    def varint(self) -> int:
        value = 0
        for position in range(4):
            byte = self.u8()
            value |= (byte & 0x7F) << (7 * position)
            if byte < 0x80:
                if position and not byte:
                    break
                return value
        raise Violation(MALFORMED_PACKET, "a variable byte integer is not the shortest form")

    def binary(self) -> bytes:
        return self.read(self.u16())

    def text(self) -> str:
        return as_text(self.binary())

    def pair(self) -> str:
        return self.text() + self.text()

    def packet_id(self) -> bytes:
        packet_id = self.read(2)
        if packet_id == b"\0\0":
            raise Violation(PROTOCOL_ERROR, "packet id 0")
        return packet_id

    def properties(self, allowed: frozenset[int]) -> dict[int, Value]:
        """Read a property length and properties; user properties are checked and dropped."""
        size = self.varint()
        fields = Fields(self.data, self.at, self.at + size)
        self.read(size)
        properties: dict[int, Value] = {}
        count = 0
        while not fields.is_empty:
            if (count := count + 1) > PROPERTIES_MAX:
                raise Violation(QUOTA_EXCEEDED, f"more than {PROPERTIES_MAX} properties")
            identifier = fields.varint()
            if identifier not in allowed:
                raise Violation(PROTOCOL_ERROR, f"property 0x{identifier:02X} does not belong here")
            value = cast(Value, getattr(fields, KINDS[identifier])())
            if identifier in properties:
                raise Violation(PROTOCOL_ERROR, f"property 0x{identifier:02X} occurs twice")
            if identifier != USER_PROPERTY:
                properties[identifier] = value
        return properties

    def must_end(self) -> None:
        if not self.is_empty:
            raise Violation(MALFORMED_PACKET, f"{self.end - self.at} bytes too many in a packet")


def as_text(data: bytes) -> str:
    """Decode a string (MQTT 5, 1.5.4): UTF-8 without surrogates and without U+0000."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise Violation(MALFORMED_PACKET, "a string is not UTF-8") from None
    if "\0" in text:
        raise Violation(MALFORMED_PACKET, "a string contains U+0000")
    return text


def as_topic(data: bytes) -> str:
    """Decode the name of a topic: not empty, no wildcards."""
    topic = as_text(data)
    if not topic:
        raise Violation(PROTOCOL_ERROR, "a topic is empty")
    if "#" in topic or "+" in topic:
        raise Violation(0x90, "a topic to publish to contains a wildcard")
    return topic
