"""Frames of GT06, the protocol of Concox and of many that copy it.

    78 78, length, kind, content, serial number, CRC, 0D 0A

The length is that from the kind to the CRC; 79 79 begins a frame whose length has two bytes.
Numbers are big-endian. A position has the time in six bytes, the satellites, latitude and longitude
in 1/1,800,000 of a degree, km/h, and course with status: where nothing was fixed, it is an old one.
The time of the older kinds (12, 16) is that of the zone which the login names, or UTC where the
login names none; that of the newer ones (22, 26) is UTC. An alarm may have the time of another
position, so its `seq` comes from its bytes.

A message is a position, behind the frame of its login. Sources: Concox, "GPS tracker communication
protocol", GT06 version 1.8.1 and JM-VL03 version 1.1.2.
"""

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

from telemetry.formats.app_json import decode_each, last_of
from telemetry.formats.boxes.crc import crc_itu
from telemetry.formats.decoded import (
    MAX_FIXES_PER_MESSAGE,
    Decoded,
    oversize_array,
)
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

LOGIN = 0x01
HEARTBEATS = frozenset({0x13, 0x23})
_IN_UTC, _ALARM_IN_UTC = 0x22, 0x26
POSITIONS = frozenset({0x12, _IN_UTC})
ALARMS = frozenset({0x16, _ALARM_IN_UTC})
TEXT, LONG_TEXT = 0x15, 0x21
_COMMAND = 0x80
MAX_FRAME_BYTES = 4 * 1024
"""Those of 78 78 have 260 bytes at most."""

_SHORT, _LONG, _END = b"\x78\x78", b"\x79\x79", b"\r\n"
_LEAST_LENGTH = 5  # kind, serial number, CRC
_POSITION = struct.Struct(">6BBIIBH")
_DEGREE = 1_800_000
_KMH = 3.6
_COURSE, _IS_NORTH, _IS_WEST, _IS_FIXED = 0x03FF, 0x0400, 0x0800, 0x1000
_IS_WEST_OF_GREENWICH = 0x8
_ACC, _LBS, _ALARM_BEHIND_LBS = 26, 18, 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FrameError(ValueError):
    """Bytes that are no frame; the text says why."""


class Frame(NamedTuple):
    """serial: 2 bytes, which an answer repeats."""

    kind: int
    content: bytes
    serial: bytes


def frame_bytes(head: bytes | bytearray) -> int | None:
    """Return the length of the frame that begins with `head`, None while that is not known.

    Raises FrameError.
    """
    begin = bytes(head[:2])
    if len(begin) == 2 and begin not in (_SHORT, _LONG):
        raise FrameError("a frame begins with 7878 or 7979")
    length_bytes = 2 if begin == _LONG else 1
    if len(head) < 2 + length_bytes:
        return None
    length = int.from_bytes(head[2 : 2 + length_bytes])
    if not _LEAST_LENGTH <= length <= MAX_FRAME_BYTES:
        raise FrameError(f"a frame of length {length}")
    return 2 + length_bytes + length + len(_END)


def read_frame(frame: bytes) -> Frame:
    """Read a frame that is whole. Raises FrameError."""
    checked, crc = frame[2:-4], int.from_bytes(frame[-4:-2])
    if frame[-2:] != _END:
        raise FrameError("a frame ends with 0d0a")
    if crc_itu(checked) != crc:
        raise FrameError(f"the CRC is {crc_itu(checked):04x}, the frame says {crc:04x}")
    kind = 2 if frame[:2] == _LONG else 1
    return Frame(checked[kind], checked[kind + 1 : -2], checked[-2:])


def answer_to(frame: Frame) -> bytes:
    """Return the frame that answers one: its kind and its serial number."""
    checked = bytes((_LEAST_LENGTH, frame.kind)) + frame.serial
    return _SHORT + checked + crc_itu(checked).to_bytes(2) + _END


