"""Trace files of every format, read in chunks of bounded memory.

    | format | rows |
    |---|---|
    | CSV | `telemetry.traces.csv` |
    | NDJSON | `telemetry.traces.ndjson` |
    | Parquet | `telemetry.traces.parquet` |
    | GPX | `telemetry.traces.gpx` |

Rows keep the order of the file.
"""

from collections.abc import Iterator
from enum import StrEnum

from telemetry.traces.csv import read_csv
from telemetry.traces.gpx import read_gpx
from telemetry.traces.lines import MAX_LINE_BYTES
from telemetry.traces.ndjson import read_ndjson
from telemetry.traces.parquet import SeekableSource, read_parquet
from telemetry.traces.trace import (
    MAX_DEVICE_ID_LENGTH,
    MAX_DEVICES,
    ByteSource,
    TraceChunk,
    TraceError,
)

__all__ = [
    "MAX_DEVICES",
    "MAX_DEVICE_ID_LENGTH",
    "MAX_LINE_BYTES",
    "ByteSource",
    "SeekableSource",
    "TraceChunk",
    "TraceError",
    "TraceFormat",
    "read_trace",
]


class TraceFormat(StrEnum):
    """The formats, by the suffix of a file's name."""

    CSV = ".csv"
    NDJSON = ".ndjson"
    PARQUET = ".parquet"
    GPX = ".gpx"


def read_trace(
    source: SeekableSource | ByteSource, form: TraceFormat = TraceFormat.CSV, name: str = "trace"
) -> Iterator[TraceChunk]:
    """Read a trace chunk by chunk. Raises TraceError.

    Parquet needs a source that can seek. name: the device of a GPX track without a name.
    """
    if form is TraceFormat.CSV:
        return read_csv(source)
    if form is TraceFormat.NDJSON:
        return read_ndjson(source)
    if form is TraceFormat.GPX:
        return read_gpx(source, name)
    if not isinstance(source, SeekableSource):
        raise TypeError("Parquet is read from its end: the source must be able to seek")
    return read_parquet(source)
