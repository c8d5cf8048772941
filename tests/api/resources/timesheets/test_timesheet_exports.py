"""Timesheets as CSV and PDF."""

import csv
import io
from codecs import BOM_UTF8

import pytest
from pypdf import PdfReader

from tests.api.punching import Worker
from tests.api.resources.timekeeping import (
    HOUR_S,
    adjust,
    day_of_work,
    enter,
    export,
    punched,
    rows_of_csv,
    say,
    sheet,
    sheets,
    zurich,
)
from tests.api.running import Organization, RunningApi

pytestmark = pytest.mark.every_python


async def test_a_timesheet_is_exported_as_csv(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    await adjust(org, timesheet_id, seconds=900)
    shift, adjustment = await rows_of_csv(org, timesheet_id)
    assert (shift["entry"], shift["in"], shift["hours_s"]) == (
        "shift",
        "2026-03-02 07:00:00",
        str(8 * HOUR_S),
    )
    assert (adjustment["entry"], adjustment["hours_s"]) == ("adjustment", "900")
    assert adjustment["reason"] == "Loading before the shift."


@pytest.mark.parametrize(("paper", "width"), [("a4", 595), ("us-letter", 612)])
async def test_a_timesheet_is_exported_as_pdf(
    api: RunningApi, org: Organization, anna: Worker, paper: str, width: int
) -> None:
    await punched(api, org, anna, *day_of_work(2), ("in", zurich(7, 7)), ("out", zurich(8, 1)))
    timesheet_id = (await sheet(org, anna))["id"]
    await say(org.dispatcher, timesheet_id, "submit", "approve")
    answer = await export(org, timesheet_id, "application/pdf", paper=paper)
    assert answer.status == 200, answer.content
    assert answer.headers["Content-Type"] == "application/pdf"
    assert timesheet_id in answer.headers["Content-Disposition"]
    assert answer.headers["Vary"].startswith("Accept,")
    reader = PdfReader(io.BytesIO(answer.content))
    assert round(float(reader.pages[0].mediabox.width)) == width
    text = " ".join(page.extract_text() for page in reader.pages)
    for said in ("Anna Keller", "E-204", "Quarries", "Approved", "missing out", timesheet_id):
        assert said in text, said


async def test_a_csv_for_spreadsheets_begins_with_a_byte_order_mark(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2), *day_of_work(9))
    for path in ("/v1/timesheets", f"/v1/timesheets/{(await sheets(org, anna))[0]['id']}"):
        plain = await org.dispatcher.get(path, {"Accept": "text/csv"})
        marked = await org.dispatcher.get(path, {"Accept": "text/csv"}, spreadsheet="true")
        assert not plain.content.startswith(BOM_UTF8)
        assert marked.content == BOM_UTF8 + plain.content
        assert marked.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
        unmarked = await org.dispatcher.get(path, {"Accept": "text/csv"}, spreadsheet="false")
        assert unmarked.content == plain.content
        shown = await org.dispatcher.get(path, spreadsheet="true")
        assert shown.json == (await org.dispatcher.get(path)).json
    page = await org.dispatcher.get(
        "/v1/timesheets", {"Accept": "text/csv"}, spreadsheet="true", limit=1
    )
    rest = page.headers["Link"].partition(">")[0].removeprefix("<")
    next_page = await org.dispatcher.get(rest, {"Accept": "text/csv"})
    assert next_page.content.startswith(BOM_UTF8)


async def test_a_list_is_exported_as_csv_page_by_page(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2), *day_of_work(9))
    names: list[str] = []
    path: str | None = "/v1/timesheets?limit=1"
    while path is not None:
        answer = await org.dispatcher.get(path, {"Accept": "text/csv"})
        (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
        names.append(row["first_day"])
        link = answer.headers.get("Link")
        path = None if link is None else link.partition(">")[0].removeprefix("<")
    assert names == ["2026-03-09", "2026-03-02"]
    answer = await org.dispatcher.get("/v1/timesheets", {"Accept": "text/csv"}, employee_id=anna.id)
    assert len(answer.content.decode().splitlines()) == 3
