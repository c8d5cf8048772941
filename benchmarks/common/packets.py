"""MQTT 3.1.1 packets as bytes, as few as a load generator and a counting subscriber need.

Our own bytes instead of a client library: what the ceilings measure is the broker. (MQTT Version
3.1.1, OASIS Standard, chapter 3.)
"""

import struct

CONNACK_BYTES = 4
PUBACK_BYTES = 4
DISCONNECT = b"\xe0\x00"


def connect(client_id: str, secret: str | None = None) -> bytes:
    """Return the options of a clean session without keepalive; with a secret, signed in under the
    client id.
    """
    flags, signature = b"\x02", b""
    if secret is not None:
        flags, signature = b"\xc2", _text(client_id) + _text(secret)
    body = b"\x00\x04MQTT\x04" + flags + b"\x00\x00" + _text(client_id) + signature
    return b"\x10" + remaining_length(len(body)) + body


def subscribe(topic_filter: str, packet_id: int = 1) -> bytes:
    """Return one filter at QoS 1."""
    name = topic_filter.encode()
    body = struct.pack(">HH", packet_id, len(name)) + name + b"\x01"
    return b"\x82" + remaining_length(len(body)) + body


def publish_head(topic: str, packet_id: int, payload_bytes: int) -> bytes:
    """Return all of a QoS 1 PUBLISH that stands before its payload."""
    name = topic.encode()
    length = remaining_length(4 + len(name) + payload_bytes)
    return b"\x32" + length + struct.pack(">H", len(name)) + name + struct.pack(">H", packet_id)


def remaining_length(length: int) -> bytes:
    """Return a length in 7-bit groups, least significant first."""
    groups = bytearray()
    while True:
        length, group = divmod(length, 128)
        groups.append(group | (0x80 if length else 0))
        if not length:
            return bytes(groups)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
