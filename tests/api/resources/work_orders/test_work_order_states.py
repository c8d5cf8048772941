"""States of work orders, through HTTP: the table of moves, and what each move needs."""

import asyncio
import base64
from typing import Any

import pytest
from PIL import Image

from db.core.ids import new_id
from operations.work_orders.states import MOVES, STATES, VERBS, WORK_ORDERS
from telemetry.ids import format_id
from tests.api.photos.pictures import bomb, saved
from tests.api.problems import is_problem
from tests.api.punching import employee
from tests.api.resources.dispatching import (
    BODIES,
    in_state,
    made_order,
    order_events,
    say,
)
from tests.api.running import Organization, RunningApi


@pytest.mark.parametrize("state", STATES)
async def test_every_verb_leads_on_or_is_a_409_with_the_legal_ones(
    org: Organization, state: str
) -> None:
    legal = {each.verb: each.then for each in MOVES if each.state == state}
    for verb in VERBS:
        order = await in_state(org, state)
        given = {"assignee_ids": [await employee(org)]} if verb == "assign" else None
        answer = await say(org, order, verb, given)
        if verb in legal:
            assert (answer.status, answer.json["status"]) == (200, legal[verb])
            continue
        assert is_problem(answer, 409, "illegal_move")
        assert answer.json["legal_verbs"] == list(legal)


@pytest.mark.parametrize("state", STATES)
async def test_a_status_that_is_set_obeys_the_same_table(org: Organization, state: str) -> None:
    verbs = {each.then: each.verb for each in MOVES if each.state == state}
    for then in STATES:
        order = await in_state(org, state)
        verb = verbs.get(then)
        needs = BODIES.get(verb or "", {})
        body = {"sign_off": needs} if verb == "complete" else needs
        if verb == "assign":
            body = {"assignee_ids": [await employee(org)]}
        path = f"/v1/work-orders/{order['id']}"
        answer = await org.dispatcher.patch(path, {"status": then, **body})
        if then == state:
            assert answer.status in (200, 422)
        elif verb is None:
            assert is_problem(answer, 409, "illegal_move")
            assert answer.json["legal_verbs"] == list(WORK_ORDERS.legal_verbs(state))
        else:
            assert (answer.status, answer.json["status"]) == (200, then)


@pytest.mark.parametrize(("verb", "state"), [("hold", "started"), ("cancel", "created")])
async def test_what_needs_a_reason_says_so(org: Organization, verb: str, state: str) -> None:
    order = await in_state(org, state)
    then = WORK_ORDERS.move(order["status"], verb)
    path = f"/v1/work-orders/{order['id']}"
    for answer in (
        await org.dispatcher.post(f"{path}/{verb}", {}),
        await org.dispatcher.patch(path, {"status": then}),
    ):
        assert is_problem(answer, 422, "invalid_body")
        assert [fault["pointer"] for fault in answer.json["errors"]] == ["/reason"]
    unasked = await org.dispatcher.patch(path, {"reason": "x"})
    assert is_problem(unasked, 422, "invalid_body")


async def test_a_change_of_status_says_where_the_user_is(org: Organization) -> None:
    order = await in_state(org, "assigned")
    path = f"/v1/work-orders/{order['id']}"
    here = {"lat": 47.4, "lon": 8.5}
    for body, pointer in (
        ({"status": "started", "lat": 47.4}, "/lon"),
        (here, "/lat"),
        ({"status": "started", **here, "lat": 91}, "/lat"),
    ):
        refused = await org.dispatcher.patch(path, body)
        assert is_problem(refused, 422, "invalid_body")
        assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]
    assert (await org.dispatcher.patch(path, {"status": "started", **here})).status == 200
    moves = (await org.viewer.get(f"{path}/transitions", limit=1)).json["data"]
    assert [(move["status"], move["lat"], move["lon"]) for move in moves] == [
        ("started", 47.4, 8.5)
    ]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("completed", {"sign_off": {"signer_name": "Eva Roth"}}),
        ("on_hold", {"reason": "It rains."}),
        ("started", {"lat": 47.0, "lon": 8.0}),
    ],
)
async def test_the_present_status_is_not_said_again(
    org: Organization, state: str, said: dict[str, Any]
) -> None:
    order = await in_state(org, state)
    path = f"/v1/work-orders/{order['id']}"
    before = (await org.viewer.get(f"{path}/transitions")).json
    refused = await org.dispatcher.patch(path, {"status": state} | said)
    assert is_problem(refused, 409, "illegal_move")
    assert refused.json["legal_verbs"] == list(WORK_ORDERS.legal_verbs(state))
    assert (await org.viewer.get(path)).json == order
    same = await org.dispatcher.patch(path, {"status": state} | dict.fromkeys(said))
    assert (same.status, same.json) == (200, order)
    assert (await org.viewer.get(f"{path}/transitions")).json == before


