"""Fixes written as JSON or MessagePack, one object or an array of objects, into columns.

Nearly all messages take the straight way: msgspec reads the whole message into `_Fix` objects,
whose numbers are packed into one record each; all further checks are made on columns. A message
that msgspec refuses, whatever the cause, is read a second time as plain values and judged fix by
fix, which is slower and decides alone about unknown keys, nulls and each fix's own fault.

The straight way never accepts what the careful way would read differently.
"""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.attributes import AttributesError, to_json
from telemetry.decoded import (
    MAX_FIXES_PER_MESSAGE,
    MAX_MESSAGE_BYTES,
    Decoded,
    bad_coordinates,
    describe_position,
    in_order,
    oversize_array,
    oversize_message,
    without,
)
from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.ranges import RANGES, write_column
from telemetry.rejection import Reason, Rejection
from telemetry.times import NO_TIME, epoch_ms_to_us, parse_times_us

_NAN = float("nan")
_NOT_KNOWN: Any = -1  # of satellites and ignition, which have no NaN
_JSON_STARTS = frozenset(b"{[")
_BLANKS = b" \t\r\n"


class _Fix(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The keys of a fix. Defaults, which msgspec does not check, stand for "not known"."""

    time: int | float | str
    lat: float
    lon: float
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    altitude_m: float = _NAN
    speed_mps: float = _NAN
    course_deg: float = _NAN
    accuracy_m: float = _NAN
    battery_pct: float = _NAN
    satellites: Annotated[int, msgspec.Meta(ge=0, le=255)] = _NOT_KNOWN
    ignition: bool = _NOT_KNOWN
    attributes: dict[str, Any] | None = None


_KEYS = frozenset(_Fix.__struct_fields__)
_REQUIRED = (
    ("time", Reason.UNDECODABLE),
    ("lat", Reason.NO_POSITION),
    ("lon", Reason.NO_POSITION),
)
# The record of one fix between msgspec and the columns.
_pack = struct.Struct("<7dihb").pack
_RECORD = np.dtype(
    [
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("altitude_m", "<f8"),
        ("speed_mps", "<f8"),
        ("course_deg", "<f8"),
        ("accuracy_m", "<f8"),
        ("battery_pct", "<f8"),
        ("seq", "<i4"),
        ("satellites", "<i2"),
        ("ignition", "i1"),
    ]
)


@dataclass(frozen=True, slots=True)
class _Codec:
    """One of the two formats: the straight reading and the careful one."""

    name: str
    fixes: Callable[[bytes], "_Fix | list[_Fix]"]
    plain: Callable[[bytes], Any]


_JSON = _Codec(
    "JSON", msgspec.json.Decoder(_Fix | list[_Fix]).decode, msgspec.json.Decoder(Any).decode
)
_MSGPACK = _Codec(
    "MessagePack",
    msgspec.msgpack.Decoder(_Fix | list[_Fix]).decode,
    msgspec.msgpack.Decoder(Any).decode,
)


@dataclass(slots=True)
class _Gathered:
    """Fixes on their way into columns: parallel lists by fix, and by span of fixes.

    A span is neighbouring fixes of one message; `firsts` is the array position of its first fix, -1
    for a lone object.
    """

    records: list[bytes] = field(default_factory=list[bytes])
    times: "list[int | float | str]" = field(default_factory=list["int | float | str"])
    messages: list[int] = field(default_factory=list[int])
    firsts: list[int] = field(default_factory=list[int])
    counts: list[int] = field(default_factory=list[int])
    attributes: dict[int, bytes] = field(default_factory=dict[int, bytes])
    rejections: list[Rejection] = field(default_factory=list[Rejection])


def decode_native(payloads: Iterable[bytes], messages: Iterable[int]) -> Decoded:
    """Fixes and rejections of `payloads`, whose places in the sequence are `messages`."""
    gathered = _Gathered()
    for message, payload in zip(messages, payloads, strict=True):
        if len(payload) > MAX_MESSAGE_BYTES:
            gathered.rejections.append(oversize_message(message, payload))
            continue
        codec = _JSON if _looks_like_json(payload) else _MSGPACK
        try:
            fixes = codec.fixes(payload)
        except (ValueError, RecursionError):
            _gather_carefully(gathered, message, codec, payload)
            continue
        if type(fixes) is list:
            _gather_array(gathered, message, fixes)
        else:
            _gather_one(gathered, message, -1, cast("_Fix", fixes))
    return _columns(gathered)


def _looks_like_json(payload: bytes) -> bool:
    if payload and payload[0] in _JSON_STARTS:
        return True
    return payload.lstrip(_BLANKS)[:1] in (b"{", b"[")


def _gather_array(gathered: _Gathered, message: int, fixes: "list[_Fix]") -> None:
    if not 1 <= len(fixes) <= MAX_FIXES_PER_MESSAGE:
        gathered.rejections.append(_wrong_length(message, len(fixes)))
    elif [f for f in fixes if f.attributes is not None]:
        for position, fix in enumerate(fixes):
            _gather_one(gathered, message, position, fix)
    else:
        gathered.records += [
            _pack(
                f.lat, f.lon, f.altitude_m, f.speed_mps, f.course_deg, f.accuracy_m, f.battery_pct,
                f.seq, f.satellites, f.ignition,
            )
            for f in fixes
        ]  # fmt: skip
        gathered.times += [f.time for f in fixes]
        gathered.messages.append(message)
        gathered.firsts.append(0)
        gathered.counts.append(len(fixes))


def _gather_one(gathered: _Gathered, message: int, position: int, f: _Fix) -> None:
    if f.attributes is not None:
        try:
            text = to_json(f.attributes)
        except AttributesError as error:
            gathered.rejections.append(_refusal(message, position, error.reason, str(error)))
            return
        gathered.attributes[len(gathered.records)] = text
    gathered.records.append(
        _pack(
            f.lat, f.lon, f.altitude_m, f.speed_mps, f.course_deg, f.accuracy_m, f.battery_pct,
            f.seq, f.satellites, f.ignition,
        )
    )  # fmt: skip
    gathered.times.append(f.time)
    gathered.messages.append(message)
    gathered.firsts.append(position)
    gathered.counts.append(1)


def _gather_carefully(gathered: _Gathered, message: int, codec: _Codec, payload: bytes) -> None:
    try:
        plain = codec.plain(payload)
    except RecursionError:
        gathered.rejections.append(_undecodable(message, f"{codec.name} nests too deep"))
        return
    except ValueError as error:
        detail = f"not {codec.name}: {error}" if payload else "an empty message"
        gathered.rejections.append(_undecodable(message, detail))
        return
    if isinstance(plain, dict):
        _gather_plain(gathered, message, -1, cast("dict[Any, Any]", plain))
    elif isinstance(plain, list):
        elements = cast("list[Any]", plain)
        if not 1 <= len(elements) <= MAX_FIXES_PER_MESSAGE:
            gathered.rejections.append(_wrong_length(message, len(elements)))
            return
        for position, element in enumerate(elements):
            _gather_plain(gathered, message, position, element)
    else:
        gathered.rejections.append(_undecodable(message, "neither an object nor an array"))


def _gather_plain(gathered: _Gathered, message: int, position: int, plain: Any) -> None:
    """Judge one fix of a message that the straight way has refused."""
    if not isinstance(plain, dict):
        detail = "a fix is an object"
        gathered.rejections.append(_refusal(message, position, Reason.UNDECODABLE, detail))
        return
    members = cast("dict[Any, Any]", plain)
    known = {key: members[key] for key in _KEYS if members.get(key) is not None}
    for key, reason in _REQUIRED:
        if key not in known:
            gathered.rejections.append(_refusal(message, position, reason, f"{key} is missing"))
            return
    _keep_the_rest(known, {key: value for key, value in members.items() if key not in _KEYS})
    try:
        fix = msgspec.convert(known, _Fix)
    except (ValueError, OverflowError) as error:
        refusal = _refusal(message, position, Reason.UNDECODABLE, str(error))
        gathered.rejections.append(refusal)
        return
    _gather_one(gathered, message, position, fix)


def _keep_the_rest(known: dict[str, Any], rest: dict[Any, Any]) -> None:
    """Move what has no column into `known["attributes"]`; a key that is there already stays."""
    satellites = known.get("satellites")
    low, high = RANGES["satellites"]
    if type(satellites) is int and not low <= satellites <= high:
        rest["satellites"] = known.pop("satellites")
    attributes = known.get("attributes", {})
    if rest and isinstance(attributes, dict):
        known["attributes"] = {**rest, **cast("dict[Any, Any]", attributes)}


def _columns(gathered: _Gathered) -> Decoded:
    records = np.frombuffer(b"".join(gathered.records), _RECORD)
    attributes = gathered.attributes
    rows = blank_rows(len(records))
    rows["message"] = np.repeat(np.array(gathered.messages, np.int32), gathered.counts)
    rows["position"] = _positions(gathered)
    rows["time_us"] = _times_us(gathered.times)
    for column in ("lat", "lon", "seq"):
        rows[column] = records[column]
    for column in RANGES:
        write_column(rows, attributes, column, records[column])
    rows["ignition"] = records["ignition"] == 1
    rows["known"] |= np.where(records["ignition"] >= 0, np.uint8(Known.IGNITION), np.uint8(0))
    kept = without(
        FixBatch(rows, attributes),
        [
            (
                rows["time_us"] == NO_TIME,
                Reason.UNDECODABLE,
                lambda row: f"{_shown(gathered.times[row])} is not a time",
            ),
            (
                bad_coordinates(records["lat"], records["lon"]),
                Reason.BAD_COORDINATE,
                lambda row: describe_position(rows, row),
            ),
        ],
    )
    return Decoded(kept.batch, in_order(gathered.rejections + kept.rejections))


def _positions(gathered: _Gathered) -> NDArray[np.int64]:
    counts = np.array(gathered.counts, np.int64)
    firsts = np.array(gathered.firsts, np.int64)
    starts = np.cumsum(counts) - counts
    return np.repeat(firsts - starts, counts) + np.arange(int(counts.sum()))


def _times_us(times: Sequence[int | float | str]) -> NDArray[np.int64]:
    texts = [time for time in times if isinstance(time, str)]
    if len(texts) == len(times):
        return parse_times_us(texts)
    # beyond 1e18 ms is no time, and an integer may be too large for a float
    numbers = [time if -1e18 < time < 1e18 else _NAN for time in times if not isinstance(time, str)]
    times_us = np.empty(len(times), np.int64)
    is_text = np.array([isinstance(time, str) for time in times])
    times_us[is_text] = parse_times_us(texts)
    times_us[~is_text] = epoch_ms_to_us(numbers)
    return times_us


def _shown(time: int | float | str) -> str:
    text = repr(time) if isinstance(time, str | float) or abs(time) < 1e20 else "a huge number"
    return text if len(text) <= 48 else text[:45] + "..."


def _wrong_length(message: int, fixes: int) -> Rejection:
    return oversize_array(message, fixes) if fixes else _undecodable(message, "an empty array")


def _undecodable(message: int, detail: str) -> Rejection:
    return Rejection(message, None, Reason.UNDECODABLE, detail)


def _refusal(message: int, position: int, reason: Reason, detail: str) -> Rejection:
    return Rejection(message, None if position < 0 else position, reason, detail)
