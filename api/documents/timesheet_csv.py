"""The CSV of a timesheet, as payroll programs import it: a row for each shift and each adjustment.

Where punches or the hours of a day are rounded, the difference is a row of its own, so that the
rows of a day add up to its hours, and all rows to those of the period. Columns that end with `_s`
are exact seconds, those with `_h` are hours, rounded to four decimals. `in` and `out` are local
times.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from api.documents.csv_text import Cell, csv_bytes
from api.documents.texts import one_line
from api.documents.timesheet import (
    AdjustmentLine,
    DayEntry,
    DocumentDay,
    ShiftLine,
    TimesheetDocument,
    entries,
)

COLUMNS = (
    "document_id",
    "organization",
    "employee_number",
    "employee",
    "first_day",
    "last_day",
    "state",
    "day",
    "entry",
    "in",
    "out",
    "time_zone",
    "break_h",
    "hours_h",
    "regular_h",
    "overtime_h",
    "double_h",
    "site",
    "verification",
    "flags",
    "reason",
    "actor",
    "in_utc",
    "out_utc",
    "break_s",
    "hours_s",
    "regular_s",
    "overtime_s",
    "double_s",
    "entered_by",
    "entry_reason",
)


def timesheet_csv(document: TimesheetDocument) -> bytes:
    """Return the CSV of a document."""
    return csv_bytes(COLUMNS, _rows(document))


def _rows(document: TimesheetDocument) -> Iterator[list[Cell]]:
    everywhere: dict[str, Cell] = {
        "document_id": document.document_id,
        "organization": one_line(document.organization),
        "employee_number": one_line(document.employee_number),
        "employee": one_line(document.employee),
        "first_day": document.first_day.isoformat(),
        "last_day": document.last_day.isoformat(),
        "state": document.state,
        "time_zone": document.timezone,
    }
    for day in document.days:
        for entry in entries(day):
            cells = everywhere | _entry_cells(day, entry) | _line_cells(entry, document.zone)
            yield [cells.get(column) for column in COLUMNS]


def _entry_cells(day: DocumentDay, entry: DayEntry) -> dict[str, Cell]:
    """Return the cells that every entry has."""
    break_s = entry.line.break_s if isinstance(entry.line, ShiftLine) else 0
    seconds = {"break": break_s, "hours": entry.seconds} | {
        name.removesuffix("_s"): each for name, each in entry.paid._asdict().items()
    }
    return {
        "day": day.day.isoformat(),
        **{f"{name}_s": each for name, each in seconds.items()},
        **{f"{name}_h": round(each / 3600, 4) for name, each in seconds.items()},
    }


def _line_cells(entry: DayEntry, zone: ZoneInfo) -> dict[str, Cell]:
    """Return the cells that only some kinds of entries have."""
    line = entry.line
    if isinstance(line, ShiftLine):
        return {
            "entry": "shift",
            "in": _local(line.started_at, zone),
            "out": _local(line.ended_at, zone),
            "in_utc": _utc(line.started_at),
            "out_utc": _utc(line.ended_at),
            "site": one_line(line.site),
            "verification": _verification(line),
            "flags": " ".join(map(one_line, line.flags)),
            "entered_by": _each_once(entry.by for entry in line.entries),
            "entry_reason": _each_once(entry.reason for entry in line.entries),
        }
    if isinstance(line, AdjustmentLine):
        reason, actor = one_line(line.reason), one_line(line.actor)
        actor += " (own hours)" if line.is_own else ""
        return {"entry": "adjustment", "reason": reason, "actor": actor}
    return {"entry": "rounding"}


def _verification(shift: ShiftLine) -> str:
    """Return the worst verdict of a shift; `reviewed` where its doubts are settled, and `entered`
    where it has none and punches of it were entered by hand.
    """
    if shift.has_doubts and shift.is_settled:
        return "reviewed"
    if shift.failed:
        return "failed"
    if shift.unverified:
        return "unverified"
    return "entered" if shift.entries else "verified" if shift.verified else ""


def _each_once(texts: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(map(one_line, texts)))


def _local(at: datetime | None, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}" if at else ""


def _utc(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if at else ""
