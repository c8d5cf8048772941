"""Fixes as msgspec reads them, gathered from many messages into the columns of one batch.

The objects live only until the next flush, which packs the numbers of each into one fixed record;
from there on everything is done on columns: times, ranges, coordinates.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, final

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.attributes import AttributesError, to_json
from telemetry.fix import FixBatch, Known, blank_rows
from telemetry.formats.decoded import (
    MAX_FIXES_PER_MESSAGE,
    Decoded,
    Rule,
    bad_coordinates,
    describe_position,
    in_order,
    oversize_array,
    without,
)
from telemetry.ranges import write_column
from telemetry.rejection import Reason, Rejection
from telemetry.times import NO_TIME, TimeError, epoch_ms_to_us, parse_times_us

FLUSH_FIXES = 512  # few enough that the objects of a flush are still in the cache

_NAN = float("nan")
_NOT_KNOWN: Any = -1  # of satellites and ignition, which have no NaN
_LONE = -1  # the span of a message that was one object


@final
class Fix(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The keys of a fix. Defaults, which msgspec does not check, stand for "not known"."""

    time: int | float | str
    lat: float
    lon: float
    seq: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] = 0
    altitude_m: float = _NAN
    speed_mps: float = _NAN
    course_deg: float = _NAN
    accuracy_m: float = _NAN
    battery_pct: float = _NAN
    satellites: Annotated[int, msgspec.Meta(ge=0, le=255)] = _NOT_KNOWN
    ignition: bool = _NOT_KNOWN
    attributes: dict[str, Any] | None = None


_FLOATS = ("lat", "lon", "altitude_m", "speed_mps", "course_deg", "accuracy_m", "battery_pct")
# The record of one fix between object and columns: what `_pack` writes, `_RECORD` reads.
_pack = struct.Struct("<7dihb").pack
_RECORD = np.dtype(
    [
        *((name, "<f8") for name in _FLOATS),
        ("seq", "<i4"),
        ("satellites", "<i2"),
        ("ignition", "i1"),
    ]
)


