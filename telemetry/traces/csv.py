"""Traces as CSV, one fix a line.

    device_id,time,lat,lon,altitude_m,speed_mps,course_deg,accuracy_m
    cab-1,2026-01-31T12:00:00Z,37.78615,-122.41806,,5.2,,

The header names the columns, in any order; the first four must be there, the others are those of a
JSON fix but `attributes`. An empty optional field is not known. Lines keep the order of the file.

A block of lines is read by Arrow, whole columns at a time (`telemetry.traces.arrow`). A block that
it refuses, or that holds what it reads in another way, is read a second time by Python's own csv:
slower, and alone responsible for quoted fields, odd numbers, and errors that name the line.
"""

import csv
import math
from collections.abc import Iterator

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.times import parse_times_us
from telemetry.traces.arrow import columns_of_csv
from telemetry.traces.lines import whole_lines
from telemetry.traces.trace import (
    COLUMNS,
    NUMBER_COLUMNS,
    REQUIRED_COLUMNS,
    BadValue,
    ByteSource,
    Devices,
    FixColumns,
    TraceChunk,
    TraceError,
    batch_of,
    problem_of,
    shown,
)

_IGNITION = {"": -1, "true": 1, "false": 0, "1": 1, "0": 0}
_SEPARATORS = {";": "semicolons", "\t": "tabs"}  # of other kinds of CSV
_decode_numbers = msgspec.json.Decoder(list[float | None]).decode


def read_csv(source: ByteSource) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError."""
    header: list[str] = []
    devices = Devices()
    for line, block in whole_lines(source):
        if not header:
            first, _, block = block.partition(b"\n")
            header = _check_header((_split(_text(first, 1), 1) or [[]])[0] or [""])
            line = 2
        chunk = _read_block(header, block, line, devices)
        if len(chunk.batch):
            yield chunk
    if not header:
        raise TraceError(1, "the file is empty")


def _read_block(header: list[str], block: bytes, line: int, devices: Devices) -> TraceChunk:
    columns = columns_of_csv(header, block, devices)
    if columns is not None:
        try:
            return TraceChunk(devices.ids, batch_of(columns))
        except BadValue:
            pass  # read again for the line
    rows = _split(_text(block, line), line)
    lines = [line + i for i, row in enumerate(rows) if row]
    fields = _Fields(header, [row for row in rows if row], lines)
    try:
        return TraceChunk(devices.ids, batch_of(fields.columns_of(devices)))
    except BadValue as error:
        value = fields.columns[error.column][error.row]
        raise TraceError(lines[error.row], problem_of(error, value)) from None


def _text(block: bytes, line: int) -> str:
    try:
        return block.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += block.count(b"\n", 0, error.start)
        raise TraceError(line, f"not UTF-8: {error.reason}") from None


def _split(text: str, line: int) -> list[list[str]]:
    """Return the fields of each line; a blank line has none."""
    # not splitlines, which also ends a line at characters that belong to a field
    lines = text.split("\n")
    rows: list[list[str]] = []
    try:
        rows.extend(csv.reader(lines, strict=True))
    except csv.Error as error:
        raise TraceError(line + len(rows), str(error)) from None
    if len(rows) != len(lines):
        open_quote = next(i for i, fields in enumerate(lines) if fields.count('"') % 2)
        raise TraceError(line + open_quote, "a quoted field goes over the end of its line")
    return rows


def _check_header(names: list[str]) -> list[str]:
    names = [name.strip() for name in names]
    separator = next((name for sign, name in _SEPARATORS.items() if sign in names[0]), None)
    for name in REQUIRED_COLUMNS:
        if name not in names and separator:
            hint = "separate fields by commas, and write numbers with a point"
            raise TraceError(1, f"the header is separated by {separator}: {hint}")
        if name not in names:
            raise TraceError(1, f"the header has no column {name}")
    for name in names:
        if name not in COLUMNS:
            raise TraceError(1, f"unknown column {name!r}; known are {', '.join(sorted(COLUMNS))}")
        if names.count(name) > 1:
            raise TraceError(1, f"the column {name} is named twice")
    return names


class _Fields:
    """Lines that have been split: `columns[name][i]` is a field of line `lines[i]`."""

    def __init__(self, header: list[str], rows: list[list[str]], lines: list[int]) -> None:
        for line, row in zip(lines, rows, strict=True):
            if len(row) != len(header):
                raise TraceError(line, f"{len(row)} fields, the header names {len(header)}")
        self.lines = lines
        columns = zip(*rows, strict=True) if rows else [()] * len(header)
        self.columns: dict[str, tuple[str, ...]] = dict(zip(header, columns, strict=True))

    def columns_of(self, devices: Devices) -> FixColumns:
        return FixColumns(
            tracker=devices.trackers(self.columns["device_id"]),
            time_us=parse_times_us(self.columns["time"]),
            numbers={name: self._numbers(name) for name in NUMBER_COLUMNS if name in self.columns},
            ignition=self._ignition() if "ignition" in self.columns else None,
        )

    def _numbers(self, column: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN where the field is empty."""
        fields = self.columns[column]
        if not any(fields):
            return np.full(len(fields), np.nan)
        try:
            # the JSON parser reads a list of numbers several times faster than float() does
            numbers = _decode_numbers("[" + ",".join([field or "null" for field in fields]) + "]")
        except ValueError:
            numbers = []
        if len(numbers) != len(fields):
            numbers = [self._number(row, column) for row in range(len(fields))]
        return np.array(numbers, np.float64)

    def _number(self, row: int, column: str) -> float:
        field = self.columns[column][row].strip()
        try:
            number = float(field) if field else math.nan
        except ValueError:
            number = math.inf
        if math.isinf(number) or (field and math.isnan(number)) or "_" in field:
            given = self.columns[column][row]
            raise TraceError(self.lines[row], f"{column} {shown(given)} is not a number")
        return number

    def _ignition(self) -> NDArray[np.int8]:
        fields = self.columns["ignition"]
        for row, field in enumerate(fields):
            if field not in _IGNITION:
                raise BadValue(row, "ignition", "true, false or empty")
        return np.array([_IGNITION[field] for field in fields], np.int8)
