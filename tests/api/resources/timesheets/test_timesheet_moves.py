"""States of timesheets, through HTTP: submitted, approved, locked and reopened."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from operations.hours.timesheet_states import MOVES, STATES, TIMESHEETS, VERBS
from tests.api.punching import Worker, employee, user_of, worker
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
from tests.api.running import Organization, RunningApi

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
            assert answer.json["legal_verbs"] == list(TIMESHEETS.legal_verbs(state))
        else:
            assert (answer.status, answer.json["approval_status"]) == (200, then)
            assert (await org.dispatcher.get(path)).json == answer.json
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
            assert answer.json["legal_verbs"] == list(TIMESHEETS.legal_verbs(state))


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
    await enter(org, anna, ("in", datetime.now(UTC)))  # earlier may be the period before
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
