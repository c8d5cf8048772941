"""Two sessions at the same time: verbs of one thing do what they would do one after the other, and
nothing is deleted while something else is given it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from itertools import combinations_with_replacement
from typing import Any

import pytest

from db.core.ids import new_id
from operations.hours.timesheet_states import MOVES as TIMESHEET_MOVES
from operations.hours.timesheet_states import TIMESHEETS
from operations.hours.timesheet_states import VERBS as TIMESHEET_VERBS
from operations.quotes.states import QUOTES
from operations.states import IllegalMoveError, StateTable
from operations.work_orders.states import STATES, VERBS, WORK_ORDERS
from telemetry.ids import format_id, parse_id
from tests.api.mailbox import Mailbox
from tests.api.punching import employee
from tests.api.resources.dispatching import BODIES, in_state, made_order
from tests.api.resources.inspecting import fill_in, template
from tests.api.resources.quoting import CONSENT, done, form, read, sent
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stocked import move, stocked
from tests.db.proving import put

TIMES = 4  # that two race for one thing
WAYS_OF_SHEETS = {"open": (), "submitted": ("submit",), "rejected": ("submit", "reject")}
WAYS_OF_SHEETS |= {"approved": ("submit", "approve"), "locked": ("submit", "approve", "lock")}
Outcome = tuple[bool, bool, str]


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    """The organization of this module."""
    return api.organization("Two at once")


def _pairs(
    table: StateTable[Any, Any], state: str, verbs: tuple[str, ...]
) -> list[tuple[str, str]]:
    """Return the pairs of verbs of which one at least is legal."""
    legal = set(table.legal_verbs(state))
    return [pair for pair in combinations_with_replacement(verbs, 2) if legal & set(pair)]


def _in_turn(
    table: StateTable[Any, Any], state: str, first: str, second: str, *, is_assigned: bool = False
) -> Outcome:
    """Return whether each verb is done, one after the other, and the state then."""
    done: list[bool] = []
    for verb in (first, second):
        try:
            state = table.move(state, verb)
        except IllegalMoveError:
            done.append(False)
            continue
        is_assigned |= verb == "assign"
        state = "assigned" if state == "created" and is_assigned else state
        done.append(True)
    return done[0], done[1], state


def _either(
    table: StateTable[Any, Any], state: str, first: str, second: str, *, is_assigned: bool = False
) -> set[Outcome]:
    """Return the outcomes of two verbs in one order and in the other."""
    later = _in_turn(table, state, second, first, is_assigned=is_assigned)
    return {
        _in_turn(table, state, first, second, is_assigned=is_assigned),
        (later[1], later[0], later[2]),
    }


async def _both(one: Awaitable[Answer], other: Awaitable[Answer], good: int) -> tuple[bool, bool]:
    answers = await asyncio.gather(one, other)
    assert {answer.status for answer in answers} <= {good, 409}, [each.json for each in answers]
    return answers[0].status == good, answers[1].status == good


# Verbs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
async def test_two_verbs_of_a_work_order(org: Organization, state: str) -> None:
    employee_id = await employee(org)
    bodies = BODIES | {"assign": {"assignee_ids": [employee_id]}}
    for pair in _pairs(WORK_ORDERS, state, VERBS):
        order = await in_state(org, state)
        path = f"/v1/work-orders/{order['id']}"
        one, other = (
            client.post(f"{path}/{verb}", bodies.get(verb))
            for client, verb in zip((org.dispatcher, org.admin), pair, strict=True)
        )
        both = await _both(one, other, 200)
        found = (await org.viewer.get(path)).json
        is_assigned = bool(order["assignee_ids"])
        assert (*both, found["status"]) in _either(
            WORK_ORDERS, state, *pair, is_assigned=is_assigned
        ), pair


async def _timesheet(
    api: RunningApi, org: Organization, employee_id: str, number: int, state: str
) -> str:
    """Return the path of a timesheet of a week of its own, in a state."""
    sheet_id, first_day = new_id(), date(2020, 1, 6) + timedelta(weeks=number)
    put(
        api.database,
        (
            "INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day)"
            " VALUES (%s, %s, %s, %s, %s)",
            (
                org.org_id,
                sheet_id,
                parse_id("emp", employee_id),
                first_day,
                first_day + timedelta(days=6),
            ),
        ),
    )
    path = f"/v1/timesheets/{format_id('tms', sheet_id)}"
    for verb in WAYS_OF_SHEETS[state]:
        assert (await org.admin.post(f"{path}/{verb}", None)).status == 200
    return path


async def test_two_verbs_of_a_timesheet(api: RunningApi, org: Organization) -> None:
    employee_id, number = await employee(org), 0
    for state in WAYS_OF_SHEETS:
        for pair in _pairs(TIMESHEETS, state, TIMESHEET_VERBS):
            path = await _timesheet(api, org, employee_id, number, state)
            number += 1
            one, other = (org.admin.post(f"{path}/{verb}", None) for verb in pair)
            both = await _both(one, other, 200)
            found = (await org.admin.get(path)).json["approval_status"]
            assert (*both, found) in _either(TIMESHEETS, state, *pair), (state, pair)
    assert {each.state for each in TIMESHEET_MOVES} == set(WAYS_OF_SHEETS)


_QUOTE_BODIES: dict[str, Any] = {
    "accept": {"name": "Ann Lee", "reason": "By telephone."},
    "decline": {"name": "Ann Lee"},
    "expire": None,
}


@pytest.mark.parametrize("state", ["sent", "viewed"])
async def test_two_answers_to_a_quote(
    api: RunningApi, org: Organization, mailbox: Mailbox, state: str
) -> None:
    for pair in combinations_with_replacement(_QUOTE_BODIES, 2):
        quote, path = await sent(org, mailbox)
        if state == "viewed":
            assert (await api.anonymous.get(path)).status == 200
        one, other = (done(org, quote, verb, _QUOTE_BODIES[verb]) for verb in pair)
        both = await _both(one, other, 200)
        found = (await read(org, quote))["status"]
        assert (*both, found) in _either(QUOTES, state, *pair), pair


@pytest.mark.about("quotes")
async def test_a_customer_accepts_what_the_office_declines(
    api: RunningApi, org: Organization, mailbox: Mailbox
) -> None:
    for _ in range(TIMES):
        quote, path = await sent(org, mailbox)
        answers = await asyncio.gather(
            form(api, f"{path}/accept", **CONSENT),
            done(org, quote, "decline", _QUOTE_BODIES["decline"]),
        )
        found = await read(org, quote)
        is_declined = answers[1].status == 200
        assert found["status"] == ("declined" if is_declined else "accepted")
        kinds = [each["kind"] for each in found["evidence"]]
        assert ("accepted" in kinds) != ("declined" in kinds)


async def test_two_submit_a_form_or_correct_it(org: Organization) -> None:
    template_id = await template(org)
    for _ in range(TIMES):
        draft = (await fill_in(org.admin, template_id, status="draft")).json
        path = f"/v1/inspection-forms/{draft['id']}/submit"
        both = await _both(org.admin.post(path, None), org.dispatcher.post(path, None), 200)
        assert sorted(both) == [False, True]
        corrections = (
            fill_in(client, template_id, supersedes_id=draft["id"])
            for client in (org.admin, org.dispatcher)
        )
        assert sorted(await _both(*corrections, 201)) == [False, True]


# Things that are deleted --------------------------------------------------------------------------


async def _one_wins(
    org: Organization, path: str, use: Callable[[], Awaitable[Answer]], *, refused: tuple[int, ...]
) -> None:
    """Delete a thing while it is used: either is refused."""
    deleted, used = await asyncio.gather(org.admin.delete(path), use())
    assert (deleted.status, used.status) in {(204, status) for status in refused} | {
        (409, 200),
        (409, 201),
    }, (deleted.json, used.json)


_NAMED = {"clients": "client_id", "sites": "site_id", "employees": "assignee_ids"}


@pytest.mark.parametrize("kind", [*_NAMED, "assets"])
async def test_nothing_is_deleted_while_an_order_is_given_it(org: Organization, kind: str) -> None:
    for number in range(2 * TIMES):
        thing = (await org.admin.post(f"/v1/{kind}", {"name": "x"})).json["id"]
        field = _NAMED.get(kind, "asset_ids")
        given = {field: [thing] if field.endswith("s") else thing}
        order = await made_order(org)

        async def make(given: dict[str, Any] = given) -> Answer:
            return await org.dispatcher.post("/v1/work-orders", {"title": "x"} | given)

        async def change(order: dict[str, Any] = order, given: dict[str, Any] = given) -> Answer:
            return await org.dispatcher.patch(f"/v1/work-orders/{order['id']}", given)

        use = change if number % 2 else make
        await _one_wins(org, f"/v1/{kind}/{thing}", use, refused=(404, 422))


@pytest.mark.parametrize("kind", ["parts", "warehouses"])
async def test_nothing_is_deleted_while_stock_comes_in(org: Organization, kind: str) -> None:
    for _ in range(TIMES):
        ids = await stocked(org, quantity=0)

        async def receive(ids: dict[str, str] = ids) -> Answer:
            return await move(org.dispatcher, ids, "receive", 1)

        await _one_wins(org, f"/v1/{kind}/{ids[kind]}", receive, refused=(404, 422))


async def test_nothing_stays_reserved_for_an_order_that_is_cancelled(org: Organization) -> None:
    for _ in range(TIMES):
        ids, order = await stocked(org, quantity=5), await made_order(org)
        path = f"/v1/work-orders/{order['id']}"
        plan = {"part_id": ids["parts"], "warehouse_id": ids["warehouses"], "quantity": 2}
        planned, cancelled = await asyncio.gather(
            org.dispatcher.post(f"{path}/parts", plan),
            org.admin.post(f"{path}/cancel", BODIES["cancel"]),
        )
        assert (cancelled.status, planned.status in (201, 409)) == (200, True)
        level = (await org.viewer.get(f"/v1/inventory/{ids['inventory']}")).json
        assert level["reserved"] == 0


async def test_two_do_not_take_the_last_two_assignees_away(org: Organization) -> None:
    for _ in range(TIMES):
        two = [await employee(org), await employee(org)]
        order = await made_order(org, assignee_ids=two)
        path = f"/v1/work-orders/{order['id']}"
        await asyncio.gather(
            *(org.dispatcher.patch(path, {"assignee_ids": [each]}) for each in two),
            *(org.admin.delete(f"/v1/employees/{each}") for each in two),
        )
        found = (await org.viewer.get(path)).json
        assert (found["status"], len(found["assignee_ids"])) == ("assigned", 1)
