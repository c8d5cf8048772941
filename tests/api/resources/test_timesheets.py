"""Shifts and timesheets, through HTTP: counted from punches, adjusted, approved, exported."""

import asyncio
import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pypdf import PdfReader

from db.core.connect import connect
from db.core.tenant import act_for
from db.punches.record import record
from db.punches.rows import NewPunch
from operations.hours.timesheet_states import MOVES, STATES, TIMESHEETS, VERBS
from telemetry.ids import format_id
from telemetry.times import to_us
from tests.api.punching import Worker, by_hand, employee, user_of, worker
from tests.api.running import Answer, Client, Organization, RunningApi

ZURICH = ZoneInfo("Europe/Zurich")
HOUR_S = 3600


@pytest.fixture
async def org(api: RunningApi) -> Organization:
    """An organization of one test's own, in Zurich."""
    made = api.organization("Quarries")
    answer = await made.admin.patch("/v1/organization", {"timezone": "Europe/Zurich"})
    assert answer.status == 200, answer.json
    return made


@pytest.fixture
async def anna(api: RunningApi, org: Organization) -> Worker:
    """The technician."""
    return await worker(api, org, external_id="E-204")


def zurich(day: int, hour: int = 0, minute: int = 0, *, month: int = 3, fold: int = 0) -> datetime:
    """Return a local time of 2026. 2 March is a Monday."""
    return datetime(2026, month, day, hour, minute, tzinfo=ZURICH, fold=fold)


async def enter(org: Organization, who: Worker, *punches: tuple[str, datetime]) -> list[str]:
    """Enter punches by hand, and return their ids."""
    ids: list[str] = []
    for kind, at in punches:
        answer = await by_hand(org, who.id, kind=kind, time=at.astimezone(UTC).isoformat())
        assert answer.status == 201, answer.json
        ids.append(answer.json["id"])
    return ids


async def punched(api: RunningApi, org: Organization, who: Worker, *punches: Any) -> list[str]:
    """Record punches that were received when they were made, and return their ids."""
    new = [
        NewPunch(org.org_id, who.employee_id, kind, to_us(at), to_us(at)) for kind, at in punches
    ]
    async with await connect(api.database.url("opsc_app"), "test") as conn, conn.transaction():
        await act_for(conn, org.org_id)
        return [format_id("pun", one.id) for one in await record(conn, new)]


def day_of_work(day: int, **more: Any) -> list[tuple[str, datetime]]:
    """Return punches of eight hours with a break of one."""
    return [
        ("in", zurich(day, 7, **more)),
        ("break_start", zurich(day, 12, **more)),
        ("break_end", zurich(day, 13, **more)),
        ("out", zurich(day, 16, **more)),
    ]


async def sheets(org: Organization, who: Worker, **filters: Any) -> list[dict[str, Any]]:
    """Return the timesheets of an employee, by first day."""
    rows = await org.viewer.walk("/v1/timesheets", employee_id=who.id, **filters)
    return sorted(rows, key=lambda row: row["first_day"])


async def sheet(org: Organization, who: Worker) -> dict[str, Any]:
    """Return the only timesheet of an employee, with everything on it."""
    (row,) = await sheets(org, who)
    return await read(org, row["id"])


async def read(org: Organization, timesheet_id: str) -> dict[str, Any]:
    answer = await org.viewer.get(f"/v1/timesheets/{timesheet_id}")
    assert answer.status == 200, answer.json
    return answer.json


async def say(caller: Client, timesheet_id: str, *verbs: str) -> Answer:
    """Say verbs of a timesheet; all but the last must be good. Return the last answer."""
    answer = None
    for verb in verbs:
        assert answer is None or answer.status == 200, answer.json
        answer = await caller.post(f"/v1/timesheets/{timesheet_id}/{verb}", None)
    assert answer is not None
    return answer


async def adjust(org: Organization, timesheet_id: str, **body: Any) -> Answer:
    whole = {"day": "2026-03-02", "seconds": 900, "reason": "Loading before the shift."} | body
    return await org.dispatcher.post(f"/v1/timesheets/{timesheet_id}/adjustments", whole)


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
    assert first["days"] == [{"day": "2026-03-02", "worked_s": 8 * HOUR_S}]
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
    rows = await org.viewer.walk("/v1/shifts", employee_id=anna.id, limit=2)
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
        answer = await org.viewer.get("/v1/shifts", employee_id=anna.id, **filters)
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
    (shift,) = (await org.viewer.get("/v1/shifts", employee_id=anna.id)).json["data"]
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


