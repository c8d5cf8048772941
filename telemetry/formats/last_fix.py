"""The last fix of a message as the message says it, even where the fix itself was refused.

A device knows a message again by the time and seq that it wrote, so they are read as they were
sent: nothing is checked or mended here.
"""

from typing import Any, NamedTuple, cast

import msgspec
import numpy as np

from telemetry.formats import packed
from telemetry.times import (
    EARLIEST_US,
    LATEST_US,
    TimeError,
    epoch_ms_to_us,
    parse_time_us,
)

_JSON_BEGINS = (b"{", b"[")
_GREATEST_MS = 1e15  # beyond it lies no year that can be written


class LastFix(NamedTuple):
    """time_us: microseconds since 1970. None for what the message does not tell."""

    time_us: int | None
    seq: int | None


UNKNOWN = LastFix(None, None)


def last_native_fix(payload: bytes) -> LastFix:
    """Read the last fix of JSON or MessagePack, or the only one. Never raises ValueError."""
    decode = msgspec.json.decode if payload.lstrip()[:1] in _JSON_BEGINS else msgspec.msgpack.decode
    try:
        said: object = decode(payload)
    except (ValueError, RecursionError):  # a DecodeError is a ValueError
        return UNKNOWN
    if isinstance(said, list) and said:
        said = cast("list[object]", said)[-1]
    return _of_object(cast("dict[Any, Any]", said)) if isinstance(said, dict) else UNKNOWN


def last_packed_fix(payload: bytes) -> LastFix:
    if not payload or len(payload) % packed.RECORD_BYTES:
        return UNKNOWN
    record = np.frombuffer(payload, packed.RECORD)[-1]
    return LastFix(_time_us(int(record["time_ms"])), int(record["seq"]))


def _of_object(fix: dict[Any, Any]) -> LastFix:
    seq = fix.get("seq", 0)
    return LastFix(_time_us(fix.get("time")), seq if type(seq) is int else None)


def _time_us(said: object) -> int | None:
    if isinstance(said, str):
        try:
            return parse_time_us(said)
        except TimeError:
            return None
    if type(said) not in (int, float) or not abs(cast("float", said)) <= _GREATEST_MS:
        return None
    time_us = int(epoch_ms_to_us([cast("float", said)])[0])
    return time_us if EARLIEST_US <= time_us <= LATEST_US else None
