"""Forms of files that have a row for each row of a list: CSV, NDJSON, GeoJSON, GPX, KML, Parquet
and XLSX.

A writer is given the rows a page at a time and returns bytes as soon as it has some, so that a file
of any length takes little memory. XLSX alone is kept, compressed, until it is complete.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import msgspec

from api.documents.csv_text import MEDIA_TYPE, plain_cell

Kind: TypeAlias = Literal["text", "time", "day", "float", "int", "bool", "json"]
Row: TypeAlias = Mapping[str, Any]

_UTC = ZoneInfo("UTC")
_GROUP_ROWS = 20_000  # of a row group of Parquet
_COLUMN_WIDTH = 18


@dataclass(frozen=True, slots=True)
class Shape:
    """The rows of a file. columns: kinds by name, in order. places: the names of latitude and
    longitude of each place of a row: one makes a point, two a line. zone: of times in XLSX.
    """

    columns: Mapping[str, Kind]
    places: Sequence[tuple[str, str]] = ()
    zone: ZoneInfo = field(default=_UTC)


class FileWriter(Protocol):
    def page(self, rows: Sequence[Row]) -> bytes:
        """Return what can be sent once these rows are written."""
        ...

    def end(self) -> bytes:
        """Return the rest of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Form:
    """A form of file. needs: columns that it cannot be written without; has_places: and those of
    the places of a row. goes_on: rows can be written behind those of before.
    """

    media_type: str
    extension: str
    writer: Callable[[Shape], FileWriter]
    has_places: bool = False
    needs: Sequence[str] = ()
    goes_on: bool = True

    def rest(self, shape: Shape) -> FileWriter:
        """Return a writer of what is behind rows of before, where the form goes on."""
        writer = self.writer(shape)
        assert isinstance(writer, _Lines)
        writer.is_first = False
        return writer

    def needed(self, shape: Shape) -> list[str]:
        places = [name for place in shape.places for name in place] if self.has_places else []
        return [*places, *self.needs]


class _Lines:
    """A writer of a form that has a text for each row, between a head and a tail."""

    def __init__(
        self,
        line: Callable[[Row], bytes],
        head: bytes = b"",
        between: bytes = b"",
        tail: bytes = b"",
    ) -> None:
        self._line, self._head, self._between, self._tail = line, head, between, tail
        self.is_first = True

    def page(self, rows: Sequence[Row]) -> bytes:
        lines = self._between.join(map(self._line, rows))
        before = self._between
        if self.is_first:
            self.is_first, before = False, self._head
        return before + lines

    def end(self) -> bytes:
        return (self._head if self.is_first else b"") + self._tail


def _csv(shape: Shape) -> FileWriter:
    head = _csv_line(shape.columns)
    return _Lines(lambda row: _csv_line([cell_of(value) for value in row.values()]), head)


def _csv_line(cells: Any) -> bytes:
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\r\n").writerow(cells)
    return stream.getvalue().encode()


def cell_of(value: object) -> Any:
    """Return a JSON value as a cell of a CSV: lists and objects as JSON, no text as a formula."""
    match value:
        case msgspec.Raw():
            return bytes(value).decode()
        case dict() | list():
            return msgspec.json.encode(value).decode()
        case bool():
            return str(value).lower()
        case str():
            return plain_cell(value)
    return value


def _json_lines(_: Shape) -> FileWriter:
    return _Lines(lambda row: msgspec.json.encode(row) + b"\n")


def _geojson(shape: Shape) -> FileWriter:
    return _Lines(
        lambda row: msgspec.json.encode(_feature(row, shape.places)),
        b'{"type":"FeatureCollection","features":[\n',
        b",\n",
        b"\n]}\n",
    )


def _feature(row: Row, places: Sequence[tuple[str, str]]) -> Row:
    used = {name for place in places for name in place}
    others = {name: value for name, value in row.items() if name not in used}
    return {"type": "Feature", "geometry": _geometry(row, places), "properties": others}


def _geometry(row: Row, places: Sequence[tuple[str, str]]) -> Row:
    points = [[row[lon], row[lat]] for lat, lon in places]
    if len(points) > 1:
        return {"type": "LineString", "coordinates": points}
    altitude_m = row.get("altitude_m")
    return {
        "type": "Point",
        "coordinates": [*points[0], *([] if altitude_m is None else [altitude_m])],
    }


_GPX_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="OPS Companion"'
    b' xmlns="http://www.topografix.com/GPX/1/1"><trk><trkseg>\n'
)
_KML_HEAD = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<kml xmlns="http://www.opengis.net/kml/2.2"><Document>\n'
)


def _gpx(_: Shape) -> FileWriter:
    return _Lines(_track_point, _GPX_HEAD, tail=b"</trkseg></trk></gpx>\n")


def _track_point(row: Row) -> bytes:
    altitude_m, satellites = row.get("altitude_m"), row.get("satellites")
    within = "" if altitude_m is None else f"<ele>{altitude_m}</ele>"
    within += f"<time>{row['time']}</time>"
    within += "" if satellites is None else f"<sat>{satellites}</sat>"
    return f'<trkpt lat="{row["lat"]}" lon="{row["lon"]}">{within}</trkpt>\n'.encode()


def _kml(_: Shape) -> FileWriter:
    return _Lines(_placemark, _KML_HEAD, tail=b"</Document></kml>\n")


def _placemark(row: Row) -> bytes:
    altitude_m = row.get("altitude_m")
    height = "" if altitude_m is None else f",{altitude_m}"
    mode = "" if altitude_m is None else "<altitudeMode>absolute</altitudeMode>"
    return (
        f"<Placemark><TimeStamp><when>{row['time']}</when></TimeStamp>"
        f"<Point>{mode}<coordinates>{row['lon']},{row['lat']}{height}</coordinates></Point>"
        "</Placemark>\n"
    ).encode()


