"""Trace files: CSV with one fix a line, read in chunks of bounded memory.

    device_id,time,lat,lon,altitude_m,speed_mps,course_deg,accuracy_m
    cab-1,2026-01-31T12:00:00Z,37.78615,-122.41806,,5.2,,

The header names the columns, in any order; the first four must be there, the others are those of a
JSON fix but `attributes`. An empty optional field is not known. Lines keep the order of the file.
Coordinates must lie in range, 0,0 included; nothing else is judged. Bytes come from any object with
`read`; opening and unpacking the file is the caller's part.
"""

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Known, blank_rows
from telemetry.ranges import RANGES, write_column
from telemetry.times import NO_TIME, parse_times_us

MAX_LINE_BYTES = 64 * 1024
MAX_DEVICES = 1_000_000
MAX_DEVICE_ID_LENGTH = 128

_BLOCK_BYTES = 1024 * 1024
_REQUIRED = ("device_id", "time", "lat", "lon")
_IGNITION = {"": None, "true": True, "false": False, "1": True, "0": False}
_COLUMNS = frozenset(_REQUIRED) | {"seq"} | OPTIONAL_COLUMNS.keys()
_LIMITS: dict[str, tuple[float, float]] = {
    "lat": (-90, 90),
    "lon": (-180, 180),
    "seq": (0, 2**31 - 1),
}
_decode_numbers = msgspec.json.Decoder(list[float | None]).decode


class TraceError(ValueError):
    """A trace file that cannot be read; `line` counts from 1."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.problem = problem


class ByteSource(Protocol):
    """Anything that hands out bytes: a file, a gzip stream, BytesIO."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TraceChunk:
    """Some lines of a trace.

    devices: device ids in order of first appearance; the one list of the whole trace, which grows.
    batch: the fixes; column `tracker` is the place of the device in `devices`.
    """

    devices: list[str]
    batch: FixBatch


def read_trace(source: ByteSource) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError."""
    header: list[str] = []
    devices: list[str] = []
    ordinals: dict[str, int] = {}
    line = 1
    for text in _whole_lines(source):
        rows = _split(text, line)
        first, line = line, line + len(rows)
        if first == 1:
            header = _check_header(rows.pop(0))
            first = 2
        lines = [first + i for i, row in enumerate(rows) if row]
        block = _Block(header, [row for row in rows if row], lines)
        if lines:
            yield TraceChunk(devices, block.batch(ordinals, devices))
    if not header:
        raise TraceError(1, "the file is empty")


def _whole_lines(source: ByteSource) -> Iterator[str]:
    """The text in blocks that end at the end of a line."""
    rest = b""
    line = 1
    while block := source.read(_BLOCK_BYTES):
        whole, newline, tail = block.rpartition(b"\n")
        if newline:
            yield _text(rest + whole, line)
            line += block.count(b"\n")
            rest = tail
        else:
            rest += tail
        if len(rest) > MAX_LINE_BYTES:
            raise TraceError(line, f"longer than {MAX_LINE_BYTES} bytes")
    if rest:
        yield _text(rest, line)


def _text(block: bytes, line: int) -> str:
    try:
        return block.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError as error:
        line += block.count(b"\n", 0, error.start)
        raise TraceError(line, f"not UTF-8: {error.reason}") from None


def _split(text: str, line: int) -> list[list[str]]:
    """The fields of each line; a blank line has none."""
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
    for name in _REQUIRED:
        if name not in names:
            raise TraceError(1, f"the header has no column {name}")
    for name in names:
        if name not in _COLUMNS:
            raise TraceError(1, f"unknown column {name!r}; known are {', '.join(sorted(_COLUMNS))}")
        if names.count(name) > 1:
            raise TraceError(1, f"the column {name} is named twice")
    return names


class _Block:
    """Lines that have been split: `columns[name][i]` is a field of line `lines[i]`."""

    def __init__(self, header: list[str], rows: list[list[str]], lines: list[int]) -> None:
        for line, row in zip(lines, rows, strict=True):
            if len(row) != len(header):
                raise TraceError(line, f"{len(row)} fields, the header names {len(header)}")
        self.lines = lines
        self.columns = dict(zip(header, zip(*rows, strict=True), strict=False))

    def batch(self, ordinals: dict[str, int], devices: list[str]) -> FixBatch:
        rows = blank_rows(len(self.lines))
        attributes: dict[int, bytes] = {}
        rows["tracker"] = self._trackers(ordinals, devices)
        rows["time_us"] = self._times_us()
        for column in ("lat", "lon", "seq"):
            rows[column] = self._required_numbers(column)
        for column in RANGES:
            if column in self.columns:
                write_column(rows, attributes, column, self._numbers(column))
        if "ignition" in self.columns:
            self._write_ignition(rows)
        return FixBatch(rows, attributes)

    def _trackers(self, ordinals: dict[str, int], devices: list[str]) -> NDArray[np.int32]:
        fields = self.columns["device_id"]
        for device in dict.fromkeys(fields):
            if device in ordinals:
                continue
            if not 1 <= len(device) <= MAX_DEVICE_ID_LENGTH:
                problem = f"a device_id has 1 to {MAX_DEVICE_ID_LENGTH} characters"
                raise TraceError(self.lines[fields.index(device)], problem)
            if len(devices) == MAX_DEVICES:
                problem = f"more than {MAX_DEVICES} devices"
                raise TraceError(self.lines[fields.index(device)], problem)
            ordinals[device] = len(devices)
            devices.append(device)
        return np.fromiter(map(ordinals.__getitem__, fields), np.int32, len(fields))

    def _times_us(self) -> NDArray[np.int64]:
        fields = self.columns["time"]
        times_us = parse_times_us(fields)
        for row in np.flatnonzero(times_us == NO_TIME).tolist():
            raise self._error(row, "time", "a time like 2026-01-31T12:00:00Z")
        return times_us

    def _required_numbers(self, column: str) -> NDArray[np.float64]:
        if column not in self.columns:
            return np.zeros(len(self.lines))
        low, high = _LIMITS[column]
        numbers = self._numbers(column)
        if column == "seq":
            numbers = np.where(np.isnan(numbers), 0, numbers)
        good = (numbers >= low) & (numbers <= high)
        if column == "seq":
            good &= numbers == np.floor(numbers)
        for row in np.flatnonzero(~good).tolist():
            raise self._error(row, column, f"a number from {low} to {high}")
        return numbers

    def _numbers(self, column: str) -> NDArray[np.float64]:
        """A column as numbers, NaN where the field is empty."""
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
            raise self._error(row, column, "a number")
        return number

    def _write_ignition(self, rows: NDArray[np.void]) -> None:
        for row, field in enumerate(self.columns["ignition"]):
            if field not in _IGNITION:
                raise self._error(row, "ignition", "true, false or empty")
            value = _IGNITION[field]
            if value is not None:
                rows["ignition"][row] = value
                rows["known"][row] |= np.uint8(Known.IGNITION)

    def _error(self, row: int, column: str, wanted: str) -> TraceError:
        field = self.columns[column][row]
        shown = field if len(field) <= 40 else field[:37] + "..."
        return TraceError(self.lines[row], f"{column} {shown!r} is not {wanted}")
