"""The CSV of a timesheet: rows that add up, and texts that no spreadsheet runs."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.documents.csv_text import csv_bytes
from api.documents.texts import one_line
from api.documents.timesheet import TimesheetDocument
from api.documents.timesheet_csv import COLUMNS, timesheet_csv
from tests.api.documents import examples


def rows_of(document: TimesheetDocument) -> list[dict[str, str]]:
    text = timesheet_csv(document).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_shift_is_a_row() -> None:
    row = rows_of(examples.plain_week())[2]
    assert tuple(row) == COLUMNS
    assert row == {
        "document_id": "tms_01jd8x0k2m4n6p8q0r2s4t6v8w",
        "organization": "Keller Tiefbau AG",
        "employee_number": "E-204",
        "employee": "Anna Keller",
        "first_day": "2026-03-02",
        "last_day": "2026-03-08",
        "state": "approved",
        "day": "2026-03-04",
        "entry": "shift",
        "in": "2026-03-04 07:30:00",
        "out": "2026-03-04 17:30:00",
        "time_zone": "Europe/Zurich",
        "break_h": "0.75",
        "hours_h": "9.25",
        "regular_h": "8.4",
        "overtime_h": "0.85",
        "double_h": "0.0",
        "site": "Depot North",
        "verification": "verified",
        "flags": "",
        "reason": "",
        "actor": "",
        "in_utc": "2026-03-04T06:30:00Z",
        "out_utc": "2026-03-04T16:30:00Z",
        "break_s": "2700",
        "hours_s": "33300",
        "regular_s": "30240",
        "overtime_s": "3060",
        "double_s": "0",
        "entered_by": "",
        "entry_reason": "",
    }


def test_the_example_of_the_documentation_is_the_plain_week() -> None:
    kept = Path(__file__).parents[3] / "docs/pictures/timesheet.csv"
    assert kept.read_bytes() == timesheet_csv(examples.plain_week())


@pytest.mark.parametrize("example", ["plain_week", "crowded_month", "empty_period"])
def test_the_rows_add_up_to_the_period(example: str) -> None:
    document = getattr(examples, example)()
    rows = rows_of(document)
    sums = [sum(int(row[name]) for row in rows) for name in document.paid._fields]
    assert sums == list(document.paid)
    hours = [sum(float(row[f"{name[:-2]}_h"]) for row in rows) for name in document.paid._fields]
    assert hours == pytest.approx([seconds / 3600 for seconds in sums], abs=1e-4 * len(rows))


def test_adjustments_and_doubts_have_their_columns() -> None:
    rows = rows_of(examples.crowded_month())
    adjustments = [row for row in rows if row["entry"] == "adjustment"]
    assert [
        (row["hours_h"], row["overtime_s"], row["reason"], row["actor"]) for row in adjustments
    ] == [
        ("0.5", "1800", "Travel from the depot to the site", "Maria Brunner"),
        ("-0.25", "-900", "Breakfast was not punched", "Maria Brunner"),
    ]
    doubts = {row["day"]: (row["verification"], row["flags"]) for row in rows if row["flags"]}
    assert doubts == {
        "2026-03-10": ("unverified", "disputed"),
        "2026-03-18": ("verified", "missing_out"),
    }
    assert [row["day"] for row in rows if row["verification"] == "reviewed"] == ["2026-03-03"]


def test_rounding_is_a_row() -> None:
    week = examples.plain_week()
    day = replace(week.days[0], paid=week.days[0].paid._replace(regular_s=30_000))
    row = rows_of(replace(week, days=(day,)))[1]
    assert (row["entry"], row["hours_s"], row["regular_s"], row["in"]) == (
        "rounding",
        "300",
        "300",
        "",
    )


def test_lines_end_as_rfc_4180_has_it() -> None:
    content = timesheet_csv(examples.crowded_month())
    assert content.startswith(b"document_id,")
    assert content.endswith(b"\r\n")
    assert (
        content.count(b"\n") == content.count(b"\r\n") == 1 + len(rows_of(examples.crowded_month()))
    )
    assert b'"Gotthard, night closure"' in content


def cell_of(text: str) -> str:
    """Return a text as it stands in a CSV."""
    _, row = csv.reader(io.StringIO(csv_bytes(["a"], [[text]]).decode(), newline=""))
    return row[0]


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1+A1",
        "-2+3*cmd",
        "-1_0",
        "+inf",
        "-nan",
        "+41 44 123 45 67 x3",
        "-١",
        "@SUM(A1)",
        "@",
        "\t12",
        "\t=1",
        "\r1",
        "＝1",
        '=HYPERLINK("x")',
    ],
)
def test_a_text_that_may_be_a_formula_gets_an_apostrophe(text: str) -> None:
    assert cell_of(text) == "'" + text


@pytest.mark.parametrize(
    "text",
    [
        *("-1", "+1", "-0.5", "-.5", "-1.", "+1.5e-3", "-1E9"),
        *("+41 44 123 45 67", "+1 (555) 010-0199", "-12/03", "--", "-", "(0) 44"),
        *("", "Anna", "1=1", "'=1", " =1"),
    ],
)
def test_a_number_a_telephone_number_and_any_other_text_is_left_alone(text: str) -> None:
    assert cell_of(text) == text


def test_a_name_that_is_a_formula_gets_an_apostrophe() -> None:
    week = replace(examples.plain_week(), employee="=1+1", employee_number="+41 44 123 45 67")
    row = rows_of(week)[0]
    assert (row["employee"], row["employee_number"]) == ("'=1+1", "+41 44 123 45 67")


@given(st.text(max_size=30))
def test_any_text_is_read_back(text: str) -> None:
    row = rows_of(replace(examples.plain_week(), employee=text))[0]
    assert row["employee"].removeprefix("'") == one_line(text).removeprefix("'")
    assert not row["employee"].startswith(("=", "@", "＝", "＋", "－", "＠"))
    if row["employee"].startswith(("+", "-")):
        assert not re.search(r"[^0-9eE. +()/-]", row["employee"])
