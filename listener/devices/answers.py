"""The answers to a device's messages: MQTT 5's reason codes for the results of ingest."""

from collections.abc import Mapping

from telemetry.rejection import Reason
from telemetry.result import Result

SUCCESS = 0x00
IMPLEMENTATION_SPECIFIC = 0x83
NOT_AUTHORIZED = 0x87
QUOTA_EXCEEDED = 0x97
PAYLOAD_FORMAT_INVALID = 0x99

_SPECIAL = {
    Result.STORED: SUCCESS,
    Result.UNKNOWN_TRACKER: NOT_AUTHORIZED,
    Result.REVOKED_TRACKER: NOT_AUTHORIZED,
    Result.WRONG_TOPIC: NOT_AUTHORIZED,
    Result.RATE: QUOTA_EXCEEDED,
    Result.OVERSIZE: QUOTA_EXCEEDED,
    Result.BEYOND_QUARANTINE: QUOTA_EXCEEDED,
}
REASON_CODES: Mapping[int, int] = {
    result: _SPECIAL.get(result, IMPLEMENTATION_SPECIFIC) for result in Result
}
"""By result. A client that says that its payload is UTF-8 hears 0x99 where it cannot be decoded."""

_TEXT = {Result.of(reason): str(reason) for reason in Reason if reason.name in Result.__members__}


def reason_code(result: int, *, is_utf8: bool) -> int:
    """Return the reason code of a PUBACK or PUBREC."""
    if result == Result.UNDECODABLE and is_utf8:
        return PAYLOAD_FORMAT_INVALID
    return REASON_CODES.get(result, IMPLEMENTATION_SPECIFIC)


def reason_text(result: int) -> str:
    """Return the reason in words; empty where the message is stored."""
    if result == Result.BEYOND_QUARANTINE:
        return "refused, and the quarantine is full for today"
    return _TEXT.get(Result(result), "") if result in Result._value2member_map_ else ""
