"""Frames of GT06, the protocol of Concox and of many that copy it.

    78 78, length, kind, content, serial number, CRC, 0D 0A

The length is that from the kind to the CRC; 79 79 begins a frame whose length has two bytes.
Numbers are big-endian. A position is a block of 18 bytes: the time in six, the satellites (behind
the length of what follows, 12), latitude and longitude in 1/1,800,000 of a degree, km/h, and course
with status: where nothing was fixed, it is an old one.

Kinds 12, 16, 22 and 26 are positions on every device. Others are positions on some, and lists of
cells or networks on others: they are read where they begin with a block that is plausible, or have
one behind the IMEI. In kind 32 and 33 of 79 79 a byte with the length stands behind the time. What
is not understood is refused by its kind.

The time of the older kinds (10, 11, 12, 16) is that of the zone which the login names, or UTC where
the login names none; that of the newer ones is UTC. What is not one of the series of positions,
such as an alarm, may have the time of one, so its `seq` comes from its bytes.

A message is a frame, behind that of its login. Sources: Concox, "GPS tracker communication
protocol", GT06 version 1.8.1 and JM-VL03 version 1.1.2, and frames of devices in the tests of
Traccar.
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
TIME = 0x8A
ALARMS = frozenset({0x16, 0x19, 0x26, 0x27, 0x32, 0x33, 0x95, 0xA4, 0xA5})
"""Alarms, which are answered; some have no position."""
TEXT, LONG_TEXT = 0x15, 0x21
WITHOUT_POSITION = frozenset({0x18, 0x28, 0x2C, 0x2E, 0x94, 0xA1})
"""Cells and networks near by, and further information (94)."""
_SURE = frozenset({0x12, 0x16, 0x22, 0x26})
_IF_PLAUSIBLE = frozenset(
    {0x10, 0x11, 0x17, 0x1A, 0x1E, 0x24, 0x27, 0x2D, 0x31, 0x32, 0x33, 0x36, 0x37, 0x61}
) | {0xA0, 0xA2, 0xA3, 0xA4}
_SERIES = frozenset({0x10, 0x11, 0x12, 0x22, 0x2D, 0x31, 0x37, 0xA0})
_IN_ZONE = frozenset({0x10, 0x11, 0x12, 0x16})
_WITH_ALARM = frozenset({0x16, 0x26, 0x27, 0xA4})
_WITH_LENGTH = frozenset({0x32, 0x33})
_COMMAND = 0x80
MAX_FRAME_BYTES, MAX_SHORT_BYTES = 4 * 1024, 260
"""Of a frame, and of one of 78 78."""

_SHORT, _LONG, _END = b"\x78\x78", b"\x79\x79", b"\r\n"
_LEAST_LENGTH = 5  # kind, serial number, CRC
_POSITION = struct.Struct(">6BBIIBH")
_BLOCK_BYTES = 12  # from the satellites to the status
_DATE_BYTES, _IMEI_BYTES = 6, 8
_DEGREE = 1_800_000
_KMH = 3.6
_COURSE, _IS_NORTH, _IS_WEST, _IS_FIXED = 0x03FF, 0x0400, 0x0800, 0x1000
_IS_WEST_OF_GREENWICH = 0x8
_LBS, _ALARM_BEHIND_LBS = 18, 3
_CELL_BYTES = {0x22: 8, 0xA0: 15}
"""From the country's code on to the ignition; a byte more where that code has its first bit set."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FrameError(ValueError):
    """Bytes that are no frame, or one without a position; the text says why. kind: of what is not
    understood; None: of a position that is wrong.
    """

    def __init__(self, text: str, kind: str | None = "no frame") -> None:
        super().__init__(text)
        self.kind = kind


class Frame(NamedTuple):
    """serial: 2 bytes, which an answer repeats."""

    kind: int
    content: bytes
    serial: bytes
    is_long: bool = False


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
        right = f"{crc_itu(checked):04x}"
        raise FrameError(f"the CRC is {right}, the frame says {crc:04x}", "damaged")
    is_long = frame[:2] == _LONG
    kind = 2 if is_long else 1
    return Frame(checked[kind], checked[kind + 1 : -2], checked[-2:], is_long)


def answer_to(frame: Frame, content: bytes = b"") -> bytes:
    """Return the frame that answers one: its kind and its serial number, in its form."""
    length = (_LEAST_LENGTH + len(content)).to_bytes(2 if frame.is_long else 1)
    checked = length + bytes((frame.kind,)) + content + frame.serial
    begin = _LONG if frame.is_long else _SHORT
    return begin + checked + crc_itu(checked).to_bytes(2) + _END


