"""The client, the site, the assignees and the assets of a work order are there until it ends."""

import asyncio
from typing import Any

import pytest

from operations.work_orders.states import OPEN, SIGNED, STATES
from tests.api.mailbox import Mailbox
from tests.api.problems import is_problem
from tests.api.punching import employee
from tests.api.resources.dispatching import in_state, made_order, moved, say
from tests.api.resources.inspecting import BAD, fill_in, template
from tests.api.resources.quoting import client_of, done, sent
from tests.api.running import Organization, RunningApi


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    """The organization of this module."""
    return api.organization("Things")


async def _made(org: Organization, name: str, **body: Any) -> str:
    answer = await org.admin.post(f"/v1/{name}", {"name": "x"} | body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


async def _things(org: Organization) -> dict[str, Any]:
    """Return fields of a new order with a client, its site, an assignee and an asset."""
    client = await _made(org, "clients")
    site = await _made(org, "sites", client_id=client)
    named = {"assignee_ids": [await employee(org)], "asset_ids": [await _made(org, "assets")]}
    return {"client_id": client, "site_id": site} | named


def _paths(things: dict[str, Any]) -> list[str]:
    (assignee,), (asset,) = things["assignee_ids"], things["asset_ids"]
    return [
        f"/v1/assets/{asset}",
        f"/v1/employees/{assignee}",
        f"/v1/sites/{things['site_id']}",
        f"/v1/clients/{things['client_id']}",
    ]


@pytest.mark.parametrize("state", STATES)
async def test_what_an_order_names_is_not_deleted_until_the_order_has_ended(
    org: Organization, state: str
) -> None:
    order, things = await in_state(org, state), await _things(org)
    path = f"/v1/work-orders/{order['id']}"
    if state not in OPEN:
        await moved(org, order, "reopen")
    assert (await org.dispatcher.patch(path, things)).status == 200
    if state not in OPEN:
        way = {"completed": ["start", "complete"], "closed": ["start", "complete", "close"]}
        way |= {"cancelled": ["cancel"], "cannot_complete": ["assign", "cannot-complete"]}
        await moved(org, order, *way[state])
    for thing in _paths(things):
        if state in OPEN:
            assert is_problem(await org.dispatcher.delete(thing), 409, "in_use"), thing
            assert (await org.viewer.get(thing)).status == 200
        else:
            assert (await org.dispatcher.delete(thing)).status == 204, thing
    if state in OPEN:
        assert (await org.dispatcher.delete(path)).status == 204
        for thing in _paths(things):
            assert (await org.dispatcher.delete(thing)).status == 204, thing


async def test_whoever_deletes_an_employee_or_an_asset_with_orders_is_told_their_numbers(
    api: RunningApi,
) -> None:
    org = api.organization("Numbers")
    ben, crane = await employee(org), await _made(org, "assets")
    named = {"assignee_ids": [ben], "asset_ids": [crane]}
    for _ in range(11):
        await made_order(org, **named)
    await made_order(org)
    ended = await made_order(org, **named)
    await moved(org, ended, "cancel")
    for path in (f"/v1/employees/{ben}", f"/v1/assets/{crane}"):
        refused = await org.dispatcher.delete(path)
        assert is_problem(refused, 409, "in_use")
        assert ": 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and more." in refused.json["detail"]
    (eleventh,) = (
        await org.viewer.get("/v1/work-orders", assignee_id=ben, offset=1, limit=1)
    ).json["data"]
    assert eleventh["number"] == 11
    await moved(org, eleventh, "cancel")
    refused = await org.dispatcher.delete(f"/v1/employees/{ben}")
    assert ": 1, 2, 3, 4, 5, 6, 7, 8, 9, 10." in refused.json["detail"]


@pytest.mark.parametrize("state", ["closed", "cancelled"])
async def test_an_order_is_reopened_when_all_that_it_names_is_there(
    org: Organization, state: str
) -> None:
    things = await _things(org)
    order = await made_order(org, **things)
    way = ("assign", "start", "complete", "close") if state in SIGNED else ("cancel",)
    order = await moved(org, order, *way)
    asset, employee_path, site, client = _paths(things)
    for path in (asset, employee_path, site, client):
        assert (await org.dispatcher.delete(path)).status == 204
    for path, code in (
        (client, "client_deleted"),
        (site, "site_deleted"),
        (employee_path, "employee_deleted"),
        (asset, "asset_deleted"),
    ):
        assert is_problem(await say(org, order, "reopen"), 409, code)
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200
    assert (await say(org, order, "reopen")).status == 200


async def test_an_order_is_restored_when_its_assignees_and_assets_are_there(
    org: Organization,
) -> None:
    things = await _things(org)
    order = await made_order(org, **things)
    path, (asset, anna, *_) = f"/v1/work-orders/{order['id']}", _paths(things)
    for one in (path, asset, anna):
        assert (await org.dispatcher.delete(one)).status == 204
    for one, code in ((anna, "employee_deleted"), (asset, "asset_deleted")):
        assert is_problem(await org.dispatcher.post(f"{path}/restore", None), 409, code)
        assert (await org.dispatcher.post(f"{one}/restore", None)).status == 200
    assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200


async def test_deletion_and_a_new_order_at_once_leave_no_order_of_what_is_deleted(
    org: Organization,
) -> None:
    for name in ("assignee_ids", "asset_ids") * 3:
        things = await _things(org)
        path = _paths(things)[0 if name == "asset_ids" else 1]
        order = {"title": "x", name: things[name]}
        deleted, made = await asyncio.gather(
            org.dispatcher.delete(path), org.dispatcher.post("/v1/work-orders", order)
        )
        assert (deleted.status, made.status) in ((204, 422), (409, 201))


# The site of a client -----------------------------------------------------------------------------


async def test_a_site_of_another_client_is_refused(org: Organization) -> None:
    ours, theirs = await _things(org), await _things(org)
    own = await _made(org, "sites")
    body = {"title": "x", "client_id": ours["client_id"]}
    wrong = {"site_id": theirs["site_id"]}
    refused = await org.dispatcher.post("/v1/work-orders", body | wrong)
    assert is_problem(refused, 409, "site_of_another_client")
    assert [fault["pointer"] for fault in refused.json["errors"]] == ["/site_id"]
    order = await made_order(org, client_id=ours["client_id"], site_id=own)
    path = f"/v1/work-orders/{order['id']}"
    for change in (wrong, {"client_id": None, **wrong}):
        answer = await org.dispatcher.patch(path, change)
        assert answer.status == (409 if "client_id" not in change else 200), answer.json
    refused = await org.dispatcher.patch(path, {"client_id": ours["client_id"]})
    assert is_problem(refused, 409, "site_of_another_client")
    assert (await org.dispatcher.patch(path, {"client_id": theirs["client_id"]})).status == 200
    handed_over = {"client_id": ours["client_id"]}
    assert (await org.dispatcher.patch(f"/v1/sites/{theirs['site_id']}", handed_over)).status == 200
    kept = await org.dispatcher.patch(path, {"title": "Other"})  # its client and site stay
    assert (kept.status, kept.json["client_id"]) == (200, theirs["client_id"])


async def test_a_quote_becomes_no_order_at_a_site_of_another_client(
    org: Organization, mailbox: Mailbox
) -> None:
    things = await _things(org)
    quote, _ = await sent(org, mailbox, client_id=await client_of(org))
    by_hand = {"name": "Ann Lee", "reason": "By a signed letter."}
    assert (await done(org, quote, "accept", by_hand)).status == 200
    refused = await done(org, quote, "convert", {"site_id": things["site_id"]})
    assert is_problem(refused, 409, "site_of_another_client")
    assert (await done(org, quote, "convert", {"site_id": await _made(org, "sites")})).status == 201


async def test_a_defect_at_a_site_is_mended_for_the_client_of_the_site(org: Organization) -> None:
    ours, theirs = await _things(org), await _things(org)
    order = await made_order(org, client_id=ours["client_id"], site_id=ours["site_id"])
    place = {"work_order_id": order["id"], "site_id": theirs["site_id"]}
    form = await fill_in(org.admin, await template(org), answers=BAD, **place)
    made = await org.dispatcher.post(
        f"/v1/inspection-forms/{form.json['id']}/work-orders", {"question_id": "brakes"}
    )
    assert made.status == 201, made.json
    named = made.json["client_id"], made.json["site_id"]
    assert named == (theirs["client_id"], theirs["site_id"])
