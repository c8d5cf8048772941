"""SUBSCRIBE, UNSUBSCRIBE, DISCONNECT and answers: what they say, without what we do not use.

Each reads its packet to the end, so that nothing is done for one that is malformed.
"""

from collections.abc import Sequence

from mqtt.server.ended import (
    MALFORMED_PACKET,
    NORMAL,
    QUOTA_EXCEEDED,
    SUBSCRIPTION_IDS_NOT_SUPPORTED,
    Violation,
)
from mqtt.server.fields import (
    OF_ANSWER,
    OF_DISCONNECT,
    OF_SUBSCRIBE,
    OF_UNSUBSCRIBE,
    SESSION_EXPIRY,
    SUBSCRIPTION_ID,
    Fields,
)

FILTERS_MAX = 64
"""In a packet; there is room for 18,000, which would keep everybody else waiting."""
_QOS, _RETAIN_HANDLING = 0x03, 0x30
_RESERVED_OPTIONS = {3: 0x00, 4: 0xFC, 5: 0xC0}


def read_subscribe(fields: Fields, version: int) -> tuple[bytes, list[tuple[str, int]]]:
    """Return the packet id, and filters with their QoS."""
    packet_id = fields.packet_id()
    if version == 5 and SUBSCRIPTION_ID in fields.properties(OF_SUBSCRIBE):
        raise Violation(SUBSCRIPTION_IDS_NOT_SUPPORTED, "SUBSCRIBE with an id")
    filters = [(fields.text(), _qos(fields, version))]
    while not fields.is_empty:
        _check_count(filters)
        filters.append((fields.text(), _qos(fields, version)))
    return packet_id, filters


def _qos(fields: Fields, version: int) -> int:
    options = fields.u8()
    if options & _RESERVED_OPTIONS[version]:
        raise Violation(MALFORMED_PACKET, f"SUBSCRIBE with reserved options {options:#04x}")
    if options & _QOS == _QOS or options & _RETAIN_HANDLING == _RETAIN_HANDLING:
        raise Violation(MALFORMED_PACKET, f"SUBSCRIBE with options {options:#04x}")
    return options & _QOS


def read_unsubscribe(fields: Fields, version: int) -> tuple[bytes, list[str]]:
    """Return the packet id and filters."""
    packet_id = fields.packet_id()
    if version == 5:
        fields.properties(OF_UNSUBSCRIBE)
    patterns = [fields.text()]
    while not fields.is_empty:
        _check_count(patterns)
        patterns.append(fields.text())
    return packet_id, patterns


def _check_count(filters: Sequence[object]) -> None:
    if len(filters) == FILTERS_MAX:
        raise Violation(QUOTA_EXCEEDED, f"more than {FILTERS_MAX} filters in a packet")


def read_answer(fields: Fields, version: int) -> bytes:
    """Return the packet id of a PUBACK or PUBREL. Their reasons change nothing."""
    packet_id = fields.packet_id()
    if version == 5 and not fields.is_empty:
        fields.u8()
        if not fields.is_empty:
            fields.properties(OF_ANSWER)
    fields.must_end()
    return packet_id


def read_disconnect(fields: Fields, version: int) -> tuple[int, int | None]:
    """Return the reason code, and the session expiry if it is to be another one."""
    if version != 5 or fields.is_empty:
        fields.must_end()
        return NORMAL, None
    reason_code = fields.u8()
    properties = {} if fields.is_empty else fields.properties(OF_DISCONNECT)
    fields.must_end()
    expiry_s = properties.get(SESSION_EXPIRY)
    return reason_code, None if expiry_s is None else int(expiry_s)
