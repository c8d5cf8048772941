"""The packets that the server sends, in the client's version."""

import mqtt5

from mqtt.server.ended import (
    BAD_USER_NAME_OR_PASSWORD,
    CLIENT_ID_NOT_VALID,
    NOT_AUTHORIZED,
    SERVER_UNAVAILABLE,
    UNSUPPORTED_PROTOCOL_VERSION,
)
from mqtt.server.options import ServerOptions

PINGRESP = b"\xd0\x00"
PUBACK, PUBREC, PUBCOMP = 0x40, 0x50, 0x70

_REFUSED = 0x80
_RETURN_CODES = {
    0: 0,
    UNSUPPORTED_PROTOCOL_VERSION: 1,
    CLIENT_ID_NOT_VALID: 2,
    BAD_USER_NAME_OR_PASSWORD: 4,
    NOT_AUTHORIZED: 5,
}
"""Return codes of 3.1 and 3.1.1. Any other reason may pass: 3, the only code that is not final."""


def connack(
    version: int,
    options: ServerOptions,
    *,
    session_present: bool,
    assigned_client_id: str | None,
    session_expiry_s: int | None,
    keepalive_s: int | None,
) -> bytes:
    """Accept. What is None is as the client asked."""
    if version != 5:
        return bytes((0x20, 2, session_present and version == 4, 0))
    return mqtt5.ConnAckPacket(
        session_present=session_present,
        session_expiry_interval=session_expiry_s,
        assigned_client_id=assigned_client_id,
        server_keep_alive=keepalive_s,
        receive_max=options.receive_maximum,
        topic_alias_max=options.topic_alias_maximum,
        max_packet_size=options.max_packet_bytes,
        subscription_id_available=False,
        shared_subscription_available=False,
    ).write()


def refusal(version: int, reason_code: int) -> bytes:
    """Return a CONNACK that refuses."""
    if version != 5:
        return bytes((0x20, 2, 0, _RETURN_CODES.get(reason_code, 3)))
    try:
        mqtt5.ConnAckReasonCode(reason_code)
    except ValueError:  # a reason to end a connection that is none to refuse one
        reason_code = SERVER_UNAVAILABLE
    return bytes((0x20, 3, 0, reason_code, 0))


def disconnect(reason_code: int, text: str, max_packet_bytes: int) -> bytes:
    """Return a DISCONNECT of version 5, with its reason in words if the client takes so long a
    packet.
    """
    reason = mqtt5.DisconnectReasonCode(reason_code)
    packet = mqtt5.DisconnectPacket(reason_code=reason, reason_str=text or None).write()
    return packet if len(packet) <= max_packet_bytes else bytes((0xE0, 1, reason_code))


def refused_publish(head: int, packet_id: bytes, reason_code: int, reason: str) -> bytes:
    """Return a PUBACK or PUBREC of version 5 with a reason code."""
    if not reason:
        return bytes((head, 3)) + packet_id + bytes((reason_code,))
    number = int.from_bytes(packet_id, "big")
    if head == PUBACK:
        code = mqtt5.PubAckReasonCode(reason_code)
        return mqtt5.PubAckPacket(number, reason_code=code, reason_str=reason).write()
    code = mqtt5.PubRecReasonCode(reason_code)
    return mqtt5.PubRecPacket(number, reason_code=code, reason_str=reason).write()


def suback(version: int, packet_id: bytes, codes: list[int]) -> bytes:
    """Return a SUBACK; before version 5 any refusal is 0x80."""
    if version == 5:
        return mqtt5.SubAckPacket(
            int.from_bytes(packet_id, "big"), [mqtt5.SubAckReasonCode(code) for code in codes]
        ).write()
    plain = bytes(min(code, _REFUSED) for code in codes)
    return b"\x90" + varint(2 + len(plain)) + packet_id + plain


def unsuback(version: int, packet_id: bytes, codes: list[int]) -> bytes:
    """Return an UNSUBACK, which has no codes before version 5."""
    if version != 5:
        return b"\xb0\x02" + packet_id
    return mqtt5.UnsubAckPacket(
        int.from_bytes(packet_id, "big"), [mqtt5.UnsubAckReasonCode(code) for code in codes]
    ).write()


def publish(
    version: int, topic: str, payload: bytes, correlation_data: bytes | None, packet_id: int
) -> bytes:
    """Return a PUBLISH; packet id 0 stands for QoS 0."""
    if version == 5:
        qos = mqtt5.QoS.AT_LEAST_ONCE if packet_id else mqtt5.QoS.AT_MOST_ONCE
        return mqtt5.PublishPacket(
            topic, payload, qos=qos, packet_id=packet_id or None, correlation_data=correlation_data
        ).write()
    name = topic.encode()
    id_bytes = packet_id.to_bytes(2, "big") if packet_id else b""
    body = len(name).to_bytes(2, "big") + name + id_bytes + payload
    return bytes((0x32 if packet_id else 0x30,)) + varint(len(body)) + body


def varint(value: int) -> bytes:
    """Write a length as MQTT does: seven bits a byte, lowest first."""
    written = bytearray()
    while value > 127:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)