class _Sink:
    """A file that hands out what is written to it."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._bytes = 0

    def write(self, content: Any) -> int:
        self._pieces.append(bytes(content))
        self._bytes += len(self._pieces[-1])
        return len(self._pieces[-1])

    def tell(self) -> int:
        return self._bytes

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        content = b"".join(self._pieces)
        self._pieces.clear()
        return content


class _Parquet:
    """A writer of Parquet, a row group at a time. Objects and lists are JSON texts."""

    def __init__(self, shape: Shape) -> None:
        # Whoever writes no Parquet does without its megabytes.
        import pyarrow as pa
        from pyarrow import parquet

        types: dict[Kind, Any] = {
            "text": pa.string(),
            "time": pa.timestamp("us", "UTC"),
            "day": pa.date32(),
            "float": pa.float64(),
            "int": pa.int64(),
            "bool": pa.bool_(),
            "json": pa.string(),
        }
        self._kinds = shape.columns
        self._schema = pa.schema([(name, types[kind]) for name, kind in shape.columns.items()])
        self._sink = _Sink()
        self._writer: Any = parquet.ParquetWriter(self._sink, self._schema, compression="zstd")
        self._new_batch: Any = pa.RecordBatch.from_pydict
        self._new_table: Any = pa.Table.from_batches
        self._batches: list[Any] = []
        self._rows = 0

    def page(self, rows: Sequence[Row]) -> bytes:
        read = {name: _READ.get(kind) for name, kind in self._kinds.items()}
        columns = {
            name: [_read_by(change, row[name]) for row in rows] for name, change in read.items()
        }
        self._batches.append(self._new_batch(columns, schema=self._schema))
        self._rows += len(rows)
        if self._rows >= _GROUP_ROWS:
            self._write()
        return self._sink.taken()

    def end(self) -> bytes:
        self._write()
        self._writer.close()
        return self._sink.taken()

    def _write(self) -> None:
        if self._batches:
            self._writer.write_table(self._new_table(self._batches), row_group_size=self._rows)
            self._batches, self._rows = [], 0


def _read_by(change: Callable[[Any], Any] | None, value: Any) -> Any:
    return value if change is None or value is None else change(value)


_READ: Mapping[Kind, Callable[[Any], Any]] = {
    "time": datetime.fromisoformat,
    "day": lambda text: datetime.fromisoformat(text).date(),
    "float": float,
    "json": cell_of,
}


class _Spreadsheet:
    """A writer of XLSX. Texts are texts, whatever they begin with; times are those of the zone."""

    def __init__(self, shape: Shape) -> None:
        # Whoever writes no XLSX does without it.
        from xlsxwriter import Workbook  # pyright: ignore[reportMissingTypeStubs]

        self._content = io.BytesIO()
        options = {"constant_memory": True, "default_date_format": "yyyy-mm-dd hh:mm:ss"}
        self._book: Any = Workbook(self._content, options)
        # The same rows give the same file.
        self._book.set_properties(
            {"created": datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)}
        )
        self._sheet: Any = self._book.add_worksheet()
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(shape.columns) - 1, _COLUMN_WIDTH)
        self._day = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._kinds, self._zone, self._row = list(shape.columns.values()), shape.zone, 0
        bold = self._book.add_format({"bold": True})
        for column, name in enumerate(shape.columns):
            self._sheet.write_string(0, column, name, bold)

    def page(self, rows: Sequence[Row]) -> bytes:
        for row in rows:
            self._row += 1
            for column, (kind, value) in enumerate(zip(self._kinds, row.values(), strict=True)):
                if value is not None:
                    self._write(column, kind, value)
        return b""

    def _write(self, column: int, kind: Kind, value: Any) -> None:
        match kind:
            case "time":
                at = datetime.fromisoformat(value).astimezone(self._zone).replace(tzinfo=None)
                self._sheet.write_datetime(self._row, column, at)
            case "day":
                day = datetime.fromisoformat(value)
                self._sheet.write_datetime(self._row, column, day, self._day)
            case "bool":
                self._sheet.write_boolean(self._row, column, value)
            case "float" | "int":
                self._sheet.write_number(self._row, column, value)
            case "json":
                self._sheet.write_string(self._row, column, cell_of(value))
            case "text":
                self._sheet.write_string(self._row, column, value)

    def end(self) -> bytes:
        self._book.close()
        return self._content.getvalue()


CSV = Form(MEDIA_TYPE, "csv", _csv)
NDJSON = Form("application/x-ndjson", "ndjson", _json_lines)
GEOJSON = Form("application/geo+json", "geojson", _geojson, has_places=True)
GPX = Form("application/gpx+xml", "gpx", _gpx, has_places=True, needs=("time",))
KML = Form("application/vnd.google-earth.kml+xml", "kml", _kml, has_places=True, needs=("time",))
PARQUET = Form("application/vnd.apache.parquet", "parquet", _Parquet, goes_on=False)
XLSX = Form(
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xlsx",
    _Spreadsheet,
    goes_on=False,
)


def by_media_type(*forms: Form) -> dict[str, Form]:
    """Return forms by what an Accept header names."""
    return {form.media_type.partition(";")[0]: form for form in forms}


LIST_FORMS = by_media_type(CSV, NDJSON, GEOJSON, PARQUET)
FIX_FORMS = by_media_type(CSV, NDJSON, GEOJSON, GPX, KML, PARQUET)
