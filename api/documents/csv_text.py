"""CSV as spreadsheets and payroll programs read it: RFC 4180, UTF-8, no text that is a formula."""

import csv
import io
from collections.abc import Iterable, Sequence

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"
# The full-width forms are formulas in some spreadsheets of East Asia.
_STARTS_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")

Cell = str | int | float | None


def csv_bytes(header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """Return a file of rows. None is an empty cell.

    A text that a spreadsheet would run as a formula gets an apostrophe before it. Numbers stay as
    they are, so give them as numbers, not as texts.
    """
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(header)
    writer.writerows(map(_plain, row) for row in rows)
    return stream.getvalue().encode()


def _plain(cell: Cell) -> Cell:
    if isinstance(cell, str) and cell.startswith(_STARTS_FORMULA):
        return f"'{cell}"
    return cell
