"""Assignments of work orders, through HTTP: whoever gets one is told of, however it was given."""

from typing import Any

import pytest

from db.core import leases
from db.core.connect import connect
from db.delivery import sequencer
from tests.api.mailbox import Mailbox
from tests.api.problems import is_problem
from tests.api.punching import employee, worker
from tests.api.resources.dispatching import made_order, moved, order_events, say
from tests.api.resources.inspecting import BAD, fill_in, template
from tests.api.resources.quotes.test_quote_conversion import accepted
from tests.api.resources.quoting import done
from tests.api.running import Organization, RunningApi
from tests.webhooks.world import numbered

BOTH = [("created", None, "created"), ("assigned", "assign", "assigned")]


def _told(api: RunningApi, org: Organization) -> list[tuple[str, str | None, str]]:
    """Return the types, verbs and statuses of the events of an organization's orders."""
    return [
        (type_.partition(".")[2], data["verb"], data["status"])
        for type_, data in order_events(api, org)
    ]


async def _verbs(org: Organization, order: dict[str, Any]) -> list[tuple[str, str | None, str]]:
    """Return the transitions of an order, the oldest first."""
    rows = (await org.viewer.get(f"/v1/work-orders/{order['id']}/transitions")).json["data"]
    return [(row["verb"], row["from_status"], row["status"]) for row in rows[::-1]]


async def test_an_order_made_with_an_assignee_is_assigned_and_can_be_started(
    api: RunningApi,
) -> None:
    org = api.organization("Given at once")
    anna = await worker(api, org)
    order = await made_order(org, assignee_ids=[anna.id])
    assert (order["status"], order["assignee_ids"]) == ("assigned", [anna.id])
    path = f"/v1/work-orders/{order['id']}"
    assert (await org.viewer.get(path)).json == order
    assert await _verbs(org, order) == [
        ("create", None, "created"),
        ("assign", "created", "assigned"),
    ]
    assert _told(api, org) == BOTH
    assert [data["number"] for _, data in order_events(api, org)] == [order["number"]] * 2
    started = await org.technician.post(f"{path}/start", None)
    assert (started.status, started.json["status"]) == (200, "started")


async def test_both_events_of_a_new_order_have_one_transaction_and_consecutive_seqs(
    api: RunningApi,
) -> None:
    org = api.organization("Numbered")
    who = await employee(org)
    for _ in range(3):
        await made_order(org, assignee_ids=[who])
    transactions = api.sql(
        "SELECT count(*) FROM events WHERE org_id = %s GROUP BY xmin::text", org.org_id
    )
    assert transactions == [(2,)] * 3
    async with await connect(api.database.url("opsc_deliver"), "test") as conn:
        epoch = await leases.acquire(conn, sequencer.LEASE, "test", 60)
        assert epoch is not None
        while (await numbered(conn, epoch, 100)).events:
            pass
    listed = (await org.admin.get("/v1/events", after=0)).json["data"]
    assert [event["type"].partition(".")[2] for event in listed] == ["created", "assigned"] * 3
    assert [event["seq"] for event in listed] == list(range(1, 7))
    numbers = [event["data"]["number"] for event in listed]
    assert numbers == [1, 1, 2, 2, 3, 3]


async def test_a_patch_that_names_somebody_assigns_a_created_order(api: RunningApi) -> None:
    org = api.organization("Patched")
    ben, eva = await employee(org), await employee(org)
    order = await made_order(org)
    path = f"/v1/work-orders/{order['id']}"
    answer = await org.dispatcher.patch(path, {"assignee_ids": [ben], "title": "Other"})
    assert (answer.status, answer.json["status"]) == (200, "assigned")
    assert (await _verbs(org, order))[-1] == ("assign", "created", "assigned")
    assert _told(api, org) == [
        ("created", None, "created"),
        ("updated", None, "created"),
        ("assigned", "assign", "assigned"),
    ]
    for body in ({"assignee_ids": [ben]}, {"assignee_ids": [ben], "status": "assigned"}):
        again = await org.dispatcher.patch(path, body)
        assert (again.status, again.json) == (200, answer.json)
    assert len(order_events(api, org)) == 3
    assert (await org.dispatcher.patch(path, {"assignee_ids": [ben, eva]})).status == 200
    assert _told(api, org)[3:] == [("updated", None, "assigned"), ("assigned", None, "assigned")]


async def test_a_patch_of_assignee_and_status_says_one_verb(api: RunningApi) -> None:
    org = api.organization("Both given")
    ben = await employee(org)
    for body, then in (
        ({"status": "assigned"}, "assigned"),
        ({"status": "created"}, "assigned"),
        ({"status": "cancelled", "reason": "x"}, "cancelled"),
    ):
        order = await made_order(org)
        path = f"/v1/work-orders/{order['id']}"
        answer = await org.dispatcher.patch(path, {"assignee_ids": [ben]} | body)
        assert (answer.status, answer.json["status"]) == (200, then)
        assert [move[2] for move in await _verbs(org, order)] == ["created", then]


