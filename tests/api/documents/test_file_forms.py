"""Forms of files: rows in, bytes out."""

import csv
import io
import zipfile
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from pyarrow import parquet

from api.documents import file_forms
from api.documents.file_forms import (
    CSV,
    FIX_FORMS,
    LIST_FORMS,
    PARQUET,
    XLSX,
    Form,
    Kind,
    Row,
    Shape,
)

COLUMNS: dict[str, Kind] = {"name": "text", "at": "time", "day": "day", "km": "float", "n": "int"}
ROW = {"name": "Truck", "at": "2026-03-29T01:30:00Z", "day": "2026-03-29", "km": 1.5, "n": 3}
DANGEROUS = ("=1+1", "+1+cmd", "-1+A1", "@SUM(1)", "\t=1", "=HYPERLINK(1)")


def written(form: Form, pages: Sequence[Sequence[Row]], zone: str = "UTC") -> bytes:
    writer = form.writer(Shape(COLUMNS, zone=ZoneInfo(zone)))
    return b"".join([*map(writer.page, pages), writer.end()])


def cells(content: bytes) -> list[list[tuple[str, str]]]:
    """Return the type and text of each cell of a sheet."""
    name = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        sheet = ElementTree.fromstring(book.read("xl/worksheets/sheet1.xml"))
    assert not list(sheet.iter(f"{name}f"))  # no formula
    return [
        [(cell.get("t", "n"), "".join(cell.itertext())) for cell in row.iter(f"{name}c")]
        for row in sheet.iter(f"{name}row")
    ]


@pytest.mark.parametrize("text", DANGEROUS)
def test_no_text_is_a_formula(text: str) -> None:
    row = ROW | {"name": text}
    _, line = csv.reader(io.StringIO(written(CSV, [[row]]).decode(), newline=""))
    assert line[0] == f"'{text}"
    _, sheet = cells(written(XLSX, [[row]]))
    assert sheet[0] == ("inlineStr", text)


def test_a_spreadsheet_has_the_times_of_the_zone() -> None:
    head, row, last = cells(
        written(XLSX, [[ROW], [ROW | dict.fromkeys(("name", "day", "km", "n"))]], "Europe/Berlin")
    )
    assert head == [("inlineStr", name) for name in COLUMNS]
    _, (kind, at), (_, day), *rest = row
    # Days since 1899-12-30; the clocks were put forward at 01:00 UTC.
    assert (kind, float(day)) == ("n", 46110)
    assert float(at) == pytest.approx(46110 + 3.5 / 24)
    assert rest == [("n", "1.5"), ("n", "3")]
    assert last == [(kind, at)]


def test_row_groups_are_written_as_they_are_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_forms, "_GROUP_ROWS", 4)
    writer = PARQUET.writer(Shape(COLUMNS))
    pieces = [writer.page([ROW | {"n": number}, ROW]) for number in range(5)]
    content = b"".join([*pieces, writer.end()])
    read: Any = parquet.ParquetFile(io.BytesIO(content))
    assert [read.metadata.row_group(number).num_rows for number in range(3)] == [4, 4, 2]
    assert read.read().column("n").to_pylist()[::2] == list(range(5))
    assert not pieces[2]
    assert pieces[3]


@pytest.mark.parametrize("form", [*LIST_FORMS.values(), XLSX], ids=lambda form: form.extension)
def test_pages_make_no_difference(form: Form) -> None:
    rows = [ROW | {"n": number, "lat": 1, "lon": 2} for number in range(6)]
    if form is not LIST_FORMS["application/geo+json"]:
        rows = [{name: row[name] for name in COLUMNS} for row in rows]

    def made(*pages: Sequence[Row]) -> bytes:
        writer = form.writer(Shape(COLUMNS, (("lat", "lon"),)))
        return b"".join([*map(writer.page, pages), writer.end()])

    whole = made(rows)
    assert made(rows[:1], rows[1:5], rows[5:]) == whole
    assert made(*([row] for row in rows)) == whole


@pytest.mark.parametrize("form", [form for form in FIX_FORMS.values() if form.goes_on])
def test_a_file_is_gone_on_with_behind_any_row(form: Form) -> None:
    columns: dict[str, Kind] = {**COLUMNS, "lat": "float", "lon": "float", "time": "time"}
    shape = Shape(columns, (("lat", "lon"),))
    rows = [ROW | {"lat": 1.5, "lon": number, "time": ROW["at"]} for number in range(3)]
    writer = form.writer(shape)
    whole = b"".join([writer.page(rows), writer.end()])
    for number in range(1, 3):
        first, rest = form.writer(shape), form.rest(shape)
        pieces = [first.page(rows[:number]), rest.page(rows[number:]), rest.end()]
        assert b"".join(pieces) == whole
