"""Shifts and timesheets, through HTTP: counted from punches, adjusted and listed."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.punching import Worker
from tests.api.resources.timekeeping import (
    HOUR_S,
    adjust,
    day_of_work,
    enter,
    export,
    punched,
    read,
    rows_of_csv,
    say,
    sheet,
    sheets,
    zurich,
)
from tests.api.running import Organization, RunningApi

# Counting -----------------------------------------------------------------------------------------


async def test_a_week_is_counted_from_its_punches(org: Organization, anna: Worker) -> None:
    for day in range(2, 7):
        await enter(org, anna, *day_of_work(day))
    answer = await org.admin.patch(
        "/v1/organization", {"timesheet_rules": {"overtime": {"weekly_s": 38 * HOUR_S}}}
    )
    assert answer.status == 200, answer.json
    found = await sheet(org, anna)
    assert (found["first_day"], found["last_day"]) == ("2026-03-02", "2026-03-08")
    assert (found["timezone"], found["approval_status"]) == ("Europe/Zurich", "open")
    assert (found["employee_name"], found["employee_number"]) == ("Anna Keller", "E-204")
    assert found["worked_s"] == 40 * HOUR_S
    assert (found["regular_s"], found["overtime_s"]) == (38 * HOUR_S, 2 * HOUR_S)
    assert [day["worked_s"] for day in found["days"]] == [8 * HOUR_S] * 5 + [0, 0]
    assert [day["overtime_s"] for day in found["days"]] == [0, 0, 0, 0, 2 * HOUR_S, 0, 0]
    assert len(found["shifts"]) == 5
    assert len(found["punches"]) == 20
    first = found["shifts"][0]
    assert (first["break_s"], first["worked_s"]) == (HOUR_S, 8 * HOUR_S)
    assert first["days"] == [
        {"day": "2026-03-02", "worked_s": 8 * HOUR_S, "break_s": HOUR_S, "rounding_s": 0}
    ]
    assert (first["in_punch_id"], first["out_punch_id"]) == (
        found["punches"][0]["id"],
        found["punches"][3]["id"],
    )
    assert found["flags"] == found["loose_flags"] == []  # somebody has entered them
    assert found["changed_since_approval"] is None


async def test_shifts_are_listed_and_filtered(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2), *day_of_work(3))
    now = datetime.now(UTC)
    await enter(org, anna, ("in", now - timedelta(hours=1)))
    rows = await org.dispatcher.walk("/v1/shifts", employee_id=anna.id, limit=2)
    assert [row["ended_at"] for row in rows] == [
        None,
        "2026-03-03T15:00:00Z",
        "2026-03-02T15:00:00Z",
    ]
    for filters, expected in (
        ({"open": "true"}, rows[:1]),
        ({"open": "false"}, rows[1:]),
        ({"from_": "2026-03-02T15:00:00Z", "to": "2026-03-04T00:00:00Z"}, rows[1:2]),
        ({"from_": "2026-03-02T14:59:59Z", "to": "2026-03-03T06:00:00Z"}, rows[2:]),
        ({"to": "2026-03-03T06:00:01Z", "sort": "started_at"}, [rows[2], rows[1]]),
        ({"from_": now.isoformat().replace("+00:00", "Z")}, rows[:1]),
    ):
        answer = await org.dispatcher.get("/v1/shifts", employee_id=anna.id, **filters)
        assert (answer.json["data"], answer.json["total"]) == (expected, len(expected)), filters


@pytest.mark.parametrize(
    ("began", "ended", "worked"),
    [
        # The clocks go from 2 to 3 on 29 March, and from 3 to 2 on 25 October.
        (zurich(28, 22), zurich(29, 6), {"2026-03-28": 2, "2026-03-29": 5}),
        (zurich(24, 22, month=10), zurich(25, 6, month=10), {"2026-10-24": 2, "2026-10-25": 7}),
        (
            zurich(25, 2, 30, month=10),
            zurich(25, 2, 30, month=10, fold=1),
            {"2026-10-25": 1},
        ),
    ],
)
async def test_hours_over_a_change_of_the_clocks(
    org: Organization, anna: Worker, began: datetime, ended: datetime, worked: dict[str, int]
) -> None:
    await enter(org, anna, ("in", began), ("out", ended))
    found = await sheet(org, anna)
    days = {day["day"]: day["worked_s"] / HOUR_S for day in found["days"] if day["worked_s"]}
    assert days == worked
    for form in ("text/csv", "application/pdf"):
        assert (await export(org, found["id"], form)).status == 200


async def test_a_shift_over_the_border_of_two_periods_is_on_both(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, ("in", zurich(8, 20)), ("out", zurich(9, 4)))
    first, second = await sheets(org, anna)
    assert (first["last_day"], second["first_day"]) == ("2026-03-08", "2026-03-09")
    before, after = await read(org, first["id"]), await read(org, second["id"])
    assert (before["worked_s"], after["worked_s"]) == (4 * HOUR_S, 4 * HOUR_S)
    assert before["shifts"] == after["shifts"]
    for found in (before, after):
        ((row, *others),) = [await rows_of_csv(org, found["id"])]
        assert (others, row["hours_s"], row["entry"]) == ([], str(4 * HOUR_S), "shift")


async def test_an_employees_days_are_those_of_their_own_time_zone(
    org: Organization, anna: Worker
) -> None:
    answer = await org.admin.patch(f"/v1/employees/{anna.id}", {"timezone": "Asia/Tokyo"})
    assert answer.json["timezone"] == "Asia/Tokyo"
    await enter(org, anna, ("in", zurich(2, 20)), ("out", zurich(2, 22)))
    found = await sheet(org, anna)
    assert found["timezone"] == "Asia/Tokyo"
    assert [day["day"] for day in found["days"] if day["worked_s"]] == ["2026-03-03"]


@pytest.mark.parametrize(
    ("path", "body", "pointer", "says"),
    [
        ("employees/{emp}", {"timezone": "Mars/Base"}, "/timezone", "like Europe/Zurich"),
        (
            "organization",
            {"timesheet_rules": {"period": "two_weeks"}},
            "/timesheet_rules",
            "anchor",
        ),
        (
            "organization",
            {"timesheet_rules": {"rounding": {"step_s": 420}}},
            "/timesheet_rules",
            "one of 60, 300, 360, 600, 900",
        ),
        (
            "organization",
            {"timesheet_rules": {"overtime_preset": "ch_45", "overtime": {"daily_s": 60}}},
            "/timesheet_rules",
            "leave one out",
        ),
    ],
)
async def test_rules_that_cannot_be_are_refused(
    org: Organization, anna: Worker, path: str, body: Any, pointer: str, says: str
) -> None:
    answer = await org.admin.patch("/v1/" + path.format(emp=anna.id), body)
    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["pointer"] == pointer
    assert says in fault["message"]


async def test_rules_are_given_as_a_whole_and_null_takes_them_away(org: Organization) -> None:
    defaults = (await org.viewer.get("/v1/organization")).json["timesheet_rules"]
    given = {"period": "two_weeks", "anchor": "2026-03-02", "automatic_breaks": []}
    given["rounding"] = {"step_s": 300, "grace_s": None, "each": "day"}
    for body, shown in ((given, defaults | given), (None, defaults)):
        answer = await org.admin.patch("/v1/organization", {"timesheet_rules": body})
        assert answer.json["timesheet_rules"] == shown
        assert (await org.viewer.get("/v1/organization")).json == answer.json


async def test_a_review_changes_shifts_and_hours(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    ids = await punched(api, org, anna, *day_of_work(2), ("out", zurich(2, 18)))
    found = await sheet(org, anna)
    assert {flag["name"] for flag in found["flags"]} == {"unverified", "not_in"}
    assert [flag["punch_id"] for flag in found["loose_flags"]] == ids[-1:]
    await org.dispatcher.post(f"/v1/punches/{ids[3]}/review", {"decision": "reject"})
    found = await sheet(org, anna)
    assert (found["worked_s"], found["loose_flags"]) == (10 * HOUR_S, [])
    (shift,) = (await org.dispatcher.get("/v1/shifts", employee_id=anna.id)).json["data"]
    assert (shift["worked_s"], shift["out_punch_id"]) == (10 * HOUR_S, ids[-1])
    for punch_id in (*ids[:3], ids[-1]):
        await org.dispatcher.post(f"/v1/punches/{punch_id}/review", {"decision": "accept"})
    assert (await sheet(org, anna))["flags"] == []


async def test_a_thousand_punches_are_on_one_timesheet(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    await org.admin.patch("/v1/organization", {"timesheet_rules": {"period": "month"}})
    start = zurich(2)
    punches = [
        (kind, start + timedelta(minutes=40 * number + minute))
        for number in range(500)
        for kind, minute in (("in", 0), ("out", 30))
    ]
    for begin in range(0, len(punches), 200):
        await punched(api, org, anna, *punches[begin : begin + 200])
    found = await sheet(org, anna)
    assert found["worked_s"] == 500 * 1800
    assert (len(found["shifts"]), len(found["punches"])) == (500, 1000)
    answer = await export(org, found["id"], "application/pdf")
    assert (answer.status, answer.json["code"]) == (409, "document_too_large")


# Adjustments --------------------------------------------------------------------------------------


async def test_an_adjustment_counts_and_stays(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2))
    before = await sheet(org, anna)
    answer = await adjust(org, before["id"], seconds=900)
    assert answer.status == 201
    assert answer.headers["Location"] == f"/v1/timesheets/{before['id']}"
    await adjust(org, before["id"], seconds=-300, reason="A mistake.")
    found = await sheet(org, anna)
    assert (found["worked_s"], found["adjusted_s"]) == (8 * HOUR_S, 600)
    assert found["regular_s"] == 8 * HOUR_S + 600
    assert [each["seconds"] for each in found["adjustments"]] == [900, -300]
    assert found["adjustments"][0]["reason"] == "Loading before the shift."


@pytest.mark.parametrize(
    ("body", "pointer", "says"),
    [
        ({"day": "2026-03-09"}, "/day", "from 2026-03-02 to 2026-03-08"),
        ({"seconds": 0}, "/seconds", "must not be 0"),
        ({"seconds": -8 * HOUR_S - 1}, "/seconds", f"at most {8 * HOUR_S} may come off"),
        ({"day": "2026-03-04", "seconds": -1}, "/seconds", "at most 0 may come off"),
        ({"seconds": 86_401}, "/seconds", "less than or equal to 86400"),
        ({"reason": " "}, "/reason", "at least 1 character"),
    ],
)
async def test_an_adjustment_that_cannot_be_is_refused(
    org: Organization, anna: Worker, body: Any, pointer: str, says: str
) -> None:
    await enter(org, anna, *day_of_work(2))
    answer = await adjust(org, (await sheet(org, anna))["id"], **body)
    assert answer.status == 422
    (fault,) = answer.json["errors"]
    assert fault["pointer"] == pointer
    assert says in fault["message"]


async def test_adjustments_of_a_day_add_up_to_a_day_at_most(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    assert (await adjust(org, timesheet_id, seconds=86_400)).status == 201
    answer = await adjust(org, timesheet_id, seconds=1)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/seconds")
    assert (await export(org, timesheet_id, "application/pdf")).status == 200


async def test_an_approved_timesheet_takes_no_adjustment_until_it_is_reopened(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    await say(org.dispatcher, timesheet_id, "submit", "approve")
    answer = await adjust(org, timesheet_id)
    assert (answer.status, answer.json["code"]) == (409, "illegal_move")
    assert answer.json["legal_verbs"] == ["lock", "reopen"]
    await say(org.dispatcher, timesheet_id, "reopen")
    assert (await adjust(org, timesheet_id)).status == 201


# Lists --------------------------------------------------------------------------------------------


async def test_timesheets_are_filtered_by_days_and_status(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2), *day_of_work(9))
    first, second = await sheets(org, anna)
    await say(org.dispatcher, first["id"], "submit")
    for filters, expected in (
        ({"from_": "2026-03-08", "to": "2026-03-09"}, [first]),
        ({"from_": "2026-03-09"}, [second]),
        ({"to": "2026-03-09"}, [first]),
        ({"from_": "2026-03-08", "to": "2026-03-10"}, [first, second]),
        ({"approval_status": "submitted"}, [first]),
        ({"approval_status": "approved"}, []),
    ):
        found = await sheets(org, anna, **filters)
        assert [row["id"] for row in found] == [row["id"] for row in expected], filters
