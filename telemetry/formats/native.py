"""Fixes written as JSON or MessagePack, one object or an array of objects.

Nearly all messages take the straight way: msgspec reads the whole message into `Fix` objects. A
message that it refuses, whatever the cause, is read a second time as plain values and judged fix by
fix: slower, and alone responsible for unknown keys, nulls and what is wrong with which fix. What
the straight way accepts, the careful way would read as the same.

A payload is JSON when its first byte after blanks is { or [, else MessagePack.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from telemetry.formats.decoded import MAX_MESSAGE_BYTES, Decoded, oversize_message
from telemetry.formats.gather import FLUSH_FIXES, Fix, Gathered
from telemetry.ranges import RANGES
from telemetry.rejection import Reason, Rejection

_BLANKS = b" \t\r\n"
_KEYS = frozenset(Fix.__struct_fields__)
_REQUIRED = (
    ("time", Reason.UNDECODABLE),
    ("lat", Reason.NO_POSITION),
    ("lon", Reason.NO_POSITION),
)


@dataclass(frozen=True, slots=True)
class _Codec:
    """One of the two formats: the straight reading, the careful one, and what it is not."""

    fixes: Callable[[bytes], Fix | list[Fix]]
    plain: Callable[[bytes], Any]
    refusal: str


_JSON = _Codec(
    msgspec.json.Decoder(Fix | list[Fix]).decode, msgspec.json.Decoder(Any).decode, "not JSON"
)
_MSGPACK = _Codec(
    msgspec.msgpack.Decoder(Fix | list[Fix]).decode,
    msgspec.msgpack.Decoder(Any).decode,
    "not JSON, because it does not begin with { or [, and not MessagePack",
)


def decode_native(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    gathered = Gathered()
    pending = gathered.fixes
    for payload in payloads:
        if len(payload) > MAX_MESSAGE_BYTES:
            gathered.refuse(Reason.OVERSIZE, oversize_message(len(payload)))
            continue
        # all maps and arrays of MessagePack begin above 0x7f, no JSON does
        codec = _MSGPACK if payload[:1] > b"\x7f" else _JSON
        try:
            fixes = codec.fixes(payload)
        except (ValueError, RecursionError):
            _gather_carefully(gathered, payload)
            continue
        if type(fixes) is Fix:
            gathered.add_lone(fixes)
        elif gathered.length_is_good(fixes):
            gathered.add_array(fixes)
        if len(pending) >= FLUSH_FIXES:
            gathered.flush()
    return gathered.decoded()


def _gather_carefully(gathered: Gathered, payload: bytes) -> None:
    codec = _JSON if payload.lstrip(_BLANKS)[:1] in (b"{", b"[") else _MSGPACK
    try:
        plain = codec.plain(payload)
    except RecursionError:
        gathered.refuse(Reason.UNDECODABLE, "nested too deeply")
        return
    except ValueError as error:
        detail = f"{codec.refusal}: {error}" if payload else "an empty message"
        gathered.refuse(Reason.UNDECODABLE, detail)
        return
    if isinstance(plain, list):
        _judge_array(gathered, cast("list[Any]", plain))
    else:
        fix = _judge(plain)
        if isinstance(fix, Fix):
            gathered.add_lone(fix)
        else:
            gathered.refuse(*fix)


def _judge_array(gathered: Gathered, elements: list[Any]) -> None:
    if not gathered.length_is_good(elements):
        return
    sound: dict[int, Fix] = {}
    for position, element in enumerate(elements):
        fix = _judge(element)
        if isinstance(fix, Fix):
            sound[position] = fix
        else:
            gathered.rejections.append(Rejection(len(gathered.spans), position, *fix))
    gathered.add_some(sound)


def _judge(plain: Any) -> Fix | tuple[Reason, str]:
    """Return one fix from plain values, or why not."""
    if not isinstance(plain, dict):
        return Reason.UNDECODABLE, "a fix must be an object"
    members = cast("dict[Any, Any]", plain)
    known = {k: value for k, value in members.items() if k in _KEYS and value is not None}
    for key, reason in _REQUIRED:
        if key not in known:
            return reason, f"{key} is missing"
    _keep_the_rest(known, {k: value for k, value in members.items() if k not in _KEYS})
    try:
        return msgspec.convert(known, Fix)
    except (ValueError, OverflowError) as error:
        return Reason.UNDECODABLE, str(error)


def _keep_the_rest(known: dict[str, Any], rest: dict[Any, Any]) -> None:
    """Move what has no column into `known["attributes"]`; a key that is there already stays."""
    satellites = known.get("satellites")
    low, high = RANGES["satellites"]
    if type(satellites) is int and not low <= satellites <= high:
        rest["satellites"] = known.pop("satellites")
    attributes = known.get("attributes", {})
    if rest and isinstance(attributes, dict):
        known["attributes"] = {**rest, **cast("dict[Any, Any]", attributes)}
