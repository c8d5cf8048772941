"""CONNECT, of all three versions, and what it says about the client's bounds."""

from typing import NamedTuple

from mqtt.server.ended import (
    BAD_AUTHENTICATION_METHOD,
    CLIENT_ID_NOT_VALID,
    MALFORMED_PACKET,
    PACKET_TOO_LARGE,
    PROTOCOL_ERROR,
    UNSUPPORTED_PROTOCOL_VERSION,
    Violation,
)
from mqtt.server.events import Connect, Will
from mqtt.server.fields import (
    AUTHENTICATION_DATA,
    AUTHENTICATION_METHOD,
    MAXIMUM_PACKET_SIZE,
    OF_CONNECT,
    OF_WILL,
    RECEIVE_MAXIMUM,
    REQUEST_PROBLEM_INFORMATION,
    SESSION_EXPIRY,
    WILL_DELAY,
    Fields,
    Value,
    as_topic,
)
from mqtt.server.options import ServerOptions

CLIENT_PACKET_MIN_BYTES = 64
"""A client of version 5 that takes less may not be sent our CONNACK with a client id."""
_NAMES = {b"MQIsdp": {3}, b"MQTT": {4, 5}}
_RESERVED, _CLEAN, _WILL, _WILL_QOS, _WILL_RETAIN, _PASSWORD, _USERNAME = (
    0x01,
    0x02,
    0x04,
    0x18,
    0x20,
    0x40,
    0x80,
)


class ClientBounds(NamedTuple):
    """The limits of the client (version 5; the older versions take everything)."""

    receive_maximum: int = 65_535
    max_packet_bytes: int = 268_435_460
    wants_reasons: bool = True


def check_version(name: bytes, level: int) -> None:
    """Raise for a protocol that we do not speak."""
    if level not in _NAMES.get(name, ()):
        text = f"protocol {name[:8]!r} with level {level}; we speak MQTT 3.1, 3.1.1 and 5"
        raise Violation(UNSUPPORTED_PROTOCOL_VERSION, text)


def read_connect(
    fields: Fields, version: int, options: ServerOptions
) -> tuple[Connect, ClientBounds]:
    """Read a CONNECT after its version, to its end."""
    flags, keepalive_s = fields.u8(), fields.u16()
    _check_flags(flags, version)
    properties = fields.properties(OF_CONNECT) if version == 5 else {}
    bounds = _bounds(properties)
    is_clean = bool(flags & _CLEAN)
    expiry_s = _session_expiry_s(properties, version, is_clean, options)
    client_id = fields.text()
    will = _will(fields, version, expiry_s) if flags & _WILL else None
    username = fields.text() if flags & _USERNAME else None
    password = fields.binary() if flags & _PASSWORD else None
    fields.must_end()
    if AUTHENTICATION_METHOD in properties:
        text = f"method {properties[AUTHENTICATION_METHOD]!r}; we take a user name and a password"
        raise Violation(BAD_AUTHENTICATION_METHOD, text)
    if not client_id and (version == 3 or (version == 4 and not is_clean)):
        raise Violation(CLIENT_ID_NOT_VALID, "a client id is needed for a session that is kept")
    connect = Connect(version, client_id, username, password, is_clean, keepalive_s, expiry_s, will)
    return connect, bounds


def _check_flags(flags: int, version: int) -> None:
    if flags & _RESERVED and version != 3:
        raise Violation(MALFORMED_PACKET, "CONNECT sets a reserved flag")
    if flags & _WILL_QOS == _WILL_QOS:
        raise Violation(MALFORMED_PACKET, "CONNECT has a will with QoS 3")
    if flags & (_WILL_QOS | _WILL_RETAIN) and not flags & _WILL and version != 3:
        raise Violation(MALFORMED_PACKET, "CONNECT sets flags of a will and has none")
    if flags & _PASSWORD and not flags & _USERNAME and version != 5:
        raise Violation(MALFORMED_PACKET, "CONNECT has a password and no user name")


def _bounds(properties: dict[int, Value]) -> ClientBounds:
    bounds = ClientBounds(
        int(properties.get(RECEIVE_MAXIMUM, 65_535)),
        int(properties.get(MAXIMUM_PACKET_SIZE, 268_435_460)),
        bool(properties.get(REQUEST_PROBLEM_INFORMATION, 1)),
    )
    if not bounds.receive_maximum or not bounds.max_packet_bytes:
        raise Violation(PROTOCOL_ERROR, "a maximum of 0")
    if bounds.max_packet_bytes < CLIENT_PACKET_MIN_BYTES:
        text = f"packets of {CLIENT_PACKET_MIN_BYTES} bytes are needed"
        raise Violation(PACKET_TOO_LARGE, text)
    if AUTHENTICATION_DATA in properties and AUTHENTICATION_METHOD not in properties:
        raise Violation(PROTOCOL_ERROR, "authentication data without a method")
    return bounds


def _session_expiry_s(
    properties: dict[int, Value], version: int, is_clean: bool, options: ServerOptions
) -> int:
    if version == 5:
        return min(int(properties.get(SESSION_EXPIRY, 0)), options.session_expiry_max_s)
    return 0 if is_clean else options.session_expiry_max_s


def _will(fields: Fields, version: int, session_expiry_s: int) -> Will:
    """Read a will. It is due when its delay or the session ends, whichever is first."""
    properties = fields.properties(OF_WILL) if version == 5 else {}
    topic, payload = as_topic(fields.binary()), fields.binary()
    return Will(topic, payload, min(int(properties.get(WILL_DELAY, 0)), session_expiry_s))
