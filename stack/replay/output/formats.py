"""Transitions as CSV, NDJSON, Parquet and GPX: portions of rows onto a binary stream.

    device_id,time,zone_id,transition,lat,lon,cause,inferred,dwell_s,event
    cab-1,2026-01-31T12:00:00Z,zone-7,enter,37.78615,-122.41806,moved,,,asset.geofence_breach

The first four columns stand alone where `plain`. An empty field is not known, null in NDJSON and
Parquet. GPX has a waypoint for each transition, named `zone-7 enter`. Degrees are written in full:
they read back as the same number.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO
from xml.sax.saxutils import escape

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from telemetry.times import format_times

PLAIN_COLUMNS = ("device_id", "time", "zone_id", "transition")
COLUMNS = (*PLAIN_COLUMNS, "lat", "lon", "cause", "inferred", "dwell_s", "event")


@dataclass(frozen=True, slots=True)
class TransitionRows:
    """n transitions to be written.

    time_us: int64; lat, lon: degrees, float64; dwell_s: seconds since the visit began, float64, NaN
    where there is none; all (n,). transition: enter, exit, dwell, overspeed or schedule.
    inferred: "" where a fix said it. event: the type of the event that it would give, "" for none.
    """

    device_id: Sequence[str]
    time_us: NDArray[np.int64]
    zone_id: Sequence[str]
    transition: Sequence[str]
    lat: NDArray[np.float64]
    lon: NDArray[np.float64]
    cause: Sequence[str]
    inferred: Sequence[str]
    dwell_s: NDArray[np.float64]
    event: Sequence[str]

    def plain(self) -> tuple[Iterable[Any], ...]:
        return self.device_id, format_times(self.time_us), self.zone_id, self.transition

    def full(self) -> tuple[Iterable[Any], ...]:
        """Return the columns as PLAIN_COLUMNS and COLUMNS name them; None is not known."""
        return (
            *self.plain(),
            self.lat.tolist(),
            self.lon.tolist(),
            self.cause,
            [text or None for text in self.inferred],
            [_seconds(dwell) for dwell in self.dwell_s.tolist()],
            [text or None for text in self.event],
        )

    def full_text(self) -> tuple[Iterable[Any], ...]:
        """Return the same, with degrees as text."""
        *plain, lat, lon, cause, inferred, dwell_s, event = self.full()
        return (*plain, map(_decimal, lat), map(_decimal, lon), cause, inferred, dwell_s, event)


def _decimal(degrees: float) -> str:
    """Return the shortest text that reads back as the number, without an exponent, which GPX
    forbids.
    """
    text = repr(degrees)
    return np.format_float_positional(degrees, trim="0") if "e" in text else text


def _seconds(dwell_s: float) -> float | int | None:
    if dwell_s != dwell_s:
        return None
    return int(dwell_s) if dwell_s.is_integer() else round(dwell_s, 3)


class CsvWriter:
    def __init__(self, stream: BinaryIO, *, plain: bool) -> None:
        self._stream = stream
        self._plain = plain
        self._write_lines([PLAIN_COLUMNS if plain else COLUMNS])

    def write(self, rows: TransitionRows) -> None:
        columns = rows.plain() if self._plain else rows.full_text()
        self._write_lines(zip(*columns, strict=True))

    def _write_lines(self, lines: Iterable[Sequence[Any]]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        self._stream.write(text.getvalue().encode())

    def close(self) -> None:
        pass


class NdjsonWriter:
    def __init__(self, stream: BinaryIO, *, plain: bool) -> None:
        self._stream = stream
        self._plain = plain
        self._names = PLAIN_COLUMNS if plain else COLUMNS
        self._encoder = msgspec.json.Encoder()

    def write(self, rows: TransitionRows) -> None:
        values = zip(*(rows.plain() if self._plain else rows.full()), strict=True)
        objects = [dict(zip(self._names, row, strict=True)) for row in values]
        self._stream.write(self._encoder.encode_lines(objects))

    def close(self) -> None:
        pass


class ParquetWriter:
    """Portions are gathered to row groups of at least ROW_GROUP transitions."""

    ROW_GROUP = 100_000

    def __init__(self, stream: BinaryIO, *, plain: bool) -> None:
        fields = [
            ("device_id", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("zone_id", pa.string()),
            ("transition", pa.string()),
            ("lat", pa.float64()),
            ("lon", pa.float64()),
            ("cause", pa.string()),
            ("inferred", pa.string()),
            ("dwell_s", pa.float64()),
            ("event", pa.string()),
        ]
        self._schema = pa.schema(fields[: len(PLAIN_COLUMNS)] if plain else fields)
        self._writer = parquet.ParquetWriter(stream, self._schema)
        self._gathered: list[pa.RecordBatch] = []

    def write(self, rows: TransitionRows) -> None:
        values = {
            "device_id": rows.device_id,
            "time": rows.time_us,
            "zone_id": rows.zone_id,
            "transition": rows.transition,
            "lat": rows.lat,
            "lon": rows.lon,
            "cause": rows.cause,
            "inferred": [text or None for text in rows.inferred],
            "dwell_s": pa.array(rows.dwell_s, from_pandas=True),  # NaN is null
            "event": [text or None for text in rows.event],
        }
        arrays = [pa.array(values[field.name], field.type) for field in self._schema]
        self._gathered.append(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._gathered) >= self.ROW_GROUP:
            self._flush()

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._gathered, self._schema).combine_chunks()
        self._writer.write_table(table)
        self._gathered.clear()

    def close(self) -> None:
        if self._gathered:
            self._flush()
        self._writer.close()


class GpxWriter:
    """`plain` leaves out of the description what tells of more than the device."""

    def __init__(self, stream: BinaryIO, *, plain: bool) -> None:
        self._stream = stream
        self._plain = plain
        stream.write(
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            b'<gpx version="1.1" creator="opsc replay" xmlns="http://www.topografix.com/GPX/1/1">\n'
        )

    def write(self, rows: TransitionRows) -> None:
        columns = zip(*rows.full_text(), strict=True)
        self._stream.write("".join(map(self._waypoint, columns)).encode())

    def _waypoint(self, row: Sequence[Any]) -> str:
        device, time, zone, transition, lat, lon, cause, inferred, dwell_s, event = row
        parts = [device, cause, inferred, None if dwell_s is None else f"{dwell_s} s", event]
        description = "; ".join(part for part in (parts[:1] if self._plain else parts) if part)
        return (
            f'<wpt lat="{lat}" lon="{lon}"><time>{time}</time>'
            f"<name>{_xml(f'{zone} {transition}')}</name><desc>{_xml(description)}</desc>"
            f"<type>{transition}</type></wpt>\n"
        )

    def close(self) -> None:
        self._stream.write(b"</gpx>\n")


_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _xml(text: str) -> str:
    return escape(_NO_XML.sub("\ufffd", text))


WRITERS: dict[str, type[CsvWriter | NdjsonWriter | ParquetWriter | GpxWriter]] = {
    ".csv": CsvWriter,
    ".ndjson": NdjsonWriter,
    ".parquet": ParquetWriter,
    ".gpx": GpxWriter,
}
