"""Packets of Meitrack's trackers, a message each.

    $$D149,867047043162018,AAA,35,-1.264865,36.800705,211001105240,A,9,20,41.0,323,1,1697,1,0,...*E1

A packet has a letter that counts on, its length from the first comma on, the IMEI, a command, and
behind `*` the sum of all bytes before as two hexadecimal digits, CR and LF. Four commands have
positions: AAA and AFF one as text; CCC and CCE several in binary, little-endian, whose times count
seconds from 2000 on. Others are refused by their kind. Speed is in km/h, the clock is UTC. A
position that is not valid (V) is the last one known, and no fix.

An event that is not of a series (a change of course, a distance, an interval) has a `seq` from its
bytes, since it may have the time of one that is; so has a further record of one time in a packet.

Sources: the maker's "GPRS Protocol", V1.21 of MVT340 and others and that of T1 and T333.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from zlib import crc32

from telemetry.formats.app_json import decode_each, last_of
from telemetry.formats.decoded import MAX_FIXES_PER_MESSAGE, Decoded, oversize_array
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import LastFix
from telemetry.rejection import Reason

HEAD = re.compile(rb"\$\$(.)([0-9]{1,4}),([0-9]{15}),([0-9A-Z]{3}),", re.DOTALL)
"""The letter of a packet, its length, the IMEI and the command."""
_POSITIONS = frozenset({"AAA", "AFF", "CCC", "CCE"})
_END = b"\r\n"
_TAIL_BYTES = 5  # *, checksum, CR, LF
_POSITION = re.compile(
    rb"(?:[0-9A-F]{1,8},)?([0-9]{1,4}),(-?[0-9]{1,2}\.[0-9]{1,6}),(-?[0-9]{1,3}\.[0-9]{1,6})"
    rb",([0-9]{12}),([AV]),([0-9]{1,2}),[0-9]{1,3},([0-9]{1,4}(?:\.[0-9]+)?),([0-9]{1,3})"
    rb",([0-9]{1,3}(?:\.[0-9]+)?),(-?[0-9]{1,5}),"
)
_SERIES = frozenset({32, 33, 35})
_KMH = 3.6
_DEGREE = 1_000_000
_EPOCH_S = 946_684_800  # 2000-01-01
_NAN = float("nan")

_CCC_HEAD = struct.Struct("<HHI")
_CCC_VERSION = 0x0102
_CCC = struct.Struct("<BiiIBBBHHHh")
_CCC_LEAST_BYTES = 0x34
_CCE_HEAD, _CCE_RECORD = struct.Struct("<IH"), struct.Struct("<HH")
_CCE_VALUES = (struct.Struct("<B"), struct.Struct("<h"), struct.Struct("<i"))
_EXTENDED = 0xFE
"""Begins an id of two bytes."""
_EVENT, _LAT, _LON, _TIME, _IS_VALID, _SATELLITES = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
_SPEED, _COURSE, _HDOP, _ALTITUDE, _LONG_EVENT, _BATTERY = 0x08, 0x09, 0x0A, 0x0B, 0x40, 0xFE69


class PacketError(ValueError):
    """Bytes that are no packet, or one without positions; the text says why. kind: of what is not
    understood.
    """

    def __init__(self, text: str, kind: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind


class _Record(NamedTuple):
    """A position with its event. text: the bytes that make it another one."""

    event: int
    time_ms: int
    text: bytes
    fix: Fix | None


def checksum(packet: bytes) -> bytes:
    """Return the checksum of a packet, or of an answer, whose last byte is the `*`."""
    return b"%02X" % (sum(packet) & 0xFF)


def check(packet: bytes) -> None:
    """Raise PacketError where a packet did not arrive as it was sent."""
    if packet[-2:] != _END or packet[-_TAIL_BYTES : 1 - _TAIL_BYTES] != b"*":
        raise PacketError("a packet ends with *, a checksum, CR and LF", "no packet")
    right, stated = checksum(packet[: 1 - _TAIL_BYTES]), packet[1 - _TAIL_BYTES : -2]
    if right != stated.upper():
        shown = stated.decode("ascii", "backslashreplace")
        raise PacketError(f"the checksum is {right.decode()}, the packet says {shown}", "damaged")


def records_of(packet: bytes) -> int:
    """Return how many positions a packet of CCC has."""
    head = HEAD.match(packet)
    assert head is not None
    body = packet[head.end() : -_TAIL_BYTES]
    return len(_ccc_packets(body))


def decode_meitrack(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    return decode_each(payloads, _gather)


def last_meitrack_fix(payload: bytes) -> LastFix:
    """Read the last fix of a packet that can be read. Never raises ValueError."""
    return last_of(decode_meitrack([payload]))


def _gather(gathered: Gathered, payload: bytes) -> None:
    try:
        check(payload)
        head = HEAD.match(payload)
        if head is None:
            begin = "$$, a letter, its length, the IMEI and a command"
            raise PacketError(f"a packet is {begin}", "no packet")
        command, body = head[4].decode(), payload[head.end() : -_TAIL_BYTES]
        fixes = _fixes(command, body)
    except PacketError as error:
        gathered.refuse(Reason.UNDECODABLE, str(error), error.kind)
        return
    if len(fixes) > MAX_FIXES_PER_MESSAGE:
        gathered.refuse(Reason.OVERSIZE, oversize_array(len(fixes)))
    elif command in ("AAA", "AFF") and fixes:
        gathered.add_lone(fixes[0])
    else:
        gathered.add_some(fixes)


def _fixes(command: str, body: bytes) -> dict[int, Fix]:
    """Return the fixes of a packet by the number of their record. Raises PacketError."""
    if command == "CCC":
        records = map(_of_ccc, _ccc_packets(body))
    elif command == "CCE":
        records = _of_cce(body)
    elif command in _POSITIONS:
        records = iter([_of_text(command, body)])
    else:
        raise PacketError(f"{command} has no position that we know", command)
    fixes, times = dict[int, Fix](), set[int]()
    for number, record in enumerate(records):
        if record.fix is None:
            continue
        if record.event in _SERIES and record.time_ms not in times:
            times.add(record.time_ms)
        else:
            record.fix.seq = crc32(record.text) & 0x7FFF or 1
        fixes[number] = record.fix
    return fixes


def _of_text(command: str, body: bytes) -> _Record:
    found = _POSITION.match(body)
    if found is None:
        raise PacketError(
            f"{command} without an event, latitude, longitude, time, A or V, satellites, signal,"
            " speed, course, HDOP and altitude in a row",
            command,
        )
    event, lat, lon, time, validity, satellites, speed, course, hdop, altitude = (
        text.decode() for text in found.groups()
    )
    try:
        at = datetime.strptime(time, "%y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        raise PacketError(f"{time} is no time (yymmddhhmmss)") from None
    time_ms, fix = 1_000 * int(at.timestamp()), None
    if validity == "A":
        fix = Fix(
            time=time_ms,
            lat=float(lat),
            lon=float(lon),
            altitude_m=float(altitude),
            speed_mps=float(speed) / _KMH,
            course_deg=float(course),
            satellites=int(satellites),
            attributes={"event": int(event), "hdop": float(hdop)},
        )
    return _Record(int(event), time_ms, body[found.start(1) : found.end()], fix)


def _ccc_packets(body: bytes) -> list[bytes]:
    """Return the positions of CCC. Raises PacketError."""
    if len(body) < _CCC_HEAD.size:
        raise PacketError("a CCC is cut off")
    version, size, _ = _CCC_HEAD.unpack_from(body)
    if version != _CCC_VERSION or size < _CCC_LEAST_BYTES:
        raise PacketError(f"CCC of version {version:#06x}, positions of {size} bytes: not known")
    packets = body[_CCC_HEAD.size :]
    if len(packets) % size:
        raise PacketError(f"{len(packets)} bytes are no positions of {size} bytes")
    return [packets[at : at + size] for at in range(0, len(packets), size)]


def _of_ccc(packet: bytes) -> _Record:
    event, lat, lon, time_s, is_valid, satellites, _, speed, course, hdop, altitude = (
        _CCC.unpack_from(packet)
    )
    time_ms, fix = 1_000 * (_EPOCH_S + time_s), None
    if is_valid == 1:
        fix = Fix(
            time=time_ms,
            lat=lat / _DEGREE,
            lon=lon / _DEGREE,
            altitude_m=altitude,
            speed_mps=speed / _KMH,
            course_deg=course,
            satellites=satellites,
            attributes={"event": event, "hdop": hdop / 10},
        )
    return _Record(event, time_ms, packet, fix)


def _of_cce(body: bytes) -> Iterator[_Record]:
    """Yield the records of CCE. Raises PacketError."""
    if len(body) < _CCE_HEAD.size:
        raise PacketError("a CCE is cut off")
    _, count = _CCE_HEAD.unpack_from(body)
    at = _CCE_HEAD.size
    for number in range(count):
        try:
            size, _ = _CCE_RECORD.unpack_from(body, at)
        except struct.error:
            raise PacketError(f"record {number} is cut off") from None
        record = body[at + _CCE_RECORD.size : at + 2 + size]
        if len(record) != size - 2:
            raise PacketError(f"record {number} goes beyond the packet")
        yield _record(record, number)
        at += 2 + size
    if at != len(body):
        raise PacketError(f"{len(body) - at} bytes follow the last record")


def _record(record: bytes, number: int) -> _Record:
    try:
        said = _parameters(record)
    except (struct.error, IndexError):
        raise PacketError(f"record {number}: its parameters go beyond it") from None
    event = said.get(_LONG_EVENT, said.get(_EVENT, 0))
    time_ms = 1_000 * (_EPOCH_S + (said.get(_TIME, 0) & 0xFFFFFFFF))
    fix = None
    if said.get(_IS_VALID) and {_LAT, _LON, _TIME} <= said.keys():
        hdop = said.get(_HDOP)
        fix = Fix(
            time=time_ms,
            lat=said[_LAT] / _DEGREE,
            lon=said[_LON] / _DEGREE,
            altitude_m=said.get(_ALTITUDE, _NAN),
            speed_mps=said.get(_SPEED, _NAN) / _KMH,
            course_deg=said.get(_COURSE, _NAN),
            battery_pct=said.get(_BATTERY, _NAN),
            attributes={"event": event} | ({} if hdop is None else {"hdop": hdop / 10}),
        )
        if _SATELLITES in said:
            fix.satellites = said[_SATELLITES]
    return _Record(event, time_ms, record, fix)


def _parameters(record: bytes) -> Mapping[int, int]:
    """Return the numbers of a record by their ids. Raises struct.error and IndexError."""
    said, at = dict[int, int](), 0
    for value in _CCE_VALUES:
        count, at = record[at], at + 1
        for _ in range(count):
            id_bytes = 2 if record[at] == _EXTENDED else 1
            io_id = int.from_bytes(record[at : at + id_bytes])
            (said[io_id],) = value.unpack_from(record, at + id_bytes)
            at += id_bytes + value.size
    return said