@dataclass(slots=True)
class Gathered:
    """The messages read so far, each as one span: how many of its fixes were gathered.

    fixes: objects since the last flush; records, times: what the flushes made of those before.
    positions: message -> array positions of its fixes, where they are not simply 0, 1, 2...
    unfit: row -> why its attributes cannot be kept.
    """

    fixes: list[Fix] = field(default_factory=list[Fix])
    records: list[bytes] = field(default_factory=list[bytes])
    times: list[int | float | str] = field(default_factory=list[int | float | str])
    spans: list[int] = field(default_factory=list[int])
    positions: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    attributes: dict[int, bytes] = field(default_factory=dict[int, bytes])
    unfit: dict[int, AttributesError] = field(default_factory=dict[int, AttributesError])
    rejections: list[Rejection] = field(default_factory=list[Rejection])

    def add_lone(self, fix: Fix) -> None:
        """Add a message that is one object."""
        self.fixes.append(fix)
        self.spans.append(_LONE)

    def add_array(self, fixes: list[Fix]) -> None:
        """Add a message that is an array of good length."""
        self.fixes += fixes
        self.spans.append(len(fixes))

    def add_some(self, fixes: dict[int, Fix]) -> None:
        """Add a message that is an array of which these fixes, by position, are sound."""
        self.positions[len(self.spans)] = list(fixes)
        self.add_array(list(fixes.values()))

    def refuse(self, reason: Reason, detail: str, kind: str | None = None) -> None:
        """Reject the next message: it gives no fix. kind: see `Rejection`."""
        self.rejections.append(Rejection(len(self.spans), None, reason, detail, kind))
        self.spans.append(0)

    def length_is_good(self, array: Sequence[Any]) -> bool:
        """Return whether an array may be the next message; where not, refuses it."""
        if 1 <= len(array) <= MAX_FIXES_PER_MESSAGE:
            return True
        if array:
            self.refuse(Reason.OVERSIZE, oversize_array(len(array)))
        else:
            self.refuse(Reason.UNDECODABLE, "an empty array")
        return False

    def flush(self) -> None:
        """Turn the objects of `fixes` into records, times and attributes."""
        fixes = self.fixes
        for i in [i for i, f in enumerate(fixes) if f.attributes is not None]:
            self._keep_attributes(len(self.times) + i, fixes[i].attributes or {})
        self.records.append(
            b"".join([
                _pack(
                    f.lat, f.lon, f.altitude_m, f.speed_mps, f.course_deg, f.accuracy_m,
                    f.battery_pct, f.seq, f.satellites, f.ignition,
                )
                for f in fixes
            ])
        )  # fmt: skip
        self.times += [f.time for f in fixes]
        fixes.clear()

    def _keep_attributes(self, row: int, attributes: dict[str, Any]) -> None:
        try:
            self.attributes[row] = to_json(attributes)
        except AttributesError as error:
            self.unfit[row] = error

    def decoded(self) -> Decoded:
        """Return the batch and the rejections of all messages."""
        self.flush()
        records = np.frombuffer(b"".join(self.records), _RECORD)
        rows = blank_rows(len(records))
        self._number(rows)
        rows["time_us"] = _times_us(self.times)
        for column in ("lat", "lon", "seq"):
            rows[column] = records[column]
        for column in _FLOATS[2:]:
            write_column(rows, self.attributes, column, records[column])
        for column, bit in (("satellites", Known.SATELLITES), ("ignition", Known.IGNITION)):
            rows[column] = np.maximum(records[column], 0)
            rows["known"] |= np.where(records[column] >= 0, np.uint8(bit), np.uint8(0))
        kept = without(FixBatch(rows, self.attributes), self._rules(rows))
        return Decoded(kept.batch, in_order(self.rejections + kept.rejections))

    def _number(self, rows: NDArray[np.void]) -> None:
        """Fill `message` and `position`."""
        spans = np.array(self.spans, np.int64)
        counts = np.abs(spans)
        starts = np.cumsum(counts) - counts
        rows["message"] = np.repeat(np.arange(len(spans)), counts)
        positions = np.arange(len(rows)) - np.repeat(starts, counts)
        positions[starts[spans == _LONE]] = -1
        for message, of_message in self.positions.items():
            start = int(starts[message])
            positions[start : start + len(of_message)] = of_message
        rows["position"] = positions

    def _rules(self, rows: NDArray[np.void]) -> list[Rule]:
        rules: list[Rule] = [
            (
                rows["time_us"] == NO_TIME,
                Reason.UNDECODABLE,
                lambda row: _no_time(self.times[row]),
            ),
            (
                bad_coordinates(rows["lat"], rows["lon"]),
                Reason.BAD_COORDINATE,
                lambda row: describe_position(rows, row),
            ),
        ]
        for reason in sorted({error.reason for error in self.unfit.values()}):
            broken = np.zeros(len(rows), bool)
            broken[[row for row, error in self.unfit.items() if error.reason == reason]] = True
            rules.append((broken, reason, lambda row: str(self.unfit[row])))
        return rules


def _times_us(times: list[int | float | str]) -> NDArray[np.int64]:
    texts = [time for time in times if isinstance(time, str)]
    if len(texts) == len(times):
        return parse_times_us(texts)
    numbers = [time for time in times if not isinstance(time, str)]
    try:
        numbers_us = epoch_ms_to_us(numbers)
    except OverflowError:  # one of them is an integer too large for a float
        numbers_us = epoch_ms_to_us([time if abs(time) < 1e18 else _NAN for time in numbers])
    times_us = np.empty(len(times), np.int64)
    is_text = np.array([isinstance(time, str) for time in times])
    times_us[is_text] = parse_times_us(texts)
    times_us[~is_text] = numbers_us
    return times_us


def _no_time(said: int | float | str) -> str:
    if isinstance(said, str):
        return str(TimeError(said))
    shown = repr(said) if isinstance(said, float) or abs(said) < 1e20 else "a huge number"
    return f"{shown} is not a time in milliseconds since 1970"
