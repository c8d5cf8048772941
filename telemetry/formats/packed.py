"""Packed fixes: n records of 32 bytes, little-endian, for trackers that count bytes.

A message is valid when its length is a multiple of 32, other than zero. Every optional field has a
value that says "not known"; `docs/wire-format.md` shows the layout and a worked example.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telemetry.attributes import with_members
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Known, blank_rows
from telemetry.formats.decoded import (
    MAX_FIXES_PER_MESSAGE,
    MAX_MESSAGE_BYTES,
    Decoded,
    Rule,
    bad_coordinates,
    describe_position,
    in_order,
    oversize_array,
    oversize_message,
    without,
)
from telemetry.ranges import RANGES, write_column
from telemetry.rejection import Reason, Rejection
from telemetry.times import EARLIEST_US, LATEST_US, NO_TIME

RECORD = np.dtype(
    [
        ("time_ms", "<i8"),
        ("lat_e7", "<i4"),
        ("lon_e7", "<i4"),
        ("altitude_dm", "<i4"),
        ("speed_cmps", "<u2"),
        ("course_cdeg", "<u2"),
        ("accuracy_dm", "<u2"),
        ("seq", "<u2"),
        ("flags", "<u4"),
    ]
)
RECORD_BYTES = RECORD.itemsize

I32_NOT_KNOWN = -(2**31)  # of lat_e7, lon_e7, altitude_dm
U16_NOT_KNOWN = 0xFFFF  # of speed_cmps, course_cdeg, accuracy_dm

# The word `flags`: a value counts only where its bit says that it is known.
IGNITION_KNOWN = 1 << 0
IGNITION_ON = 1 << 1
SATELLITES_KNOWN = 1 << 2
BATTERY_KNOWN = 1 << 3
SATELLITES_SHIFT = 8  # 8 bits
BATTERY_SHIFT = 16  # 8 bits, percent
RESERVED = ~(0xF | 0xFF << SATELLITES_SHIFT | 0xFF << BATTERY_SHIFT) & 0xFFFF_FFFF


def decode_packed(payloads: Sequence[bytes]) -> Decoded:
    """Return fixes and rejections of `payloads`; `message` counts from 0."""
    lengths = np.fromiter(map(len, payloads), np.int64, len(payloads))
    counts, odd = np.divmod(lengths, RECORD_BYTES)
    counts[(odd != 0) | (counts > MAX_FIXES_PER_MESSAGE)] = 0
    refused: list[int] = np.flatnonzero(counts == 0).tolist()
    if refused:
        payloads = [payloads[i] if counts[i] else b"" for i in range(len(payloads))]
    records = np.frombuffer(b"".join(payloads), RECORD)
    rows = _rows(records, counts)
    attributes: dict[int, bytes] = {}
    _optional_columns(rows, attributes, records)
    kept = without(FixBatch(rows, attributes), _rules(records, rows))
    rejections = [_refusal(message, int(lengths[message])) for message in refused]
    return Decoded(kept.batch, in_order(rejections + kept.rejections))


def _refusal(message: int, length: int) -> Rejection:
    reason = Reason.OVERSIZE
    if length > MAX_MESSAGE_BYTES:
        detail = oversize_message(length)
    elif length > MAX_FIXES_PER_MESSAGE * RECORD_BYTES:
        detail = oversize_array(length // RECORD_BYTES)
    else:
        reason = Reason.UNDECODABLE
        detail = f"{length} bytes, not one or more records of {RECORD_BYTES}"
    return Rejection(message, None, reason, detail)


def _rows(records: NDArray[np.void], counts: NDArray[np.int64]) -> NDArray[np.void]:
    rows = blank_rows(len(records))
    rows["message"] = np.repeat(np.arange(len(counts)), counts)
    rows["position"] = np.arange(len(records)) - np.repeat(np.cumsum(counts) - counts, counts)
    time_ms = records["time_ms"]
    in_years = (time_ms >= EARLIEST_US // 1000) & (time_ms <= LATEST_US // 1000)
    # a time out of range may overflow here: it is replaced in the same line
    rows["time_us"] = np.where(in_years, time_ms * 1000, NO_TIME)
    rows["lat"] = records["lat_e7"] / 1e7
    rows["lon"] = records["lon_e7"] / 1e7
    rows["seq"] = records["seq"]
    return rows


def _optional_columns(
    rows: NDArray[np.void], attributes: dict[int, bytes], records: NDArray[np.void]
) -> None:
    for column, name, per_unit, not_known in _SCALED:
        raw = records[name]
        _write(rows, attributes, column, raw, per_unit, raw != not_known)
    flags = records["flags"]
    if not flags.any():
        return
    satellites = flags >> SATELLITES_SHIFT & 0xFF
    _write(rows, attributes, "satellites", satellites, 1, flags & SATELLITES_KNOWN != 0)
    battery = flags >> BATTERY_SHIFT & 0xFF
    _write(rows, attributes, "battery_pct", battery, 1, flags & BATTERY_KNOWN != 0)
    rows["ignition"] = flags & (IGNITION_KNOWN | IGNITION_ON) == IGNITION_KNOWN | IGNITION_ON
    rows["known"] |= np.where(flags & IGNITION_KNOWN, np.uint8(Known.IGNITION), np.uint8(0))
    for row in np.flatnonzero(flags & RESERVED).tolist():
        members = {"packed_flags": int(flags[row]) & RESERVED}
        attributes[row] = with_members(attributes.get(row), members)


_SCALED = (
    ("altitude_m", "altitude_dm", 10, I32_NOT_KNOWN),
    ("speed_mps", "speed_cmps", 100, U16_NOT_KNOWN),
    ("course_deg", "course_cdeg", 100, U16_NOT_KNOWN),
    ("accuracy_m", "accuracy_dm", 10, U16_NOT_KNOWN),
)


def _write(
    rows: NDArray[np.void],
    attributes: dict[int, bytes],
    column: str,
    raw: NDArray[np.integer],
    per_unit: int,
    known: NDArray[np.bool_],
) -> None:
    low, high = RANGES[column]
    if not known.any():
        return
    if known.all() and raw.min() >= low * per_unit and raw.max() <= high * per_unit:
        rows[column] = raw / per_unit
        rows["known"] |= np.uint8(OPTIONAL_COLUMNS[column])
    else:
        write_column(rows, attributes, column, np.where(known, raw / per_unit, np.nan))


def _rules(records: NDArray[np.void], rows: NDArray[np.void]) -> list[Rule]:
    lacking = (records["lat_e7"] == I32_NOT_KNOWN) | (records["lon_e7"] == I32_NOT_KNOWN)
    return [
        (
            rows["time_us"] == NO_TIME,
            Reason.UNDECODABLE,
            lambda row: f"{records['time_ms'][row]} ms is not a time",
        ),
        (lacking, Reason.NO_POSITION, lambda row: "lat or lon is missing"),
        (
            bad_coordinates(rows["lat"], rows["lon"]),
            Reason.BAD_COORDINATE,
            lambda row: describe_position(rows, row),
        ),
    ]
