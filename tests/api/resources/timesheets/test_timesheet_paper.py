"""Timesheets on paper, through HTTP: rounding is shown as rounding, and entries by hand as such."""

import io
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from pypdf import PdfReader

from tests.api.punching import Worker, by_hand, user_of
from tests.api.resources.timekeeping import (
    HOUR_S,
    day_of_work,
    enter,
    export,
    punched,
    read,
    rows_of_csv,
    say,
    sheet,
    zurich,
)
from tests.api.running import Answer, Organization, RunningApi
from tests.db.proving import put

QUARTER_S = 900


async def _round(org: Organization, step_s: int = QUARTER_S, **rules: Any) -> None:
    rules |= {"rounding": {"step_s": step_s}}
    answer = await org.admin.patch("/v1/organization", {"timesheet_rules": rules})
    assert answer.status == 200, answer.json


async def _pdf(org: Organization, timesheet_id: str) -> str:
    """Return the text of the PDF, with one blank between words."""
    answer = await export(org, timesheet_id, "application/pdf")
    assert answer.status == 200, answer.content
    reader = PdfReader(io.BytesIO(answer.content))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split())


async def _csv(org: Organization, timesheet_id: str) -> list[tuple[str, str, int, int]]:
    """Return day, entry, breaks and hours of each row, in seconds."""
    return [
        (row["day"], row["entry"], int(row["break_s"]), int(row["hours_s"]))
        for row in await rows_of_csv(org, timesheet_id)
    ]


def _night(*, out_minute: int = 5) -> list[tuple[str, datetime]]:
    return [("in", zurich(2, 22)), ("out", zurich(3, 6, out_minute))]


async def test_rounding_of_punches_is_no_break(org: Organization, anna: Worker) -> None:
    await _round(org)
    await enter(org, anna, *_night())
    found = await sheet(org, anna)
    assert found["shifts"][0]["days"] == [
        {"day": "2026-03-02", "worked_s": 2 * HOUR_S, "break_s": 0, "rounding_s": 0},
        {"day": "2026-03-03", "worked_s": 6 * HOUR_S, "break_s": 0, "rounding_s": -300},
    ]
    assert await _csv(org, found["id"]) == [
        ("2026-03-02", "shift", 0, 2 * HOUR_S),
        ("2026-03-03", "shift", 0, 6 * HOUR_S + 300),
        ("2026-03-03", "rounding", 0, -300),
    ]
    text = await _pdf(org, found["id"])
    assert "Mon 2 Mar 22:00 24:00 – 2:00 " in text
    assert "Tue 3 Mar 00:00 06:05 – 6:05 " in text
    assert "Tue 3 Mar −0:05 Rounding 6:00 – –" in text
    assert "Sum – 8:00 8:00 – –" in text


async def test_breaks_and_rounding_of_a_night_are_told_apart(
    org: Organization, anna: Worker
) -> None:
    await _round(org)
    pause = [("break_start", zurich(3, 2)), ("break_end", zurich(3, 2, 34))]
    begin, end = ("in", zurich(2, 21, 58)), ("out", zurich(3, 6, 5))
    await enter(org, anna, begin, *pause, end)
    found = await sheet(org, anna)
    # From 22:00 to 06:00 with a break of 30 minutes is paid; the break was 34 minutes.
    assert await _csv(org, found["id"]) == [
        ("2026-03-02", "shift", 0, 2 * HOUR_S + 120),
        ("2026-03-02", "rounding", 0, -120),
        ("2026-03-03", "shift", 2040, 6 * HOUR_S + 300 - 2040),
        ("2026-03-03", "rounding", 0, 240 - 300),
    ]
    assert found["worked_s"] == 8 * HOUR_S - 1800


async def test_rounding_of_a_day_shift_is_a_row_of_its_own(org: Organization, anna: Worker) -> None:
    await _round(org)
    await enter(org, anna, ("in", zurich(2, 7, 53)), ("out", zurich(2, 16, 5)))
    found = await sheet(org, anna)
    assert await _csv(org, found["id"]) == [
        ("2026-03-02", "shift", 0, 8 * HOUR_S + 720),
        ("2026-03-02", "rounding", 0, -720),
    ]
    assert "Mon 2 Mar 07:53 16:05 – 8:12 " in await _pdf(org, found["id"])


async def test_a_beginning_that_is_rounded_to_the_next_day_is_on_its_own(
    org: Organization, anna: Worker
) -> None:
    await _round(org)
    await enter(org, anna, ("in", zurich(2, 23, 58)), ("out", zurich(3, 4)))
    found = await sheet(org, anna)
    assert await _csv(org, found["id"]) == [
        ("2026-03-02", "shift", 0, 120),
        ("2026-03-02", "rounding", 0, -120),
        ("2026-03-03", "shift", 0, 4 * HOUR_S),
    ]