@pytest.mark.parametrize("named", [None, ["ben"]], ids=["as it is", "the same"])
async def test_the_same_assignee_again_is_not_told_of(
    api: RunningApi, named: list[str] | None
) -> None:
    org = api.organization("The same")
    ben, eva = await employee(org), await employee(org)
    order = await made_order(org, assignee_ids=[ben])
    body = {} if named is None else {"assignee_ids": [ben]}
    assert (await say(org, order, "assign", body)).status == 200
    assert _told(api, org) == BOTH
    for ids in ([ben, eva], [eva]):
        assert (await say(org, order, "assign", {"assignee_ids": ids})).status == 200
    assert _told(api, org)[2:] == [
        ("assigned", "assign", "assigned"),
        ("updated", "assign", "assigned"),  # nobody has it who had not
    ]


async def test_a_draft_is_told_of_when_it_is_issued_and_a_cancelled_order_when_reopened(
    api: RunningApi,
) -> None:
    org = api.organization("Issued")
    ben = await employee(org)
    order = await made_order(org, status="draft", assignee_ids=[ben])
    assert (order["status"], _told(api, org)) == ("draft", [])
    issued = await say(org, order, "issue", {"lat": 47.0, "lon": 8.5})
    assert issued.json["status"] == "assigned"
    assert (await org.viewer.get(f"/v1/work-orders/{order['id']}")).json == issued.json
    assert _told(api, org) == [("created", "issue", "created"), *BOTH[1:]]
    order = await moved(org, order, "cancel", "reopen")
    assert order["status"] == "assigned"
    assert await _verbs(org, order) == [
        ("create", None, "draft"),
        ("issue", "draft", "created"),
        ("assign", "created", "assigned"),
        ("cancel", "assigned", "cancelled"),
        ("reopen", "cancelled", "created"),
        ("assign", "created", "assigned"),
    ]
    assert _told(api, org)[2:] == [
        ("cancelled", "cancel", "cancelled"),
        ("updated", "reopen", "created"),
        *BOTH[1:],
    ]


async def test_an_order_of_a_defect_is_assigned(api: RunningApi) -> None:
    org = api.organization("Mended")
    form, ben = await fill_in(org.admin, await template(org), answers=BAD), await employee(org)
    path = f"/v1/inspection-forms/{form.json['id']}/work-orders"
    made = await org.dispatcher.post(path, {"question_id": "brakes", "assignee_ids": [ben, ben]})
    assert (made.status, made.json["status"]) == (201, "assigned")
    assert (await org.viewer.get(made.headers["Location"])).json == made.json
    assert _told(api, org) == BOTH


async def test_an_order_of_a_quote_is_assigned(api: RunningApi, mailbox: Mailbox) -> None:
    org = api.organization("Ordered")
    ben = await employee(org)
    quote = await accepted(org, mailbox)
    nobody = {"assignee_ids": ["emp_" + "0" * 26]}
    refused = await done(org, quote, "convert", nobody)
    assert is_problem(refused, 422, "invalid_body")
    made = await done(org, quote, "convert", {"assignee_ids": [ben]})
    assert (made.status, made.json["status"]) == (201, "assigned")
    assert (await org.viewer.get(made.headers["Location"])).json == made.json
    assert _told(api, org) == BOTH


async def test_an_order_of_before_stays_created_until_its_assignees_are_given(
    api: RunningApi,
) -> None:
    """Up to version 0.4.0 an order that was made with an assignee was `created`."""
    org = api.organization("Made before")
    ben = await employee(org)
    for body in ({"assignee_ids": [ben]}, None):
        order = await made_order(org)
        api.sql(
            "INSERT INTO work_order_assignees (org_id, work_order_id, employee_id)"
            " SELECT o.org_id, o.id, e.id FROM work_orders o JOIN employees e USING (org_id)"
            " WHERE o.org_id = %s AND o.number = %s RETURNING 1",
            org.org_id,
            order["number"],
        )
        path = f"/v1/work-orders/{order['id']}"
        touched = await org.dispatcher.patch(path, {"title": "Other"})
        assert (touched.json["status"], touched.json["assignee_ids"]) == ("created", [ben])
        before = len(order_events(api, org))
        answer = (
            await say(org, order, "assign", {})
            if body is None
            else await org.dispatcher.patch(path, body)
        )
        assert (answer.status, answer.json["status"]) == (200, "assigned")
        assert _told(api, org)[before:] == BOTH[1:]