# Moves --------------------------------------------------------------------------------------------

WAYS: dict[str, tuple[str, ...]] = {
    "open": (),
    "submitted": ("submit",),
    "rejected": ("submit", "reject"),
    "approved": ("submit", "approve"),
    "locked": ("submit", "approve", "lock"),
}


@pytest.mark.parametrize("state", STATES)
async def test_moves_are_those_of_the_table_by_verb_and_by_status(
    api: RunningApi, org: Organization, state: str
) -> None:
    for verb in VERBS:
        who = Worker(await employee(org), org.admin)
        await enter(org, who, *day_of_work(2))
        path = f"/v1/timesheets/{(await sheet(org, who))['id']}"
        for step in WAYS[state]:
            assert (await org.admin.post(f"{path}/{step}", None)).status == 200
        then = next((m.then for m in MOVES if (m.state, m.verb) == (state, verb)), None)
        answer = await org.admin.post(f"{path}/{verb}", None)
        if then is None:
            assert (answer.status, answer.json["code"]) == (409, "illegal_move")
            assert answer.json["legal_verbs"] == list(TIMESHEETS.legal_verbs(state))  # type: ignore[arg-type]
        else:
            assert (answer.status, answer.json["approval_status"]) == (200, then)
            assert (await org.viewer.get(path)).json == answer.json
    for wanted in STATES:
        who = Worker(await employee(org), org.admin)
        await enter(org, who, *day_of_work(2))
        path = f"/v1/timesheets/{(await sheet(org, who))['id']}"
        for step in WAYS[state]:
            assert (await org.admin.post(f"{path}/{step}", None)).status == 200
        answer = await org.admin.patch(path, {"approval_status": wanted})
        leads = wanted == state or any((m.state, m.then) == (state, wanted) for m in MOVES)
        assert answer.status == (200 if leads else 409), answer.json
        if not leads:
            assert answer.json["legal_verbs"] == list(TIMESHEETS.legal_verbs(state))  # type: ignore[arg-type]