async def test_a_shift_that_counts_to_the_day_of_its_beginning_is_whole(
    org: Organization, anna: Worker
) -> None:
    await _round(org, cuts_at_midnight=False)
    pause = [("break_start", zurich(3, 2)), ("break_end", zurich(3, 2, 34))]
    await enter(org, anna, ("in", zurich(2, 22)), *pause, ("out", zurich(3, 6, 5)))
    found = await sheet(org, anna)
    assert await _csv(org, found["id"]) == [
        ("2026-03-02", "shift", 2040, 8 * HOUR_S + 300 - 2040),
        ("2026-03-02", "rounding", 0, 240 - 300),
    ]


@pytest.mark.parametrize("is_late", [False, True], ids=["as it was", "changed since"])
async def test_a_sheet_that_was_approved_before_shows_rounding_too(
    api: RunningApi, org: Organization, anna: Worker, *, is_late: bool
) -> None:
    """Up to version 0.4.0 the figures of an approval had no breaks by day."""
    await _round(org)
    pause = [("break_start", zurich(3, 2)), ("break_end", zurich(3, 2, 30))]
    await enter(org, anna, ("in", zurich(2, 21, 58)), *pause, ("out", zurich(3, 6, 5)))
    timesheet_id = (await sheet(org, anna))["id"]
    assert (await say(org.dispatcher, timesheet_id, "submit", "approve")).status == 200
    approved = await read(org, timesheet_id)
    ((figures,),) = api.sql("SELECT figures FROM timesheets WHERE org_id = %s", org.org_id)
    for part in (part for shift in figures["shifts"] for part in shift["days"]):
        del part["break_s"], part["rounding_s"]
    change = "UPDATE timesheets SET figures = %s::jsonb WHERE org_id = %s"
    put(api.database, (change, (json.dumps(figures), org.org_id)))
    if is_late:
        await enter(org, anna, ("out", zurich(3, 5)))
    found = await read(org, timesheet_id)
    assert found["changed_since_approval"] is is_late
    rows = await _csv(org, timesheet_id)
    assert sum(row[3] for row in rows) == approved["worked_s"] == 27_000
    if is_late:
        assert {part["break_s"] for part in found["shifts"][0]["days"]} == {None}
        assert sum(row[2] for row in rows) <= 1800 + 120
        return
    assert found["shifts"] == approved["shifts"]
    assert rows == [
        ("2026-03-02", "shift", 0, 2 * HOUR_S + 120),
        ("2026-03-02", "rounding", 0, -120),
        ("2026-03-03", "shift", 1800, 6 * HOUR_S + 300 - 1800),
        ("2026-03-03", "rounding", 0, -300),
    ]


# Entries ------------------------------------------------------------------------------------------


async def _named(org: Organization, role: str, name: str) -> None:
    users = (await org.admin.get("/v1/users", limit=1000)).json["data"]
    user_id = next(user["id"] for user in users if user["role"] == role)
    answer = await org.admin.patch(f"/v1/users/{user_id}", {"name": name})
    assert answer.status == 200, answer.json


def _at(punch: Answer) -> str:
    """Return the time of an entry as the sheet has it."""
    at = datetime.fromisoformat(punch.json["received_at"]).astimezone(zurich(1).tzinfo)
    return f"{at.day} {at:%b %Y %H:%M}"


async def test_an_entry_says_by_whom_when_and_why(org: Organization, anna: Worker) -> None:
    await _named(org, "dispatcher", "Maria Brunner")
    begin = await by_hand(org, anna.id, kind="in", time=zurich(2, 7).isoformat())
    end = await by_hand(org, anna.id, kind="out", time=zurich(2, 16).isoformat())
    timesheet_id = (await sheet(org, anna))["id"]
    text = await _pdf(org, timesheet_id)
    assert "9:00 2 entered by hand1, 2" in text
    for number, kind, time, punch in ((1, "In", "07:00", begin), (2, "Out", "16:00", end)):
        entered = f"entered by hand by Maria Brunner, {_at(punch)}: “forgotten”."
        assert f"{number} {kind} Mon 2 Mar {time}: {entered}" in text
    for untrue in ("offline", "no fix", "delay", "eviewed", "unverified", "?"):
        assert untrue not in text
    (row,) = await rows_of_csv(org, timesheet_id)
    assert (row["entered_by"], row["entry_reason"]) == ("Maria Brunner", "forgotten")
    assert (row["verification"], row["flags"]) == ("entered", "")