async def test_a_completion_is_signed(org: Organization) -> None:
    order = await in_state(org, "started")
    path = f"/v1/work-orders/{order['id']}"
    missing = await org.dispatcher.patch(path, {"status": "completed"})
    assert [fault["pointer"] for fault in missing.json["errors"]] == ["/sign_off"]
    document = (await org.viewer.get("/openapi.json")).json
    png = document["components"]["schemas"]["Completion"]["properties"]["signature"]
    (png,) = png["anyOf"][0]["examples"]
    blank = base64.b64encode(saved(Image.new("RGBA", (600, 160)), "PNG")).decode()
    spoilt = base64.b64encode(bomb(1_999, 1_999)).decode()
    for drawing in ("aGVsbG8=", blank, spoilt):
        bad = {"signer_name": "Peter Frei", "signature": drawing}
        for refused, pointer in (
            (await say(org, order, "complete", bad), "/signature"),
            (
                await org.dispatcher.patch(path, {"status": "completed", "sign_off": bad}),
                "/sign_off/signature",
            ),
        ):
            assert is_problem(refused, 422, "invalid_body")
            assert [fault["pointer"] for fault in refused.json["errors"]] == [pointer]
    lost = {"signer_name": "Peter Frei"}
    lost |= {"signature_attachment_id": format_id("att", new_id())}
    assert is_problem(await say(org, order, "complete", lost), 404, "not_found")
    late = {"signer_name": "Peter Frei", "signed_at": "2099-01-01T00:00:00Z"}
    assert (await say(org, order, "complete", late)).status == 422
    for at in ("0001-01-01T00:00:00Z", "1999-12-31T00:00:00Z"):
        assert (await say(org, order, "complete", late | {"signed_at": at})).status == 422
    half = {"signer_name": "Peter Frei", "lat": 47.0}
    assert (await say(org, order, "complete", half)).status == 422
    body = {"signer_name": "Peter Frei", "signature": png, "lat": 47.0, "lon": 8.5}
    done = await say(org, order, "complete", body)
    assert (done.status, done.json["status"]) == (200, "completed")
    assert done.json["ended_at"] is not None
    rows = (await org.dispatcher.get(f"{path}/transitions")).json["data"]
    assert [row["verb"] for row in rows] == ["complete", "start", "assign", "create"]
    assert [row["from_status"] for row in rows] == ["started", "assigned", "created", None]
    signed = rows[0]
    assert (signed["signer_name"], signed["signature"]) == ("Peter Frei", png)
    assert (signed["lat"], signed["lon"]) == (47.0, 8.5)
    assert signed["signed_at"] == signed["created_at"]


async def test_an_order_in_somebodys_hands_keeps_an_assignee(org: Organization) -> None:
    nobodys = await made_order(org)
    answer = await say(org, nobodys, "assign")
    assert is_problem(answer, 422, "invalid_body")
    other = await employee(org)
    assigned = await say(org, nobodys, "assign", {"assignee_ids": [other, other]})
    assert assigned.json["assignee_ids"] == [other]
    path = f"/v1/work-orders/{nobodys['id']}"
    assert (await org.dispatcher.patch(path, {"assignee_ids": []})).status == 422
    third = await employee(org)
    again = await say(org, nobodys, "assign", {"assignee_ids": [third]})
    assert (again.json["status"], again.json["assignee_ids"]) == ("assigned", [third])


async def test_what_is_closed_changes_no_more_until_it_is_reopened(org: Organization) -> None:
    order = await in_state(org, "closed")
    path = f"/v1/work-orders/{order['id']}"
    refused = await org.dispatcher.patch(path, {"title": "Other"})
    assert is_problem(refused, 409, "illegal_move")
    assert refused.json["legal_verbs"] == ["reopen"]
    reopened = (await say(org, order, "reopen")).json
    assert (reopened["status"], reopened["ended_at"]) == ("assigned", None)
    assert reopened["started_at"] == order["started_at"]
    assert (await org.dispatcher.patch(path, {"title": "Other"})).status == 200


async def test_one_of_many_who_start_at_once_does(org: Organization) -> None:
    order = await in_state(org, "assigned")
    answers = await asyncio.gather(*(say(org, order, "start") for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5


async def test_an_event_is_written_down_after_it_occurred(api: RunningApi) -> None:
    org = api.organization("Written down")
    await in_state(org, "completed")
    early = api.sql(
        "SELECT type FROM events WHERE org_id = %s AND created_at < occurred_at", org.org_id
    )
    assert (len(order_events(api, org)), early) == (4, [])
