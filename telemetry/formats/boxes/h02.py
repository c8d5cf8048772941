"""Sentences of H02, the protocol of Sinotrack and of many others, a message each.

    *HQ,353588020068342,V1,062840,A,5241.1249,N,00954.9490,E,12.00,134,231013,FFFFFBFF#

A sentence has two letters of the maker, the id of the device and a kind. Some kinds (cells,
heartbeats) are known to have no position. In all others there should be one, else they are refused
by their kind. A position is eight fields in a row: the time, whether it is valid (A), latitude,
longitude, speed in knots, course and the date; the clock is UTC. Angles are degrees and minutes,
written in three ways. What is not valid is the last position known, and no fix.

The status, 8 hexadecimal digits, has the ignition in bit 10, unless all its bits are set: then the
device says nothing by it. A report that is not of the series (V1) has a `seq` from its bytes, since
it may have the time of one that is.

There is no document of the maker. Sources: the description that goes around as "GPRS data protocol"
of the TK103 and ST-901, and frames of devices in the tests of Traccar.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zlib import crc32

from telemetry.formats.app_json import decode_each, last_of
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

HEAD = re.compile(rb"\*([A-Za-z]{2}),([0-9]{0,20}),([A-Z0-9]{1,8})(?=[,#])")
"""The maker, the id of the device and the kind of a sentence."""
WITHOUT_POSITION = frozenset({"V0", "V3", "HTBT", "NBR", "LINK"})
_SERIES = "V1"
_POSITION = re.compile(
    rb",([0-9]{6}),([ABV]?|[0-9]),([-0-9.]{4,16}),([NS]),([-0-9.]{4,16}),([EW])"
    rb", *([0-9]{1,4}(?:\.[0-9]{0,4})?),([0-9]{1,3}(?:\.[0-9]{0,4})?)?,(?:[0-9]{1,3},)?([0-9]{6})"
    rb"(?=[,#])"
)
_IS_VALID = re.compile(rb"[A0-9]")
_NOT_VALID = b",V,"
_STATUS = re.compile(rb",([0-9A-Fa-f]{8})(?=[,#])")
_ANGLES = (
    re.compile(rb"-?([0-9]{1,3})-([0-9]{1,2}\.[0-9]{1,6})"),
    re.compile(rb"([0-9]{0,3}?)([0-9]{2}\.[0-9]{1,6})"),
)
_WHOLE_ANGLE = re.compile(rb"([0-9]{2,3})([0-9]{2})([0-9]{4})")
_KNOT_MPS = 1852 / 3600
_IGNITION, _SAYS_NOTHING = 1 << 10, 0xFFFFFFFF
_NAN = float("nan")


def decode_h02(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_h02_fix(payload: bytes) -> LastFix:
    """Read the fix of a sentence that can be read. Never raises ValueError."""
    return last_of(decode_h02([payload]))


class _Unreadable(ValueError):
    """What is wrong with a sentence. kind: of one that is not understood."""

    def __init__(self, text: str, kind: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind


def _gather(gathered: Gathered, payload: bytes) -> None:
    try:
        fix = _fix(payload)
    except _Unreadable as error:
        gathered.refuse(Reason.UNDECODABLE, str(error), error.kind)
        return
    if fix is None:
        gathered.add_array([])
    else:
        gathered.add_lone(fix)


def _fix(sentence: bytes) -> Fix | None:
    """Return the fix of a sentence; None where it has none. Raises _Unreadable."""
    head = HEAD.match(sentence)
    if head is None or sentence[-1:] != b"#":
        whole = "*HQ, the device's id, a kind, fields, and #"
        raise _Unreadable(f"no whole sentence: it is {whole}", "no sentence")
    kind = head[3].decode()
    if kind in WITHOUT_POSITION:
        return None
    found = _POSITION.search(sentence, head.end())
    if found is None:
        if _NOT_VALID in sentence:
            return None
        raise _Unreadable(
            f"{kind} without a time, A or V, latitude, longitude, speed, course and date in a row",
            kind,
        )
    clock, validity, lat, north, lon, east, knots, course, date = found.groups()
    if not _IS_VALID.match(validity):
        return None
    attributes = dict[str, str]() if kind == _SERIES else {"report": kind}
    fix = Fix(
        time=_time_ms(clock.decode(), date.decode()),
        lat=_degrees("latitude", lat) * (1 if north == b"N" else -1),
        lon=_degrees("longitude", lon) * (1 if east == b"E" else -1),
        seq=crc32(sentence[head.start(3) :]) & 0x7FFF or 1 if attributes else 0,
        speed_mps=float(knots) * _KNOT_MPS,
        course_deg=_NAN if course is None else float(course),
    )
    if (status := _STATUS.search(sentence, found.end())) is not None:
        attributes["status"] = status[1].decode().upper()
        if (bits := int(status[1], 16)) != _SAYS_NOTHING:
            fix.ignition = bool(bits & _IGNITION)
    fix.attributes = attributes or None
    return fix


def _time_ms(clock: str, date: str) -> int:
    try:
        at = datetime.strptime(date + clock, "%d%m%y%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise _Unreadable(f"{date} and {clock} are no date (ddmmyy) and time (hhmmss)") from None
    return 1_000 * int(at.timestamp())


def _degrees(name: str, angle: bytes) -> float:
    for form in _ANGLES:
        if (found := form.fullmatch(angle)) is not None:
            degrees, minutes = int(found[1] or 0), float(found[2])
            break
    else:
        found = _WHOLE_ANGLE.fullmatch(angle)
        if found is None:
            raise _Unreadable(
                f"{angle.decode()} is no {name}: it is degrees and minutes, ddmm.mmmm"
            )
        degrees, minutes = int(found[1]), int(found[2] + found[3]) / 10_000
    if minutes >= 60:
        raise _Unreadable(f"{angle.decode()} is no {name}: there are 60 minutes in a degree")
    return degrees + minutes / 60