async def test_one_entry_beside_own_punches_is_told_apart(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    await _named(org, "dispatcher", "Maria Brunner")
    await punched(api, org, anna, ("in", zurich(2, 7)))
    await enter(org, anna, ("out", zurich(2, 16)))
    timesheet_id = (await sheet(org, anna))["id"]
    text = await _pdf(org, timesheet_id)
    assert "? 9:00 1 unverified, 1 entered by hand1, 2" in text
    assert "1 In Mon 2 Mar 07:00: unverified; no fix. Not reviewed." in text
    assert "2 Out Mon 2 Mar 16:00: entered by hand by Maria Brunner, " in text
    (row,) = await rows_of_csv(org, timesheet_id)
    assert (row["verification"], row["entered_by"]) == ("unverified", "Maria Brunner")


async def test_an_entry_without_an_out_is_not_said_to_be_unverified(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, ("in", zurich(2, 7)))
    timesheet_id = (await sheet(org, anna))["id"]
    text = await _pdf(org, timesheet_id)
    assert "? 16:00 1 entered by hand, missing out1" in text
    assert "nverified" not in text
    (row,) = await rows_of_csv(org, timesheet_id)
    assert (row["verification"], row["flags"]) == ("entered", "missing_out")


@pytest.mark.parametrize("verdict", ["unverified", "verified"])
async def test_an_entry_that_did_not_fit_takes_no_doubt_from_the_shift(
    api: RunningApi, org: Organization, anna: Worker, verdict: str
) -> None:
    await punched(api, org, anna, ("in", zurich(2, 7)), ("out", zurich(2, 16)))
    api.sql(
        "UPDATE punches SET verdict = %s WHERE org_id = %s AND kind = 'in' RETURNING 1",
        verdict,
        org.org_id,
    )
    await enter(org, anna, ("in", zurich(2, 7) + timedelta(minutes=5)))
    timesheet_id = (await sheet(org, anna))["id"]
    doubtful = 2 if verdict == "unverified" else 1
    assert f"9:00 {doubtful} unverified, 1 entered by hand" in await _pdf(org, timesheet_id)
    (row,) = await rows_of_csv(org, timesheet_id)
    assert row["verification"] == "unverified"


async def test_an_entry_for_oneself_is_to_be_reviewed(api: RunningApi, org: Organization) -> None:
    await _named(org, "dispatcher", "Maria Brunner")
    person = {"name": "Maria Brunner", "user_id": user_of(api, org, "dispatcher")}
    maria = (await org.admin.post("/v1/employees", person)).json["id"]
    for kind, at in (("in", zurich(2, 7)), ("out", zurich(2, 16))):
        assert (await by_hand(org, maria, kind=kind, time=at.isoformat())).status == 201
    ((row),) = await org.dispatcher.walk("/v1/timesheets", employee_id=maria)
    text = await _pdf(org, row["id"])
    assert "? 9:00 2 unverified, 2 entered by hand1, 2" in text
    assert "“forgotten”. Not reviewed." in text
    for punch in (await read(org, row["id"]))["punches"]:
        body = {"decision": "accept", "note": "She was here."}
        assert (await org.admin.post(f"/v1/punches/{punch['id']}/review", body)).status == 200
    text = await _pdf(org, row["id"])
    assert "9:00 2 entered by hand1, 2" in text
    assert "“forgotten”. Accepted by " in text
    assert "“She was here.”" in text


async def test_an_entry_with_a_good_position_is_told_of_too(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    """A verified punch has no flag."""
    ids = await enter(org, anna, *day_of_work(2), ("out", zurich(2, 17)))
    api.sql("UPDATE punches SET verdict = 'verified' WHERE org_id = %s RETURNING 1", org.org_id)
    text = await _pdf(org, (await sheet(org, anna))["id"])
    assert text.count("entered by hand by") == len(ids)
    assert "8:00 4 entered by hand1, 2, 3, 4" in text
    assert "17:00 Out without a shift · not in, entered by hand5" in text
    assert "5 Out Mon 2 Mar 17:00: entered by hand by" in text


async def test_an_entry_of_a_night_is_in_both_rows_and_one_footnote(
    org: Organization, anna: Worker
) -> None:
    await _named(org, "dispatcher", "Maria Brunner")
    await enter(org, anna, *_night())
    timesheet_id = (await sheet(org, anna))["id"]
    rows = await rows_of_csv(org, timesheet_id)
    assert [row["entered_by"] for row in rows] == ["Maria Brunner"] * 2
    assert (await _pdf(org, timesheet_id)).count("entered by hand by") == 2


async def test_a_rejected_entry_is_not_on_the_sheet(org: Organization, anna: Worker) -> None:
    ids = await enter(org, anna, *day_of_work(2), ("in", zurich(2, 6) + timedelta(minutes=30)))
    body = {"decision": "reject"}
    assert (await org.admin.post(f"/v1/punches/{ids[-1]}/review", body)).status == 200
    text = await _pdf(org, (await sheet(org, anna))["id"])
    assert text.count("entered by hand by") == 4
