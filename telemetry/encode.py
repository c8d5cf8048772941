"""Fixes as a tracker would write them: JSON, MessagePack, packed. For simulators and tests.

What each function writes, `telemetry.decode` reads back as the same fixes; `packed` carries less
(whole milliseconds, seq up to 65,535, no attributes, fixed steps) and refuses identity that it
would have to change.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry import packed
from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Known
from telemetry.times import format_times


class EncodeError(ValueError):
    """Fixes that the format cannot carry."""


def encode_json(batch: FixBatch) -> bytes:
    """One object for a batch of one, else an array of objects. `time` is RFC 3339 text."""
    return _one_or_array(_objects(batch, format_times(batch.rows["time_us"])), msgspec.json.encode)


def encode_msgpack(batch: FixBatch) -> bytes:
    """The same shape as MessagePack. `time` is epoch milliseconds where whole, else text."""
    times_us: NDArray[np.int64] = batch.rows["time_us"]
    whole_ms = times_us % 1000 == 0
    times: list[Any] = (times_us // 1000).tolist()
    for row in np.flatnonzero(~whole_ms).tolist():
        times[row] = format_times(times_us[row : row + 1])[0]
    return _one_or_array(_objects(batch, times), msgspec.msgpack.encode)


def encode_packed(batch: FixBatch) -> bytes:
    """32 bytes a fix, values rounded to the format's steps. Raises EncodeError for an empty batch,
    attributes, or a value that does not fit.
    """
    rows = batch.rows
    if batch.attributes or not len(batch):
        raise EncodeError("packed carries one fix or more, and no attributes")
    if (rows["time_us"] % 1000).any():
        raise EncodeError("packed carries whole milliseconds")
    records = np.zeros(len(rows), packed.RECORD)
    records["time_ms"] = rows["time_us"] // 1000
    records["lat_e7"] = _whole("lat", rows["lat"] * 1e7, 90e7)
    records["lon_e7"] = _whole("lon", rows["lon"] * 1e7, 180e7)
    records["seq"] = _whole("seq", rows["seq"], 0xFFFF)
    for column, name, per_unit, not_known, most in _PACKED_OPTIONAL:
        known = (rows["known"] & OPTIONAL_COLUMNS[column]) != 0
        values = np.where(known, rows[column].astype(np.float64) * per_unit, 0)
        records[name] = np.where(known, _whole(column, values, most), not_known)
    records["flags"] = _flags(rows)
    return records.tobytes()


_PACKED_OPTIONAL = (
    ("altitude_m", "altitude_dm", 10, packed.I32_NOT_KNOWN, 2**31 - 1),
    ("speed_mps", "speed_cmps", 100, packed.U16_NOT_KNOWN, 0xFFFE),
    ("course_deg", "course_cdeg", 100, packed.U16_NOT_KNOWN, 36_000),
    ("accuracy_m", "accuracy_dm", 10, packed.U16_NOT_KNOWN, 0xFFFE),
)


def _whole(column: str, values: NDArray[Any], most: float) -> NDArray[np.int64]:
    rounded = np.rint(values)
    least = -most if column in ("lat", "lon", "altitude_m") else 0
    if not ((rounded >= least) & (rounded <= most)).all():
        raise EncodeError(f"{column} does not fit its field of a packed record")
    return rounded.astype(np.int64)


def _flags(rows: NDArray[np.void]) -> NDArray[np.int64]:
    flags = np.zeros(len(rows), np.int64)
    for column, bit, known_bit, shift in (
        ("satellites", Known.SATELLITES, packed.SATELLITES_KNOWN, packed.SATELLITES_SHIFT),
        ("battery_pct", Known.BATTERY, packed.BATTERY_KNOWN, packed.BATTERY_SHIFT),
        ("ignition", Known.IGNITION, packed.IGNITION_KNOWN, 1),
    ):
        known = (rows["known"] & bit) != 0
        values = _whole(column, np.where(known, rows[column], 0), 0xFF)
        flags |= np.where(known, values << shift | known_bit, 0)
    return flags


def _one_or_array(objects: Sequence[dict[str, Any]], encode: Callable[[Any], bytes]) -> bytes:
    return encode(objects[0] if len(objects) == 1 else objects)


def _objects(batch: FixBatch, times: Sequence[Any]) -> list[dict[str, Any]]:
    rows = batch.rows
    objects: list[dict[str, Any]] = [
        {"time": time, "lat": lat, "lon": lon}
        for time, lat, lon in zip(times, rows["lat"].tolist(), rows["lon"].tolist(), strict=True)
    ]
    for row in np.flatnonzero(rows["seq"]).tolist():
        objects[row]["seq"] = int(rows["seq"][row])
    for column, bit in OPTIONAL_COLUMNS.items():
        values = shortest(rows[column]).tolist()
        for row in np.flatnonzero(rows["known"] & bit).tolist():
            objects[row][column] = values[row]
    for row, text in batch.attributes.items():
        objects[row]["attributes"] = msgspec.json.decode(text)
    return objects


def shortest(values: NDArray[Any]) -> NDArray[Any]:
    """Single precision as the shortest decimal that reads back the same: 5.1, not 5.09999990463."""
    if values.dtype != np.float32:
        return values
    return values.astype(str).astype(np.float64)