async def test_who_did_what_is_kept_and_written_down(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    assert (await say(anna.client, timesheet_id, "submit")).status == 200
    assert (await say(org.dispatcher, timesheet_id, "approve")).status == 200
    found = (await say(org.admin, timesheet_id, "lock")).json
    roles = ("technician", "dispatcher", "admin")
    fields = ("submitted_by", "decided_by", "locked_by")
    assert [found[name] for name in fields] == [user_of(api, org, role) for role in roles]
    events = await org.admin.get("/v1/audit-events", resource_id=timesheet_id)
    said = [event["changes"]["state"]["new"] for event in events.json["data"]]
    assert said == ["locked", "approved", "submitted"]
    reopened = (await say(org.admin, timesheet_id, "reopen")).json
    assert [reopened[name] for name in fields] == [None] * 3


async def test_nobody_approves_their_own_hours(api: RunningApi, org: Organization) -> None:
    for role in ("dispatcher", "admin"):
        who = await worker(api, org, role)
        await enter(org, Worker(who.id, org.admin), *day_of_work(2))
        timesheet_id = (await sheet(org, who))["id"]
        answer = await say(who.client, timesheet_id, "submit", "approve")
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        other = org.admin if role == "dispatcher" else org.dispatcher
        path = f"/v1/timesheets/{timesheet_id}"
        answer = await who.client.patch(path, {"approval_status": "approved"})
        assert answer.status == 403
        assert (await say(other, timesheet_id, "approve")).status == 200


async def test_a_period_that_lasts_is_neither_submitted_nor_approved(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, ("in", datetime.now(UTC) - timedelta(minutes=5)))
    timesheet_id = (await sheets(org, anna))[-1]["id"]
    answer = await say(org.dispatcher, timesheet_id, "submit")
    assert (answer.status, answer.json["code"]) == (409, "period_not_over")


async def test_a_policy_blocks_the_approval_until_all_is_reviewed(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    ids = await punched(api, org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    await org.admin.patch("/v1/organization", {"punch_policy": "block"})
    answer = await say(org.dispatcher, timesheet_id, "submit", "approve")
    assert (answer.status, answer.json["code"]) == (409, "approval_blocked")
    assert set(answer.json["punch_ids"]) == set(ids)
    for number, punch_id in enumerate(ids):
        await org.dispatcher.post(f"/v1/punches/{punch_id}/review", {"decision": "accept"})
        answer = await say(org.dispatcher, timesheet_id, "approve")
        assert answer.status == (200 if number == 3 else 409), number


async def test_of_two_who_approve_at_once_one_does(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    await say(org.dispatcher, timesheet_id, "submit")
    answers = await asyncio.gather(
        *(say(caller, timesheet_id, "approve") for caller in (org.admin, org.dispatcher) * 3)
    )
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5
    assert len(approvals(api, org)) == 1


async def test_a_change_to_what_the_client_has_not_seen_is_refused(
    org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    path = f"/v1/timesheets/{(await sheet(org, anna))['id']}"
    tag = (await org.admin.get(path)).headers["ETag"]
    await adjust(org, path.rpartition("/")[2])
    for method, under in (("POST", "/submit"), ("PATCH", "")):
        body = {"json": {"approval_status": "submitted"}} if method == "PATCH" else {}
        answer = await org.admin.send(method, path + under, {"If-Match": tag}, **body)
        assert answer.status == 412
    tag = (await org.admin.get(path)).headers["ETag"]
    assert (await org.admin.send("POST", path + "/submit", {"If-Match": tag})).status == 200


def approvals(api: RunningApi, org: Organization) -> list[dict[str, Any]]:
    """Return the data of the events of approvals."""
    statement = "SELECT data FROM events WHERE org_id = %s AND type = 'timesheet.approved'"
    return [data for (data,) in api.sql(statement + " ORDER BY position", org.org_id)]


# What is approved ---------------------------------------------------------------------------------


async def test_an_approved_timesheet_keeps_its_figures_and_says_that_they_would_change(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    await enter(org, anna, *day_of_work(2))
    timesheet_id = (await sheet(org, anna))["id"]
    approved = (await say(org.dispatcher, timesheet_id, "submit", "approve")).json
    assert approved["changed_since_approval"] is False
    (data,) = approvals(api, org)
    assert data["timesheet_id"] == timesheet_id
    assert (data["worked_s"], data["regular_s"]) == (8 * HOUR_S, 8 * HOUR_S)
    assert data["approved_by"] == user_of(api, org, "dispatcher")

    await org.admin.patch("/v1/organization", {"timesheet_rules": {"shortest_break_s": 7200}})
    assert (await read(org, timesheet_id))["changed_since_approval"] is False  # rules of then
    (late,) = await enter(org, anna, ("out", zurich(2, 15)))
    found = await read(org, timesheet_id)
    assert found["changed_since_approval"] is True
    assert {name: found[name] for name in ("worked_s", "days", "shifts")} == {
        name: approved[name] for name in ("worked_s", "days", "shifts")
    }
    assert late in [punch["id"] for punch in found["punches"]]
    (listed,) = await sheets(org, anna)
    assert (listed["worked_s"], listed["approval_status"]) == (8 * HOUR_S, "approved")
    await org.dispatcher.post(f"/v1/punches/{late}/review", {"decision": "reject"})
    assert (await read(org, timesheet_id))["changed_since_approval"] is False

    reopened = (await say(org.dispatcher, timesheet_id, "reopen")).json
    assert (reopened["worked_s"], reopened["changed_since_approval"]) == (9 * HOUR_S, None)
    (listed,) = await sheets(org, anna)
    assert listed["worked_s"] is None


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


# Files --------------------------------------------------------------------------------------------


async def export(org: Organization, timesheet_id: str, form: str, **query: str) -> Answer:
    headers = {"Accept": form}
    return await org.viewer.get(f"/v1/timesheets/{timesheet_id}", headers, **query)


async def rows_of_csv(org: Organization, timesheet_id: str) -> list[dict[str, str]]:
    answer = await export(org, timesheet_id, "text/csv")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8; header=present"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


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


async def test_a_list_is_exported_as_csv_page_by_page(org: Organization, anna: Worker) -> None:
    await enter(org, anna, *day_of_work(2), *day_of_work(9))
    names: list[str] = []
    path: str | None = "/v1/timesheets?limit=1"
    while path is not None:
        answer = await org.viewer.get(path, {"Accept": "text/csv"})
        (row,) = csv.DictReader(io.StringIO(answer.content.decode()))
        names.append(row["first_day"])
        link = answer.headers.get("Link")
        path = None if link is None else link.partition(">")[0].removeprefix("<")
    assert names == ["2026-03-09", "2026-03-02"]
    answer = await org.viewer.get("/v1/timesheets", {"Accept": "text/csv"}, employee_id=anna.id)
    assert len(answer.content.decode().splitlines()) == 3
