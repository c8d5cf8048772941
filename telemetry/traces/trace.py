"""The common parts of the readers of trace files: chunks of fixes, devices, bounds, errors with a
place.

A reader gathers plain columns and says where each row stands in its file; `batch_of` judges them.
Coordinates must lie in range, 0,0 included; nothing else is judged. Bytes come from any object with
`read`; opening and unpacking the file is the caller's part.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import OPTIONAL_COLUMNS, FixBatch, Known, blank_rows
from telemetry.ranges import RANGES, write_column
from telemetry.times import NO_TIME

MAX_DEVICES = 1_000_000
MAX_DEVICE_ID_LENGTH = 128

REQUIRED_COLUMNS = ("device_id", "time", "lat", "lon")
COLUMNS = (*REQUIRED_COLUMNS, "seq", *OPTIONAL_COLUMNS)
NUMBER_COLUMNS = ("lat", "lon", "seq", *RANGES)
A_TIME = "a time like 2026-01-31T12:00:00Z"
A_DEVICE_ID = f"a device_id has 1 to {MAX_DEVICE_ID_LENGTH} characters"

YEAR_2000_S, YEAR_2100_S = 946_684_800, 4_102_444_800
_UNITS = {
    "seconds": 1,
    "milliseconds": 1_000,
    "microseconds": 1_000_000,
    "nanoseconds": 1_000_000_000,
}
_NUMBERS_AS_TIMES = "NDJSON and Parquet take numbers, as milliseconds, and CSV takes none"

_LIMITS: Mapping[str, tuple[float, float]] = {
    "lat": (-90, 90),
    "lon": (-180, 180),
    "seq": (0, 2**31 - 1),
}


class TraceError(ValueError):
    """A trace file that cannot be read; `line` counts from 1. unit: what is counted."""

    def __init__(self, line: int, problem: str, unit: str = "line") -> None:
        super().__init__(f"{unit} {line}: {problem}")
        self.line = line
        self.problem = problem


class BadValue(ValueError):
    """A value that a fix cannot have, by its row in the columns."""

    def __init__(self, row: int, column: str, wanted: str) -> None:
        super().__init__(f"row {row}: {column} is not {wanted}")
        self.row = row
        self.column = column
        self.wanted = wanted


class ByteSource(Protocol):
    """Anything that hands out bytes: a file, a gzip stream, BytesIO."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class TraceChunk:
    """Some rows of a trace.

    devices: device ids in order of first appearance; the one list of the whole trace, which grows.
    batch: the fixes; column `tracker` is the place of the device in `devices`.
    """

    devices: list[str]
    batch: FixBatch


class Devices:
    """The device ids of a trace, numbered in order of first appearance."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._ordinals: dict[str, int] = {}

    def trackers(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Return the number of each name; a new one is added. Raises BadValue, row by row of
        `names`.
        """
        ordinals = list(map(self._ordinals.get, names))
        if None in ordinals:
            ordinals = [self._ordinal(row, name) for row, name in enumerate(names)]
        return np.array(ordinals, np.int32)

    def _ordinal(self, row: int, name: str) -> int:
        ordinal = self._ordinals.get(name)
        if ordinal is None:
            if not 1 <= len(name) <= MAX_DEVICE_ID_LENGTH:
                raise BadValue(row, "device_id", A_DEVICE_ID)
            if len(self.ids) == MAX_DEVICES:
                raise BadValue(row, "device_id", f"one of the first {MAX_DEVICES:,} devices")
            ordinal = self._ordinals[name] = len(self.ids)
            self.ids.append(name)
        return ordinal


@dataclass(frozen=True, slots=True)
class FixColumns:
    """n fixes as they were read, shape (n,) each.

    time_us: NO_TIME where it could not be read. numbers: of NUMBER_COLUMNS those that are there,
    float64, NaN where not known. ignition: int8, -1 where not known; None where there is none.
    """

    tracker: NDArray[np.int32]
    time_us: NDArray[np.int64]
    numbers: Mapping[str, NDArray[np.float64]]
    ignition: NDArray[np.int8] | None = None


def batch_of(columns: FixColumns) -> FixBatch:
    """Return the fixes in their order. Raises BadValue for the first column with a bad value.

    A value that no sensor can mean is kept as an attribute, as everywhere (`telemetry.ranges`).
    """
    rows = blank_rows(len(columns.time_us))
    attributes: dict[int, bytes] = {}
    rows["tracker"] = columns.tracker
    _refuse(columns.time_us == NO_TIME, "time", A_TIME)
    rows["time_us"] = columns.time_us
    for column, limits in _LIMITS.items():
        rows[column] = _in_limits(column, columns.numbers.get(column), limits, len(rows))
    for column in RANGES:
        if column in columns.numbers:
            write_column(rows, attributes, column, columns.numbers[column])
    if columns.ignition is not None:
        rows["ignition"] = columns.ignition > 0
        rows["known"] |= np.where(columns.ignition >= 0, np.uint8(Known.IGNITION), np.uint8(0))
    return FixBatch(rows, attributes)


def _in_limits(
    column: str, numbers: NDArray[np.float64] | None, limits: tuple[float, float], count: int
) -> NDArray[np.float64]:
    if numbers is None:
        return np.zeros(count)
    low, high = limits
    if column == "seq":
        numbers = np.where(np.isnan(numbers), 0, numbers)
    good = (numbers >= low) & (numbers <= high)
    if column == "seq":
        good &= numbers == np.floor(numbers)
    _refuse(~good, column, f"a number from {low} to {high}")
    return numbers


def _refuse(bad: NDArray[np.bool_], column: str, wanted: str) -> None:
    if bad.any():
        raise BadValue(int(bad.argmax()), column, wanted)


def shown(value: object) -> str:
    """Return a value in an error's text, bounded."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= 40 else text[:37] + "...")


def problem_of(error: BadValue, value: object) -> str:
    """Return a message that says what is wrong, with the value as the file has it."""
    if error.wanted == A_DEVICE_ID:
        return A_DEVICE_ID
    problem = f"{error.column} {shown(value)} is not {error.wanted}"
    unit = _unit_since_1970(value) if error.column == "time" else None
    if unit is None:
        return problem
    return f"{problem}: it looks like {unit} since 1970; {_NUMBERS_AS_TIMES}"


def _unit_since_1970(value: object) -> str | None:
    """Return the unit in which a number is a time of these decades."""
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except ValueError:
        return None
    for unit, per_second in _UNITS.items():
        if YEAR_2000_S <= number / per_second <= YEAR_2100_S:
            return unit
    return None