def command_of(text: str) -> bytes:
    """Return the frame of a command, of 240 characters of ASCII at most: behind its length and four
    bytes that are the server's own.
    """
    content = bytes((4 + len(text),)) + bytes(4) + text.encode("ascii")
    checked = bytes((_LEAST_LENGTH + len(content), _COMMAND)) + content + bytes(2)
    return _SHORT + checked + crc_itu(checked).to_bytes(2) + _END


def imei_of(login: Frame) -> str:
    """Return the IMEI of a login: 16 digits, the first of which is 0."""
    return login.content[:8].hex()[1:]


def decode_gt06(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def _gather(gathered: Gathered, payload: bytes) -> None:
    try:
        fixes = list(_fixes(payload))
    except FrameError as error:
        gathered.refuse(Reason.UNDECODABLE, str(error))
        return
    if len(fixes) == 1:
        gathered.add_lone(fixes[0])
    elif len(fixes) > MAX_FIXES_PER_MESSAGE:
        gathered.refuse(Reason.OVERSIZE, oversize_array(len(fixes)))
    else:
        gathered.add_array(fixes)


def last_gt06_fix(payload: bytes) -> LastFix:
    """Read the last fix of a message that can be read. Never raises ValueError."""
    return last_of(decode_gt06([payload]))


def _frames(payload: bytes) -> Iterator[Frame]:
    at = 0
    while at < len(payload):
        size = frame_bytes(payload[at : at + 4])
        if size is None or at + size > len(payload):
            raise FrameError("a frame is cut off")
        yield read_frame(payload[at : at + size])
        at += size


def _fixes(payload: bytes) -> Iterator[Fix]:
    """Yield the fixes of a message. Raises FrameError."""
    zone, has_position = timedelta(0), False
    for frame in _frames(payload):
        if frame.kind == LOGIN:
            zone = _zone(frame.content)
        elif frame.kind in POSITIONS | ALARMS:
            has_position = True
            is_utc = frame.kind in (_IN_UTC, _ALARM_IN_UTC)
            fix = _fix(frame, timedelta(0) if is_utc else zone)
            if fix is not None:
                yield fix
    if not has_position:
        raise FrameError("no frame of a position")


def _zone(login: bytes) -> timedelta:
    """Return by how much the device's clock is before UTC: hours and minutes as digits."""
    if len(login) < 12:
        return timedelta(0)
    said = int.from_bytes(login[10:12])
    hours, minutes = divmod(said >> 4, 100)
    zone = timedelta(hours=hours, minutes=minutes)
    return -zone if said & _IS_WEST_OF_GREENWICH else zone


def _fix(frame: Frame, zone: timedelta) -> Fix | None:
    content, is_alarm = frame.content, frame.kind in ALARMS
    if len(content) < _POSITION.size:
        raise FrameError(f"a position of {len(content)} bytes, it has {_POSITION.size} at least")
    *date, satellites, lat, lon, speed, status = _POSITION.unpack_from(content)
    if not status & _IS_FIXED:
        return None
    more: dict[str, Any] = {}
    if frame.kind == _IN_UTC and len(content) > _ACC:
        more["ignition"] = content[_ACC] > 0
    if is_alarm and (alarm := _alarm(content)):
        more["attributes"] = {"alarm": alarm}
    return Fix(
        time=_time_ms(date, zone),
        lat=lat / _DEGREE * (1 if status & _IS_NORTH else -1),
        lon=lon / _DEGREE * (-1 if status & _IS_WEST else 1),
        seq=(crc32(content) & 0x7FFF or 1) if is_alarm else 0,
        speed_mps=speed / _KMH,
        course_deg=status & _COURSE,
        satellites=satellites & 0x0F,
        **more,
    )


def _time_ms(date: Sequence[int], zone: timedelta) -> int:
    year, *rest = date
    try:
        local = datetime(2000 + year, *rest, tzinfo=UTC)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        raise FrameError(f"the time: {error}") from None
    return (local - zone - _EPOCH) // timedelta(milliseconds=1)


def _alarm(content: bytes) -> int:
    """Return the number of the alarm that made an alarm packet; 0: none."""
    at = _LBS + content[_LBS] + _ALARM_BEHIND_LBS if len(content) > _LBS else len(content)
    return content[at] if at < len(content) else 0
