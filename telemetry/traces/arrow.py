"""Columns of a trace as Arrow reads them: blocks of CSV, and record batches of any origin.

A block of CSV is read only where Arrow and Python's csv cannot differ. `None` means: read it the
careful way.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false
# (pyarrow has no type information of its own)

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
from numpy.typing import NDArray

from telemetry.times import NO_TIME, parse_joined_times_us, parse_times_us
from telemetry.traces.trace import NUMBER_COLUMNS, BadValue, Devices, FixColumns

_TYPES: dict[str, Any] = {
    "device_id": pa.dictionary(pa.int32(), pa.string()),
    "time": pa.binary(),
    "ignition": pa.dictionary(pa.int32(), pa.string()),
} | dict.fromkeys(NUMBER_COLUMNS, pa.float64())
_CONVERT = arrow_csv.ConvertOptions(
    column_types=_TYPES, null_values=[""], strings_can_be_null=False
)
_IGNITION = {"": -1, "true": 1, "false": 0, "1": 1, "0": 0}


def columns_of_csv(header: list[str], block: bytes, devices: Devices) -> FixColumns | None:
    """Return the lines of `block`; None where they must be read the careful way.

    block: whole lines without the header. Devices that are new are added, in order of appearance.
    """
    if b'"' in block or _has_lone_return(block) or not block.strip():
        return None
    read = arrow_csv.ReadOptions(use_threads=False, block_size=len(block) + 1, column_names=header)
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(block), read_options=read, convert_options=_CONVERT
        ).combine_chunks()
        column = {name: _only_chunk(table.column(name)) for name in header}
        time_us = times_of_texts(column["time"])
        numbers = {name: _numbers(column[name]) for name in NUMBER_COLUMNS if name in header}
        ignition = _ignition(column["ignition"]) if "ignition" in header else None
        tracker = trackers_of(column["device_id"], devices)
    except (ValueError, BadValue, KeyError):  # pa.ArrowInvalid is a ValueError
        return None
    return FixColumns(tracker, time_us, numbers, ignition)


def _has_lone_return(block: bytes) -> bool:
    """Return whether there is a carriage return that ends no line, or ends one by itself."""
    return b"\r" in block and block.count(b"\r") != block.count(b"\r\n")


def _only_chunk(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks else column.combine_chunks()


def trackers_of(names: Any, devices: Devices) -> NDArray[np.int32]:
    """Return the tracker numbers of a column of device ids (dictionary of strings). Raises
    BadValue.
    """
    numbers = devices.trackers(names.dictionary.to_pylist())
    return numbers[names.indices.to_numpy(zero_copy_only=False)]


def times_of_texts(texts: Any) -> NDArray[np.int64]:
    """Return microseconds of a column of texts (binary), NO_TIME where one is no time."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    width = int(offsets[1] - offsets[0])
    if np.all(np.diff(offsets) == width):
        joined = texts.buffers()[2].to_pybytes()[offsets[0] : offsets[-1]]
        time_us = parse_joined_times_us(joined, width)
        if time_us is not None and not np.any(time_us == NO_TIME):
            return time_us
    return parse_times_us([text.decode() for text in texts.to_pylist()])


def _numbers(column: Any) -> NDArray[np.float64]:
    """Return the numbers of a column, NaN where null. Raises ValueError for a value that is written
    as NaN or infinite.
    """
    values = column.to_numpy(zero_copy_only=False)
    if np.count_nonzero(~np.isfinite(values)) != column.null_count:
        raise ValueError("a number that is not finite")
    return values


def _ignition(column: Any) -> NDArray[np.int8]:
    values = np.array([_IGNITION[text] for text in column.dictionary.to_pylist()], np.int8)
    return values[column.indices.to_numpy(zero_copy_only=False)]
