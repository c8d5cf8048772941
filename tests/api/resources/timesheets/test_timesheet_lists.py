"""Timesheets of many employees, through HTTP: their hours in a list, and verbs said to several."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from tests.api.problems import is_problem
from tests.api.punching import Worker, employee, worker
from tests.api.resources.timekeeping import (
    HOUR_S,
    adjust,
    day_of_work,
    enter,
    punched,
    read,
    say,
    sheet,
    sheets,
    zurich,
)
from tests.api.running import Client, Organization, RunningApi

NOTHING = "tms_" + "0" * 26


async def _somebody(org: Organization, *punches: Any) -> str:
    """Return the id of the timesheet of another employee, with a day of work unless punches say
    otherwise.
    """
    who = Worker(await employee(org), org.admin)
    await enter(org, who, *(punches or day_of_work(2)))
    return (await sheet(org, who))["id"]


async def _all(caller: Client, verb: str, *timesheet_ids: str) -> list[dict[str, Any]]:
    body = {"timesheet_ids": list(timesheet_ids)}
    answer = await caller.post(f"/v1/timesheets/{verb}", body)
    assert answer.status == 200, answer.json
    results: list[dict[str, Any]] = answer.json["data"]
    assert [each["timesheet_id"] for each in results] == list(timesheet_ids)
    return results


# Hours in a list ----------------------------------------------------------------------------------


async def test_a_list_counts_the_hours_of_what_is_not_approved(
    org: Organization, anna: Worker
) -> None:
    """Several weeks of one employee, of several employees, with adjustments, and one approved."""
    await org.admin.patch(
        "/v1/organization", {"timesheet_rules": {"overtime_preset": "us_california"}}
    )
    weeks = (2, 9, 16)
    for day in weeks:
        await enter(org, anna, ("in", zurich(day, 6)), ("out", zurich(day, 16)))
    ids = [each["id"] for each in await sheets(org, anna)]
    await _somebody(org)
    assert (await adjust(org, ids[1], day="2026-03-09", seconds=-900)).status == 201
    assert (await say(org.dispatcher, ids[2], "submit", "approve")).status == 200
    plain = (await org.dispatcher.get("/v1/timesheets")).json["data"]
    assert [each["worked_s"] for each in plain].count(None) == 3
    listed = (await org.dispatcher.get("/v1/timesheets", include="hours")).json["data"]
    assert len(listed) == 4
    for each in listed:
        whole = await read(org, each["id"])
        assert each == {name: whole[name] for name in each}
    assert {each["worked_s"] for each in listed} == {10 * HOUR_S, 8 * HOUR_S}
    first = next(each for each in listed if each["id"] == ids[0])
    assert (first["regular_s"], first["overtime_s"]) == (8 * HOUR_S, 2 * HOUR_S)


async def test_hours_are_in_the_csv_of_a_list_and_on_each_of_its_pages(
    org: Organization, anna: Worker
) -> None:
    for day in (2, 9):
        await enter(org, anna, *day_of_work(day))
    wanted = {"include": "hours", "fields": "id,worked_s"}
    answer = await org.dispatcher.get("/v1/timesheets", {"Accept": "text/csv"}, **wanted)
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["worked_s"] for row in rows] == [str(8 * HOUR_S)] * 2
    pages = await org.dispatcher.walk("/v1/timesheets", include="hours", limit=1)
    assert [page["worked_s"] for page in pages] == [8 * HOUR_S] * 2
    assert (await org.dispatcher.get("/v1/timesheets", include="hours", limit=100)).status == 200
    for refused in ({"include": "hours", "limit": 101}, {"include": "days"}):
        answer = await org.dispatcher.get("/v1/timesheets", **refused)
        assert is_problem(answer, 400, "invalid_parameter")


async def test_a_list_counts_no_timesheet_with_very_many_punches(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    """A thousand are counted; the timesheet itself counts more."""
    times = [zurich(2 + day, 6) + timedelta(minutes=n) for day in range(5) for n in range(250)]
    made = [(("in", "out")[number % 2], at) for number, at in enumerate(times[:1_001])]
    await punched(api, org, anna, *made[:1_000])
    (row,) = (await org.dispatcher.get("/v1/timesheets", include="hours")).json["data"]
    assert row["worked_s"] == 500 * 60
    await punched(api, org, anna, made[1_000])
    (row,) = (await org.dispatcher.get("/v1/timesheets", include="hours")).json["data"]
    assert row["worked_s"] is None
    assert (await read(org, row["id"]))["worked_s"] >= 500 * 60


# Verbs of many ------------------------------------------------------------------------------------


async def test_each_of_many_has_its_own_result(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    good = [await _somebody(org) for _ in range(2)]
    lasting = await _somebody(org, ("in", zurich(2, 7)))
    submitted = await _all(org.dispatcher, "submit", *good, NOTHING, lasting)
    assert [each["approval_status"] for each in submitted] == [
        "submitted",
        "submitted",
        None,
        "submitted",
    ]
    assert (submitted[2]["error"]["status"], submitted[2]["error"]["code"]) == (404, "not_found")
    await org.admin.patch("/v1/organization", {"punch_policy": "block"})
    (approved, blocked, again) = await _all(org.dispatcher, "approve", good[0], lasting, NOTHING)
    assert (approved["approval_status"], approved["error"]) == ("approved", None)
    assert (blocked["error"]["status"], blocked["error"]["code"]) == (409, "approval_blocked")
    assert len(blocked["error"]["punch_ids"]) == 1
    assert again["error"]["code"] == "not_found"
    (twice,) = await _all(org.dispatcher, "approve", good[0])
    assert (twice["error"]["status"], twice["error"]["code"]) == (409, "illegal_move")
    kept = await read(org, good[0])
    assert (kept["approval_status"], kept["worked_s"]) == ("approved", 8 * HOUR_S)
    told = api.sql(
        "SELECT data ->> 'timesheet_id' FROM events WHERE org_id = %s"
        " AND type = 'timesheet.approved'",
        org.org_id,
    )
    assert told == [(good[0],)]


async def test_a_timesheet_with_more_punches_than_are_counted_is_a_409_alone_and_among_many(
    org: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await _somebody(org)
    monkeypatch.setattr("api.resources.timesheets.counting.MAX_PUNCHES", 1)
    answer = await org.admin.get(f"/v1/timesheets/{found}")
    assert is_problem(answer, 409, "timesheet_too_large")
    (result,) = await _all(org.dispatcher, "submit", found)
    assert (result["error"]["status"], result["error"]["code"]) == (409, "timesheet_too_large")


async def test_many_are_moved_by_whoever_may_move_each(
    api: RunningApi, org: Organization, anna: Worker
) -> None:
    lead = await worker(api, org, "dispatcher")
    for who in (anna, lead):
        await enter(org, Worker(who.id, org.admin), *day_of_work(2))
    own, leads = (await sheet(org, anna))["id"], (await sheet(org, lead))["id"]
    mine, other = await _all(anna.client, "submit", own, leads)
    assert (mine["approval_status"], other["approval_status"]) == ("submitted", None)
    assert (other["error"]["status"], other["error"]["code"]) == (403, "forbidden")
    assert (await say(org.admin, leads, "submit")).status == 200
    good, bad = await _all(lead.client, "approve", own, leads)
    assert (good["approval_status"], bad["error"]["code"]) == ("approved", "forbidden")
    body = {"timesheet_ids": [leads]}
    for caller in (org.viewer, anna.client):
        assert (await caller.post("/v1/timesheets/approve", body)).status == 403
    assert (await org.viewer.post("/v1/timesheets/submit", body)).status == 403


async def test_what_was_done_with_a_key_is_answered_again_and_not_done_twice(
    org: Organization,
) -> None:
    good = await _somebody(org)
    body, headers = {"timesheet_ids": [good, NOTHING]}, {"Idempotency-Key": "once"}
    answers = [
        await org.dispatcher.send("POST", "/v1/timesheets/submit", headers, json=body)
        for _ in range(2)
    ]
    assert answers[0].json == answers[1].json
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[1].json["data"][0]["approval_status"] == "submitted"
    other = {"timesheet_ids": [NOTHING] * 2 + [good]}
    mismatch = await org.dispatcher.send("POST", "/v1/timesheets/submit", headers, json=other)
    assert is_problem(mismatch, 422, "idempotency_mismatch")
    for refused in ([], [good] * 101, ["wo_" + "0" * 26]):
        answer = await org.dispatcher.post("/v1/timesheets/submit", {"timesheet_ids": refused})
        assert is_problem(answer, 422, "invalid_body")
