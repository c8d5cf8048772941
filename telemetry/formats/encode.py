"""Fixes as a tracker would write them: JSON, MessagePack, packed. For simulators and tests.

What each function writes, `telemetry.formats.decode` reads back as the same fixes; `packed` carries
less (whole milliseconds, seq up to 65,535, no attributes, fixed steps) and refuses identity that it
would have to change.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Known
from telemetry.formats import packed
from telemetry.times import format_times


class EncodeError(ValueError):
    """Fixes that the format cannot carry."""


def encode_json(batch: FixBatch) -> bytes:
    """Return one object for a batch of one, else an array of objects. `time` is RFC 3339 text."""
    times = format_times(batch.rows["time_us"])
    return _one_or_array(_objects(batch, times), msgspec.json.encode)


def encode_msgpack(batch: FixBatch) -> bytes:
    """Return the same shape as MessagePack. `time` is epoch milliseconds where whole, else text."""
    times_us: NDArray[np.int64] = batch.rows["time_us"]
    times: list[int | str] = (times_us // 1000).tolist()
    odd = np.flatnonzero(times_us % 1000)
    for row, text in zip(odd.tolist(), format_times(times_us[odd]), strict=True):
        times[row] = text
    return _one_or_array(_objects(batch, times), msgspec.msgpack.encode)


def encode_packed(batch: FixBatch) -> bytes:
    """Encode a batch in 32 bytes a fix, values rounded to the format's steps.

    Raises EncodeError for an empty batch, attributes, or a value that does not fit.
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


class _Object(msgspec.Struct, omit_defaults=True, gc=False):
    """A fix on its way out; what is not known, and seq 0, is left out."""

    time: int | str
    lat: float
    lon: float
    seq: int = 0
    altitude_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    accuracy_m: float | None = None
    battery_pct: float | None = None
    satellites: int | None = None
    ignition: bool | None = None
    attributes: Any = None


def _one_or_array(objects: list[_Object], encode: Callable[[Any], bytes]) -> bytes:
    return encode(objects[0] if len(objects) == 1 else objects)


def _objects(batch: FixBatch, times: Sequence[int | str]) -> list[_Object]:
    rows = batch.rows
    plain = [rows[column].tolist() for column in ("lat", "lon", "seq")]
    optional = [_or_none(rows, column) for column in OPTIONAL_COLUMNS]
    objects = [_Object(*values) for values in zip(times, *plain, *optional, strict=True)]
    for row, text in batch.attributes.items():
        objects[row].attributes = msgspec.json.decode(text)
    return objects


def _or_none(rows: NDArray[np.void], column: str) -> list[Any]:
    known = (rows["known"] & OPTIONAL_COLUMNS[column]) != 0
    if not known.any():
        return [None] * len(rows)
    values = rows[column]
    shown = _few_decimals(values) if values.dtype == np.float32 else values
    objects: list[Any] = shown.tolist()
    for row in np.flatnonzero(~known).tolist():
        objects[row] = None
    return objects


def _few_decimals(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return single precision with the fewest decimals, up to four, that read back the same: 5.1
    and not 5.099999904632568; all of them where four do not do.
    """
    wide = values.astype(np.float64)
    shortest = wide
    for scale in (10_000, 1_000, 100, 10, 1):
        rounded = np.rint(wide * scale) / scale
        shortest = np.where(rounded.astype(np.float32) == values, rounded, shortest)
    return shortest
