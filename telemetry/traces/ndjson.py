"""Traces as NDJSON: one JSON object a line, with the keys that are the columns of CSV.

    {"device_id":"cab-1","time":"2026-01-31T12:00:00Z","lat":37.78615,"lon":-122.41806}

`time` is text or milliseconds since 1970, as in a JSON fix. null is not known. Other keys are
passed over. Blank lines have no fix.
"""

from collections.abc import Iterator
from typing import Annotated, final

import msgspec
import numpy as np
from numpy.typing import NDArray

from telemetry.times import epoch_ms_to_us, parse_times_us
from telemetry.traces.lines import whole_lines
from telemetry.traces.trace import (
    NUMBER_COLUMNS,
    BadValue,
    ByteSource,
    Devices,
    FixColumns,
    TraceChunk,
    TraceError,
    batch_of,
    problem_of,
)

_Time = Annotated[int, msgspec.Meta(ge=-(2**60), le=2**60)]
_Count = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]


@final
class _Line(msgspec.Struct, gc=False):
    device_id: str
    time: str | _Time | float
    lat: float
    lon: float
    seq: _Count | None = None
    altitude_m: float | None = None
    speed_mps: float | None = None
    course_deg: float | None = None
    accuracy_m: float | None = None
    battery_pct: float | None = None
    satellites: _Count | None = None
    ignition: bool | None = None


_decoder = msgspec.json.Decoder(_Line)


def read_ndjson(source: ByteSource) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError."""
    devices = Devices()
    for line, block in whole_lines(source):
        fixes = _fixes(block, line)
        if not fixes:
            continue
        try:
            yield TraceChunk(devices.ids, batch_of(_columns(fixes, devices)))
        except BadValue as error:
            place, _ = _filled_lines(block, line)[error.row]
            value = getattr(fixes[error.row], error.column)
            raise TraceError(place, problem_of(error, value)) from None


def _fixes(block: bytes, line: int) -> list[_Line]:
    try:
        return _decoder.decode_lines(block)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return [_fix(text, place) for place, text in _filled_lines(block, line)]


def _fix(text: bytes, line: int) -> _Line:
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise TraceError(line, "nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise TraceError(line, str(error)) from None


def _filled_lines(block: bytes, line: int) -> list[tuple[int, bytes]]:
    numbered = enumerate(block.split(b"\n"), start=line)
    return [(place, text) for place, text in numbered if text.strip()]


def _columns(fixes: list[_Line], devices: Devices) -> FixColumns:
    return FixColumns(
        tracker=devices.trackers([fix.device_id for fix in fixes]),
        time_us=_times_us([fix.time for fix in fixes]),
        numbers={name: _numbers(fixes, name) for name in NUMBER_COLUMNS},
        ignition=np.array([-1 if fix.ignition is None else fix.ignition for fix in fixes], np.int8),
    )


def _numbers(fixes: list[_Line], name: str) -> NDArray[np.float64]:
    # None becomes NaN
    return np.array([getattr(fix, name) for fix in fixes], np.float64)


def _times_us(times: list[str | int | float]) -> NDArray[np.int64]:
    texts = [time for time in times if isinstance(time, str)]
    if len(texts) == len(times):
        return parse_times_us(texts)
    is_text = np.array([isinstance(time, str) for time in times])
    time_us = np.empty(len(times), np.int64)
    time_us[is_text] = parse_times_us(texts)
    numbers = [time for time in times if not isinstance(time, str)]
    time_us[~is_text] = epoch_ms_to_us(numbers)
    return time_us
