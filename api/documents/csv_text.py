"""CSV as spreadsheets and payroll programs read it: RFC 4180, UTF-8, no text that is a formula."""

import csv
import io
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
# The full-width forms are formulas in some spreadsheets of East Asia.
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
# A number, or what a telephone number, a date and a range of numbers are made of.
_HARMLESS = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?|[0-9 +()/-]+")

Cell = str | int | float | None


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a file of rows. None is an empty cell.

    A text that a spreadsheet would run as a formula gets an apostrophe before it. Numbers stay as
    they are, and so do texts of digits, blanks and `+ ( ) / -` alone.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(map(plain_cell, row) for row in rows)
    return stream.getvalue().encode()


def plain_cell(cell: Cell) -> Cell:
    """Return a cell with an apostrophe before what a spreadsheet would run as a formula."""
    if not isinstance(cell, str) or _HARMLESS.fullmatch(cell):
        return cell
    return f"'{cell}" if cell.startswith(_STARTS_FORMULA) else cell


def for_reader(content: bytes, *, spreadsheet: bool) -> bytes:
    """Return a CSV as a program reads it, or with the mark by which spreadsheets know UTF-8."""
    return BOM_UTF8 + content if spreadsheet else content
