"""Punches written as JSON, one object or an array of up to 1,000.

A punch is read whatever it says of its place: without a position, at 0,0 or without an accuracy. A
punch is refused where it cannot be read, where it names no employee or time, and for numbers that
no place has. Unknown keys are ignored.
"""

from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

import msgspec

from telemetry.fix import FixBatch
from telemetry.formats.decoded import (
    MAX_FIXES_PER_MESSAGE,
    MAX_MESSAGE_BYTES,
    Decoded,
    oversize_message,
)
from telemetry.ids import parse_id
from telemetry.punch import PUNCH_KINDS, Punch, PunchKind
from telemetry.rejection import Reason, Rejection
from telemetry.times import (
    ANCIENT_BEFORE_US,
    NO_TIME,
    epoch_ms_to_us,
    format_ancient,
    parse_time_us,
)

MAX_NOTE_CHARACTERS = 1_000
_GREATEST_MS = 1e15  # beyond it lies no year that can be written
_SHOWN_CHARACTERS = 48
_JSON = msgspec.json.Decoder(Any)


class _Said(msgspec.Struct):
    """The keys of a punch."""

    employee_id: str
    kind: str
    time: int | float | str
    fix_time: int | float | str | None = None
    lat: float | None = None
    lon: float | None = None
    accuracy_m: float | None = None
    mock: bool | None = None
    note: str | None = None


_REQUIRED = ("employee_id", "kind", "time")


class _Refused(ValueError):
    """A punch that cannot be kept as one. reason: how it is to be refused."""

    def __init__(self, reason: Reason, problem: str) -> None:
        super().__init__(problem)
        self.reason = reason


def decode_punches(payloads: Sequence[bytes]) -> Decoded:
    """Return punches and rejections of `payloads`; `message` counts from 0."""
    punches: list[Punch] = []
    rejections: list[Rejection] = []
    for message, payload in enumerate(payloads):
        try:
            said = _elements(payload)
        except _Refused as refused:
            rejections.append(Rejection(message, None, refused.reason, str(refused)))
            continue
        for position, element in said:
            try:
                punches.append(_punch(message, position, element))
            except _Refused as refused:
                rejections.append(Rejection(message, position, refused.reason, str(refused)))
    return Decoded(FixBatch.empty(), rejections, punches)


def _elements(payload: bytes) -> list[tuple[int | None, object]]:
    """Return the parts of a message with their places in its array. Raises _Refused."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise _Refused(Reason.OVERSIZE, oversize_message(len(payload)))
    try:
        said = _JSON.decode(payload)
    except RecursionError:
        raise _Refused(Reason.UNDECODABLE, "nests too deep") from None
    except ValueError as error:
        problem = f"not JSON: {error}" if payload else "an empty message"
        raise _Refused(Reason.UNDECODABLE, problem) from None
    if not isinstance(said, list):
        return [(None, said)]
    elements = cast("list[object]", said)
    if not elements:
        raise _Refused(Reason.UNDECODABLE, "an empty array")
    if len(elements) > MAX_FIXES_PER_MESSAGE:
        problem = f"{len(elements)} punches, {MAX_FIXES_PER_MESSAGE} are allowed"
        raise _Refused(Reason.OVERSIZE, problem)
    return list(enumerate(elements))


def _punch(message: int, position: int | None, element: object) -> Punch:
    """Read one punch. Raises _Refused."""
    said = _said(element)
    if (said.lat is None) != (said.lon is None):
        missing = "lat" if said.lat is None else "lon"
        raise _Refused(Reason.NO_POSITION, f"{missing} is missing: lat and lon go together")
    if said.lat is not None and said.lon is not None and not _is_place(said.lat, said.lon):
        raise _Refused(Reason.BAD_COORDINATE, f"lat {said.lat}, lon {said.lon}")
    if said.note is not None and len(said.note) > MAX_NOTE_CHARACTERS:
        problem = f"note has {len(said.note)} characters, {MAX_NOTE_CHARACTERS} are allowed"
        raise _Refused(Reason.OVERSIZE, problem)
    time_us = _time_us("time", said.time)
    if time_us < ANCIENT_BEFORE_US:
        raise _Refused(Reason.ANCIENT, format_ancient(time_us))
    return Punch(
        message,
        position,
        _employee_id(said.employee_id),
        _kind(said.kind),
        time_us,
        None if said.fix_time is None else _time_us("fix_time", said.fix_time),
        said.lat,
        said.lon,
        said.accuracy_m,
        bool(said.mock),
        None if said.note is None else said.note.replace("\0", "\N{REPLACEMENT CHARACTER}"),
    )


def _said(element: object) -> _Said:
    if not isinstance(element, dict):
        raise _Refused(Reason.UNDECODABLE, "a punch is an object")
    members = cast("dict[str, object]", element)
    for key in _REQUIRED:
        if members.get(key) is None:
            raise _Refused(Reason.UNDECODABLE, f"{key} is missing")
    try:
        return msgspec.convert(members, _Said)
    except (ValueError, OverflowError) as error:
        raise _Refused(Reason.UNDECODABLE, str(error)) from None


def _is_place(lat: float, lon: float) -> bool:
    return abs(lat) <= 90 and abs(lon) <= 180  # False for NaN


def _kind(text: str) -> PunchKind:
    for kind in PUNCH_KINDS:
        if text == kind:
            return kind
    wanted = ", ".join(PUNCH_KINDS)
    raise _Refused(Reason.UNDECODABLE, f"kind is {text[:_SHOWN_CHARACTERS]!r}, not of: {wanted}")


def _employee_id(text: str) -> UUID:
    try:
        return parse_id("emp", text)
    except ValueError as error:
        raise _Refused(Reason.UNDECODABLE, f"employee_id: {error}") from None


def _time_us(key: str, said: int | float | str) -> int:
    """Read a time as a fix has it. Raises _Refused."""
    if isinstance(said, str):
        try:
            return parse_time_us(said)
        except ValueError as error:
            raise _Refused(Reason.UNDECODABLE, f"{key}: {error}") from None
    time_us = NO_TIME
    if abs(said) <= _GREATEST_MS:
        time_us = int(epoch_ms_to_us([said])[0])
    if time_us == NO_TIME:
        shown = repr(said) if abs(said) < 1e20 else "a huge number"
        raise _Refused(
            Reason.UNDECODABLE,
            f"{key}: {shown[:_SHOWN_CHARACTERS]} is not a time in milliseconds since 1970",
        )
    return time_us
