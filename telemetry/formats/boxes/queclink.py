"""Reports of Queclink's trackers in ASCII (@Track), a message each.

    +RESP:GTFRI,F10413,862599050544301,GV350M,...,1,98.2,93,216.4,-117.484369,33.896640,20240919020058,...,20A7$

A report has a header, the version of the protocol, the IMEI, fields that differ by report and by
device, and the number that an acknowledgement repeats. Whatever else it has, a position is seven
fields in a row: HDOP, km/h, course, altitude, longitude, latitude and the time in UTC. With HDOP 0
it is the last position known, and no fix. `+BUFF` is a report that was kept for later. Reports
without coordinates (a state, a battery) are no fixes; one that has some but no such row is refused
by its kind. A report that is not one of a series has a `seq` from its bytes, since it may have the
time of one that is.

The maker's description: TRACGL300AN001, "@Track Air Interface Protocol".
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from zlib import crc32

from telemetry.formats.app_json import decode_each, last_of
from telemetry.formats.decoded import (
    MAX_FIXES_PER_MESSAGE,
    Decoded,
    oversize_array,
)
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

HEAD = re.compile(rb"\+(RESP|BUFF|ACK):(GT[A-Z]{3}),([0-9A-Z]{6,10}),([0-9]{15}),")
"""The kind of a message, the report, the version of the protocol and the IMEI."""
_POSITION = re.compile(
    rb",([0-9]{1,2}(?:\.[0-9])?),([0-9]{1,3}(?:\.[0-9])?)?,([0-9]{1,3})?,(-?[0-9]{1,5}(?:\.[0-9])?)?"
    rb",(-?[0-9]{1,3}\.[0-9]{6}),(-?[0-9]{1,2}\.[0-9]{6}),([0-9]{14})(?=,)"
)
_COORDINATES = re.compile(rb",-?[0-9]{1,3}\.[0-9]{4,},-?[0-9]{1,2}\.[0-9]{4,},")
_SERIES = frozenset({"GTFRI", "GTERI"})
_KMH = 3.6
_NAN = float("nan")


def decode_queclink(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_queclink_fix(payload: bytes) -> LastFix:
    """Read the last fix of a report that can be read. Never raises ValueError."""
    return last_of(decode_queclink([payload]))


def _gather(gathered: Gathered, payload: bytes) -> None:
    head = HEAD.match(payload)
    if head is None or payload[-1:] != b"$":
        gathered.refuse(Reason.UNDECODABLE, "no whole report of @Track in ASCII", "no report")
        return
    report, places = head[2].decode(), list(_POSITION.finditer(payload))
    if not places and _COORDINATES.search(payload):
        row = "HDOP, km/h, course, altitude, longitude, latitude and time in a row"
        gathered.refuse(Reason.UNDECODABLE, f"{report} without {row}", report)
        return
    try:
        found = [_fix(report, place) for place in places if float(place[1])]
    except ValueError as error:
        gathered.refuse(Reason.UNDECODABLE, f"the time: {error}")
        return
    if len(found) == 1:
        gathered.add_lone(found[0])
    elif len(found) > MAX_FIXES_PER_MESSAGE:
        gathered.refuse(Reason.OVERSIZE, oversize_array(len(found)))
    else:
        gathered.add_array(found)


def _fix(report: str, place: re.Match[bytes]) -> Fix:
    """Return a fix. Raises ValueError for a time that there is not."""
    _, speed, course, altitude, lon, lat, time = (
        None if text is None else text.decode() for text in place.groups()
    )
    assert lon is not None
    assert lat is not None
    at = datetime.strptime(time or "", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    is_of_series = report in _SERIES
    return Fix(
        time=1_000 * int(at.timestamp()),
        lat=float(lat),
        lon=float(lon),
        seq=0 if is_of_series else crc32(report.encode() + place[0]) & 0x7FFF or 1,
        altitude_m=_number(altitude),
        speed_mps=_number(speed) / _KMH,
        course_deg=_number(course),
        attributes=None if is_of_series else {"report": report},
    )


def _number(text: str | None) -> float:
    return _NAN if text is None else float(text)
