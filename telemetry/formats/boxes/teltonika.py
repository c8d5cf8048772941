"""Packets of Teltonika's trackers: Codec 8, 8 Extended and 16, as they go over TCP or MQTT.

    4 bytes of zero, the length of the data, the data, its CRC-16
    data: the codec, the number of records, the records, and their number again

All numbers are unsigned and big-endian, but for longitude, latitude and altitude. A record has the
time, a priority, the position and IO elements, numbers by their ids: 239 is the ignition and 113
the battery, and the others become attributes (`io66`). Where the receiver saw no satellite, the
position is the last one known: such a record gives no fix.

The maker's description: https://wiki.teltonika-gps.com/view/Codec.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

from telemetry.formats.app_json import decode_each
from telemetry.formats.boxes.crc import crc_16
from telemetry.formats.decoded import Decoded
from telemetry.formats.gather import Fix, Gathered
from telemetry.formats.last_fix import UNKNOWN, LastFix
from telemetry.rejection import Reason

_KMH = 3.6
_HEAD = struct.Struct(">4sIBB")
_CRC_BYTES = 4
_LEAST_BYTES = _HEAD.size + 1 + _CRC_BYTES
_RECORD = struct.Struct(">QBiihHBH")
_BYTE, _SHORT = struct.Struct(">B"), struct.Struct(">H")
_VALUES = tuple(map(struct.Struct, (">B", ">H", ">I", ">Q")))
_IGNITION, _BATTERY = 239, 113


class _Codec(NamedTuple):
    """The differences of codecs: how ids and numbers of IO elements are written, and what else."""

    io_id: struct.Struct
    number: struct.Struct
    has_generation: bool = False
    has_long_values: bool = False


_CODECS = {
    0x08: _Codec(_BYTE, _BYTE),
    0x8E: _Codec(_SHORT, _SHORT, has_long_values=True),
    0x10: _Codec(_SHORT, _BYTE, has_generation=True),
}


class _PacketError(ValueError):
    """A packet that cannot be read; the text says why. kind: of what is not understood."""

    def __init__(self, text: str, kind: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind


def decode_teltonika(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`, a packet each; `message` counts from 0."""
    return decode_each(payloads, _gather)


def _gather(gathered: Gathered, payload: bytes) -> None:
    try:
        fixes = dict(_fixes(payload))
    except _PacketError as error:
        gathered.refuse(Reason.UNDECODABLE, str(error), error.kind)
    else:
        gathered.add_some(fixes)


def last_teltonika_fix(payload: bytes) -> LastFix:
    """Read the last fix of a packet that can be read. Never raises ValueError."""
    rows = decode_teltonika([payload]).batch.rows
    return LastFix(int(rows["time_us"][-1]), int(rows["seq"][-1])) if len(rows) else UNKNOWN


def _fixes(packet: bytes) -> Iterator[tuple[int, Fix]]:
    """Yield the fixes by the number of their record. Raises _PacketError."""
    codec, count = _opened(packet)
    end = len(packet) - _CRC_BYTES - 1
    at, times = _HEAD.size, set[int]()
    for number in range(count):
        begin = at
        try:
            record = _RECORD.unpack_from(packet, at)
            elements, event, at = _elements(packet, at + _RECORD.size, codec)
        except struct.error:
            raise _PacketError(f"record {number} is cut off") from None
        if at > end:
            raise _PacketError(f"record {number} goes beyond the data")
        time_ms, priority, lon, lat, altitude, course, satellites, speed = record
        is_first = time_ms not in times
        times.add(time_ms)
        if not satellites:
            continue
        yield (
            number,
            Fix(
                time=time_ms,
                lat=lat / 1e7,
                lon=lon / 1e7,
                seq=0 if is_first else crc32(packet[begin:at]) & 0x7FFF or 1,
                altitude_m=altitude,
                speed_mps=speed / _KMH,
                course_deg=course,
                satellites=satellites,
                **_columns(elements),
                attributes=_attributes(elements, event, priority),
            ),
        )
    if at != end:
        raise _PacketError(f"{end - at} bytes follow the last record")


def _opened(packet: bytes) -> tuple[_Codec, int]:
    """Return the codec and the number of records of a packet that is whole."""
    if len(packet) < _LEAST_BYTES:
        least = f"it has {_LEAST_BYTES} at least"
        raise _PacketError(f"a packet of {len(packet)} bytes, {least}", "no packet")
    preamble, length, number, count = _HEAD.unpack_from(packet)
    if preamble != bytes(4):
        raise _PacketError("a packet begins with four bytes of zero", "no packet")
    data = packet[8:-_CRC_BYTES]
    if length != len(data):
        raise _PacketError(f"{len(data)} bytes of data, the packet says {length}", "no packet")
    crc, stated = crc_16(data), int.from_bytes(packet[-_CRC_BYTES:])
    if crc != stated:
        text = f"the CRC of the data is {crc:04x}, the packet says {stated:04x}"
        raise _PacketError(text, "damaged")
    if number not in _CODECS:
        text = f"codec {number:#04x} has no positions; 8, 8 Extended and 16 have"
        raise _PacketError(text, f"codec {number:02x}")
    if count != data[-1]:
        raise _PacketError(f"{count} records at the begin of the data, {data[-1]} at its end")
    return _CODECS[number], count


def _elements(packet: bytes, at: int, codec: _Codec) -> tuple[dict[int, int | str], int, int]:
    """Return the IO elements, the id of the one that made the record, and where they end."""
    (event,) = codec.io_id.unpack_from(packet, at)
    at += codec.io_id.size + codec.has_generation + codec.number.size
    elements: dict[int, int | str] = {}
    for value in _VALUES:
        (count,) = codec.number.unpack_from(packet, at)
        at += codec.number.size
        for _ in range(count):
            (io_id,) = codec.io_id.unpack_from(packet, at)
            (elements[io_id],) = value.unpack_from(packet, at + codec.io_id.size)
            at += codec.io_id.size + value.size
    if codec.has_long_values:
        (count,) = codec.number.unpack_from(packet, at)
        at += codec.number.size
        for _ in range(count):
            io_id, length = struct.unpack_from(">HH", packet, at)
            elements[io_id] = packet[at + 4 : at + 4 + length].hex()
            at += 4 + length
    return elements, event, at


def _columns(elements: Mapping[int, int | str]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    if isinstance(ignition := elements.get(_IGNITION), int):
        columns["ignition"] = ignition > 0
    if isinstance(battery := elements.get(_BATTERY), int):
        columns["battery_pct"] = float(battery)
    return columns


def _attributes(
    elements: Mapping[int, int | str], event: int, priority: int
) -> dict[str, int | str] | None:
    others = {f"io{io_id}": value for io_id, value in sorted(elements.items())}
    others.pop(f"io{_IGNITION}", None)
    others.pop(f"io{_BATTERY}", None)
    told = {"event_io": event, "priority": priority}
    return {name: value for name, value in told.items() if value} | others or None