def time_answer(frame: Frame, now: datetime) -> bytes:
    """Return the frame that tells a device the time, which is in UTC."""
    return answer_to(frame, bytes((now.year - 2000, now.month, now.day, *now.timetuple()[3:6])))


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
        gathered.refuse(Reason.UNDECODABLE, str(error), error.kind)
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
    zone, imei = timedelta(0), b""
    has_position, other = False, None
    for frame in _frames(payload):
        if frame.kind == LOGIN:
            zone, imei = _zone(frame.content), frame.content[:_IMEI_BYTES]
        elif (position := _position(frame, imei)) is None:
            other = frame
        else:
            has_position = True
            fix = _fix(frame, position, zone if frame.kind in _IN_ZONE else timedelta(0))
            if fix is not None:
                yield fix
    if not has_position and (other is None or other.kind not in WITHOUT_POSITION):
        raise FrameError(*_without_position(other))


def _without_position(frame: Frame | None) -> tuple[str, str]:
    if frame is None:
        return "no frame of a position", "no frame"
    kind = f"{frame.kind:02x}" if not frame.is_long else f"7979 {frame.kind:02x}"
    size = len(frame.content)
    return f"a frame of kind {kind}, with {size} bytes that are no position we know", kind


def _position(frame: Frame, imei: bytes) -> bytes | None:
    """Return the content of a frame from its position on; None where it has none. Raises
    FrameError.
    """
    content = frame.content
    if frame.kind in _SURE and len(content) < _POSITION.size:
        least = f"it has {_POSITION.size} at least"
        raise FrameError(f"a position of {len(content)} bytes, {least}", f"{frame.kind:02x}")
    if imei and content.startswith(imei):
        content = content[_IMEI_BYTES:]
    elif frame.kind in _SURE:
        return content
    if frame.is_long and frame.kind in _WITH_LENGTH:
        if content[_DATE_BYTES : _DATE_BYTES + 1] != bytes((_BLOCK_BYTES,)):
            return None
        content = content[:_DATE_BYTES] + content[_DATE_BYTES + 1 :]
    return content if frame.kind in _SURE | _IF_PLAUSIBLE and _is_plausible(content) else None


def _is_plausible(content: bytes) -> bool:
    """Whether bytes begin with a position: a date, the length of the block, degrees, a course."""
    if len(content) < _POSITION.size:
        return False
    *date, satellites, lat, lon, _, status = _POSITION.unpack_from(content)
    try:
        _time_ms(date, timedelta(0))
    except FrameError:
        return False
    is_on_earth = lat <= 90 * _DEGREE and lon <= 180 * _DEGREE
    return satellites >> 4 == _BLOCK_BYTES and is_on_earth and status & _COURSE <= 360


def _zone(login: bytes) -> timedelta:
    """Return by how much the device's clock is before UTC: hours and minutes as digits."""
    if len(login) < 12:
        return timedelta(0)
    said = int.from_bytes(login[10:12])
    hours, minutes = divmod(said >> 4, 100)
    zone = timedelta(hours=hours, minutes=minutes)
    return -zone if said & _IS_WEST_OF_GREENWICH else zone


def _fix(frame: Frame, content: bytes, zone: timedelta) -> Fix | None:
    """Return the fix of a position; None where nothing was fixed. Raises FrameError."""
    *date, satellites, lat, lon, speed, status = _POSITION.unpack_from(content)
    if not status & _IS_FIXED:
        return None
    more: dict[str, Any] = {}
    if (ignition := _ignition(frame.kind, content)) is not None:
        more["ignition"] = ignition
    if frame.kind in _WITH_ALARM and (alarm := _alarm(content)):
        more["attributes"] = {"alarm": alarm}
    return Fix(
        time=_time_ms(date, zone),
        lat=lat / _DEGREE * (1 if status & _IS_NORTH else -1),
        lon=lon / _DEGREE * (-1 if status & _IS_WEST else 1),
        seq=0 if frame.kind in _SERIES else crc32(content) & 0x7FFF or 1,
        speed_mps=speed / _KMH,
        course_deg=status & _COURSE,
        satellites=satellites & 0x0F,
        **more,
    )


def _ignition(kind: int, content: bytes) -> bool | None:
    """Return the ignition behind the cell; None where the kind does not say it."""
    cell_bytes = _CELL_BYTES.get(kind)
    if cell_bytes is None or len(content) <= _LBS + cell_bytes:
        return None
    at = _LBS + cell_bytes + (content[_LBS] >> 7)
    return content[at] > 0 if at < len(content) else None


def _time_ms(date: Sequence[int], zone: timedelta) -> int:
    year, *rest = date
    try:
        local = datetime(2000 + year, *rest, tzinfo=UTC)  # pyright: ignore[reportArgumentType]
    except ValueError as error:
        raise FrameError(f"the time: {error}", None) from None
    return (local - zone - _EPOCH) // timedelta(milliseconds=1)


def _alarm(content: bytes) -> int:
    """Return the number of the alarm that made an alarm packet; 0: none."""
    at = _LBS + content[_LBS] + _ALARM_BEHIND_LBS if len(content) > _LBS else len(content)
    return content[at] if at < len(content) else 0
