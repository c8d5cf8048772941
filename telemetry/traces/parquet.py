"""Traces as Parquet, with the columns of CSV.

`device_id` is text or whole numbers; `time` is a timestamp of any unit (one without a zone is UTC),
text as in CSV, or whole milliseconds since 1970; the others are numbers, `ignition` a boolean. Null
is not known. Row groups are read in batches, and only the columns that are known.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportMissingTypeStubs=false
# pyright: reportAttributeAccessIssue=false
# (pyarrow has no type information of its own)

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from telemetry.times import EARLIEST_US, LATEST_US, NO_TIME, epoch_ms_to_us, parse_times_us
from telemetry.traces.arrow import trackers_of
from telemetry.traces.trace import (
    COLUMNS,
    NUMBER_COLUMNS,
    REQUIRED_COLUMNS,
    BadValue,
    Devices,
    FixColumns,
    TraceChunk,
    TraceError,
    batch_of,
    problem_of,
)

_BATCH_ROWS = 65_536
_BUFFER_BYTES = 1024 * 1024


@runtime_checkable
class SeekableSource(Protocol):
    """A binary file that can be read from any place."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int, /) -> int: ...
    def tell(self) -> int: ...


def read_parquet(source: SeekableSource) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError; its `line` counts rows from 1.

    Where a page is damaged, Arrow raises OSError, as a disk would.
    """
    devices = Devices()
    row = 1
    try:
        # buffered, or a row group's whole column would be read at once
        file = parquet.ParquetFile(source, buffer_size=_BUFFER_BYTES, pre_buffer=False)
        names = _checked_names(file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH_ROWS, columns=names, use_threads=False):
            yield _chunk({name: batch.column(name) for name in names}, row, devices)
            row += batch.num_rows
    except (pa.ArrowException, UnicodeDecodeError) as error:  # the latter: a name in the schema
        raise TraceError(row, f"not Parquet that can be read: {error}", "row") from None


def _checked_names(names: list[str]) -> list[str]:
    for name in REQUIRED_COLUMNS:
        if name not in names:
            raise TraceError(1, f"the file has no column {name}", "row")
    return [name for name in COLUMNS if name in names]


def _chunk(column: dict[str, Any], row: int, devices: Devices) -> TraceChunk:
    for values in column.values():
        values.validate(full=True)  # texts that are not UTF-8, from a damaged file
    for name in REQUIRED_COLUMNS:
        if column[name].null_count:
            missing = int(column[name].is_null().to_numpy(zero_copy_only=False).argmax())
            raise TraceError(row + missing, f"{name} is null", "row")
    try:
        return TraceChunk(devices.ids, batch_of(_columns(column, row, devices)))
    except BadValue as error:
        value = _plain(column[error.column])[error.row].as_py()
        raise TraceError(row + error.row, problem_of(error, value), "row") from None


def _plain(column: Any) -> Any:
    """Return a timestamp may be one that Python has no object for: its number is shown instead."""
    return column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column


def _columns(column: dict[str, Any], row: int, devices: Devices) -> FixColumns:
    numbers = {
        name: _cast(column[name], pa.float64(), name, row).to_numpy(zero_copy_only=False)
        for name in NUMBER_COLUMNS
        if name in column
    }
    return FixColumns(
        tracker=_trackers(column["device_id"], row, devices),
        time_us=_times_us(column["time"], row),
        numbers=numbers,
        ignition=_ignition(column["ignition"], row) if "ignition" in column else None,
    )


def _cast(column: Any, kind: Any, name: str, row: int) -> Any:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise TraceError(row, f"{name} in this row or one after it: {error}", "row") from None


def _trackers(column: Any, row: int, devices: Devices) -> NDArray[np.int32]:
    names = _cast(column, pa.string(), "device_id", row).dictionary_encode()
    try:
        return trackers_of(names, devices)
    except BadValue as error:
        of_name = names.indices.to_numpy(zero_copy_only=False) == error.row
        raise BadValue(int(of_name.argmax()), error.column, error.wanted) from None


def _times_us(column: Any, row: int) -> NDArray[np.int64]:
    kind = column.type
    if pa.types.is_timestamp(kind):
        # whole numbers of the unit; days beyond what microseconds hold are no time here
        given = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
        return _in_us(given, kind.unit)
    if pa.types.is_integer(kind):
        return epoch_ms_to_us(column.to_numpy(zero_copy_only=False))
    return parse_times_us(_cast(column, pa.string(), "time", row).to_pylist())


def _in_us(given: NDArray[np.int64], unit: str) -> NDArray[np.int64]:
    if unit == "ns":
        return given // 1000
    factor = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    good = (given >= EARLIEST_US // factor) & (given <= LATEST_US // factor)
    return np.where(good, np.where(good, given, 0) * factor, NO_TIME)


def _ignition(column: Any, row: int) -> NDArray[np.int8]:
    known = _cast(column, pa.bool_(), "ignition", row)
    return known.cast(pa.int8()).fill_null(-1).to_numpy(zero_copy_only=False)
