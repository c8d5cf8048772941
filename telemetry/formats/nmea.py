"""Sentences of NMEA 0183, as receivers write them: RMC, and what GGA and VTG say of the same time.

    $GPRMC,120000.00,A,5231.2000,N,01324.3000,E,29.16,271.0,310126,,,A*52
    $GPGGA,120000.00,5231.2000,N,01324.3000,E,1,09,0.9,34.0,M,44.9,M,,*51

A message is lines; a fix is an RMC, which alone says the date, and is an element of the message by
its place among the RMCs. A GGA of the same time of day adds altitude, satellites and `hdop`, a VTG
behind it speed and course where it has none. The talker (GP, GN, GL...) may be any. A receiver
without a position says so by V: that is no fix. An RMC with a wrong checksum is refused, another
sentence with one is left out; one without a checksum is taken. A message with other sentences alone
is no fix.

Speed is in knots, angles are in degrees and minutes. Years have two digits: 80 to 99 are those
before 2000. (NMEA 0183; https://gpsd.gitlab.io/gpsd/NMEA.html.)
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from telemetry.formats.app_json import decode_each, last_of
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason, Rejection

_KNOT_MPS = 1852 / 3600
_SENTENCE = re.compile(r"[$!]([A-Z0-9]{4,10}),([^*]*)(?:\*([0-9A-Fa-f]{2}))?", re.ASCII)
_CLOCK = re.compile(r"(\d\d)(\d\d)(\d\d(?:\.\d{1,9})?)", re.ASCII)
_DATE = re.compile(r"(\d\d)(\d\d)(\d\d)", re.ASCII)
_ANGLE = re.compile(r"(\d{1,3})(\d\d(?:\.\d{1,12})?)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,9}(?:\.\d{1,12})?", re.ASCII)
_FIRST_YEAR = 1980
_SHOWN = 40  # characters of a field that a rejection shows


def decode_nmea(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_nmea_fix(payload: bytes) -> LastFix:
    """Read the last fix of a message that can be read. Never raises ValueError."""
    return last_of(decode_nmea([payload]))


class _Unreadable(ValueError):
    """What is wrong with a sentence."""


class _Sentence(NamedTuple):
    """A line. kind: without the talker. fault: why it is not to be believed, if so."""

    kind: str
    fields: Sequence[str]
    fault: str | None

    def field(self, number: int) -> str:
        return self.fields[number] if number < len(self.fields) else ""


_NOTHING = _Sentence("", (), None)


def _gather(gathered: Gathered, payload: bytes) -> None:
    sentences = list(_sentences(payload.decode("ascii", "replace").split("\n")))
    places = [place for place, sentence in enumerate(sentences) if sentence.kind == "RMC"]
    if not sentences:
        gathered.refuse(Reason.UNDECODABLE, "no line is a sentence of NMEA 0183")
    elif not places:
        gathered.add_array([])
    elif gathered.length_is_good(places):
        _add(gathered, sentences, places)


def _sentences(lines: Sequence[str]) -> Iterator[_Sentence]:
    """Yield the sentences among lines; but for RMC, without those that have a fault."""
    for number, line in enumerate(lines, 1):
        found = _SENTENCE.fullmatch(line.strip())
        if found is None:
            continue
        name, fields, stated = found.groups()
        computed = _checksum(found[0][1:].partition("*")[0])
        fault = None
        if stated is not None and computed != int(stated, 16):
            fault = f"line {number}: the checksum is {computed:02X}, not {stated}"
        if (kind := name[2:]) == "RMC" or fault is None:
            yield _Sentence(kind, fields.split(","), fault)


def _checksum(body: str) -> int:
    checksum = 0
    for byte in body.encode():
        checksum ^= byte
    return checksum


def _add(gathered: Gathered, sentences: Sequence[_Sentence], places: Sequence[int]) -> None:
    same_time = {one.field(0): one for one in sentences if one.kind == "GGA"}
    fixes = dict[int, Fix]()
    for position, place in enumerate(places):
        rmc, behind = sentences[place], sentences[place + 1 : place + 3]
        vtg = next((one for one in behind if one.kind == "VTG"), _NOTHING)
        try:
            fix = _fix(rmc, same_time.get(rmc.field(0), _NOTHING), vtg)
        except _Unreadable as error:
            message = len(gathered.spans)
            rejection = Rejection(message, position, Reason.UNDECODABLE, str(error))
            gathered.rejections.append(rejection)
        else:
            if fix is not None:
                fixes[position] = fix
    gathered.add_some(fixes)


def _fix(rmc: _Sentence, gga: _Sentence, vtg: _Sentence) -> Fix | None:
    """Return the fix of an RMC; None where the receiver has no position. Raises _Unreadable."""
    if rmc.fault is not None:
        raise _Unreadable(rmc.fault)
    time = _time(rmc.field(8), rmc.field(0))
    if rmc.field(1) == "V":
        return None
    knots = _number("speed", rmc.field(6) or vtg.field(4))
    satellites = _number("satellites", gga.field(6))
    hdop = _number("hdop", gga.field(7))
    values: Mapping[str, float | None] = {
        "speed_mps": None if knots is None else knots * _KNOT_MPS,
        "course_deg": _number("course", rmc.field(7) or vtg.field(0)),
        "altitude_m": _number("altitude", gga.field(8)),
        "satellites": None if satellites is None else min(255, int(satellites)),
    }
    known: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
    return Fix(
        time=time,
        lat=_degrees("latitude", rmc.field(2), rmc.field(3), "NS"),
        lon=_degrees("longitude", rmc.field(4), rmc.field(5), "EW"),
        attributes=None if hdop is None else {"hdop": hdop},
        **known,
    )


def _time(date: str, clock: str) -> str:
    day, at = _DATE.fullmatch(date), _CLOCK.fullmatch(clock)
    if day is None or at is None:
        raise _Unreadable(f"{date[:_SHOWN]!r} and {clock[:_SHOWN]!r} are no date (ddmmyy) and time")
    year = _FIRST_YEAR + (int(day[3]) - _FIRST_YEAR) % 100
    return f"{year}-{day[2]}-{day[1]}T{at[1]}:{at[2]}:{at[3]}Z"


def _degrees(name: str, angle: str, side: str, sides: str) -> float:
    parts = _ANGLE.fullmatch(angle)
    if parts is None or len(side) != 1 or side not in sides or float(parts[2]) >= 60:
        raise _Unreadable(f"{angle[:_SHOWN]!r}, {side[:_SHOWN]!r} is no {name} (dddmm.mm, {sides})")
    degrees = int(parts[1]) + float(parts[2]) / 60
    return -degrees if side == sides[1] else degrees


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise _Unreadable(f"{name} must be a number, not {text[:_SHOWN]!r}")
    return float(text)
