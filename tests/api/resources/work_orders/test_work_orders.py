"""Work orders, through HTTP: their fields, lists and events."""

import asyncio
from typing import Any

import pytest

from db.core.ids import new_id
from operations.work_orders.states import MAX_DEPTH
from telemetry.ids import format_id
from tests.api.problems import is_problem
from tests.api.punching import Worker, employee
from tests.api.resources.dispatching import (
    in_state,
    listed_ids,
    made_order,
    moved,
    order_events,
)
from tests.api.running import Organization, RunningApi

# Fields -------------------------------------------------------------------------------------------


async def test_numbers_count_up_in_each_organization(api: RunningApi) -> None:
    org = api.organization("Counting")
    orders = await asyncio.gather(*(made_order(org) for _ in range(8)))
    assert sorted(order["number"] for order in orders) == list(range(1, 9))
    refused = await org.dispatcher.post(
        "/v1/work-orders", {"title": "x", "planned_start": "2026-03-02T07:00:00Z"}
    )
    assert refused.status == 422
    await org.dispatcher.delete(f"/v1/work-orders/{orders[0]['id']}")
    assert (await made_order(org))["number"] == 9


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"planned_start": "2026-03-02T07:00:00Z"}, "/planned_end"),
        ({"planned_end": "2026-03-02T07:00:00Z"}, "/planned_start"),
        (
            {"planned_start": "2026-03-02T07:00:00Z", "planned_end": "2026-03-02T06:00:00Z"},
            "/planned_end",
        ),
        ({"labour_cost_cents": 100}, "/currency"),
        ({"labour_cost_cents": -1, "currency": "CHF"}, "/labour_cost_cents"),
        ({"currency": "chf"}, "/currency"),
        ({"status": "assigned"}, "/status"),
        ({"priority": "whenever"}, "/priority"),
        ({"checklist": [{"text": " "}]}, "/checklist/0/text"),
        ({"number": 7}, "/number"),
    ],
)
async def test_what_cannot_be_is_a_422_that_says_where(
    org: Organization, body: dict[str, Any], pointer: str
) -> None:
    answer = await org.dispatcher.post("/v1/work-orders", {"title": "x"} | body)
    assert is_problem(answer, 422, "invalid_body")
    assert [fault["pointer"] for fault in answer.json["errors"]] == [pointer]


async def test_a_checklist_keeps_who_did_what_and_when(org: Organization) -> None:
    tasks = [{"text": "Lock"}, {"text": "Grease", "done": True}]
    order = await made_order(org, checklist=tasks)
    first = order["checklist"]
    assert [task["done"] for task in first] == [False, True]
    assert first[0]["by"] is first[0]["at"] is None
    assert first[1]["by"].startswith("usr_")
    path = f"/v1/work-orders/{order['id']}"
    both = [{"text": "Grease", "done": True}, {"text": "Lock", "done": True}]
    changed = (await org.admin.patch(path, {"checklist": both})).json["checklist"]
    assert changed[0] == first[1]
    assert changed[1]["by"] not in (None, first[1]["by"])
    same = await org.dispatcher.patch(path, {"checklist": both})
    assert same.json["checklist"] == changed
    undone = await org.dispatcher.patch(path, {"checklist": [{"text": "Grease"}]})
    assert undone.json["checklist"] == [{"text": "Grease", "done": False, "by": None, "at": None}]


async def test_items_of_one_text_are_each_done_by_whoever_did_them(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    tasks = [{"text": "Grease"}, {"text": "Grease"}, {"text": "Lock"}]
    order = await made_order(org, checklist=tasks, assignee_ids=[who.id])
    path = f"/v1/work-orders/{order['id']}"
    tasks[0] |= {"done": True}
    first = (await org.technician.patch(path, {"checklist": tasks})).json["checklist"][0]
    tasks[1] |= {"done": True}
    both = (await org.dispatcher.patch(path, {"checklist": tasks})).json["checklist"]
    assert both[0] == first
    assert (both[1]["done"], both[2]["done"]) == (True, False)
    assert both[1]["by"] not in (None, first["by"])
    assert both[1]["at"] > first["at"]
    more = await org.dispatcher.patch(path, {"checklist": [{"text": "Brush"}, *tasks]})
    assert more.json["checklist"][1:] == both


async def test_parts_make_no_circle_and_not_too_many_levels(org: Organization) -> None:
    chain = [await made_order(org)]
    while len(chain) < MAX_DEPTH:
        chain.append(await made_order(org, parent_id=chain[-1]["id"]))
    too_deep = {"title": "x", "parent_id": chain[-1]["id"]}
    answer = await org.dispatcher.post("/v1/work-orders", too_deep)
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/parent_id"]
    for parent in chain:
        path = f"/v1/work-orders/{chain[0]['id']}"
        circle = await org.dispatcher.patch(path, {"parent_id": parent["id"]})
        assert is_problem(circle, 422, "invalid_body")
    above = await made_order(org)
    path = f"/v1/work-orders/{chain[0]['id']}"
    assert (await org.dispatcher.patch(path, {"parent_id": above["id"]})).status == 422
    assert await listed_ids(org, parent_id=chain[0]["id"]) == [chain[1]["id"]]
    in_use = await org.dispatcher.delete(path)
    assert is_problem(in_use, 409, "in_use")
    leaf = f"/v1/work-orders/{chain[-1]['id']}"
    nothing = {"parent_id": format_id("wo", new_id())}
    assert is_problem(await org.dispatcher.patch(leaf, nothing), 404, "not_found")
    moved = await org.dispatcher.patch(leaf, {"parent_id": chain[0]["id"]})
    assert (moved.status, moved.json["parent_id"]) == (200, chain[0]["id"])


async def test_two_orders_that_become_parts_of_each_other_at_once_do_not(
    org: Organization,
) -> None:
    for _ in range(5):
        one, two = await made_order(org), await made_order(org)
        pairs = ((one, two), (two, one))
        answers = await asyncio.gather(
            *(
                org.dispatcher.patch(f"/v1/work-orders/{child['id']}", {"parent_id": up["id"]})
                for child, up in pairs
            )
        )
        assert sorted(answer.status for answer in answers) == [200, 422]


async def test_what_belongs_to_what_is_deleted_is_not_restored(org: Organization) -> None:
    client = (await org.admin.post("/v1/clients", {"name": "Frei"})).json["id"]
    parent = await made_order(org)
    for body, owner in (
        ({"client_id": client}, f"/v1/clients/{client}"),
        ({"parent_id": parent["id"]}, f"/v1/work-orders/{parent['id']}"),
    ):
        path = f"/v1/work-orders/{(await made_order(org, **body))['id']}"
        assert (await org.dispatcher.delete(path)).status == 204
        assert (await org.dispatcher.delete(owner)).status == 204
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 409
        assert (await org.dispatcher.post(f"{owner}/restore", None)).status == 200
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200


async def test_comments_stay_and_are_listed(org: Organization) -> None:
    path = f"/v1/work-orders/{(await made_order(org))['id']}/comments"
    for said in ("first", "second", "third"):
        assert (await org.dispatcher.post(path, {"text": said})).status == 201
    rows = await org.viewer.walk(path, limit=2)
    assert [row["text"] for row in rows] == ["third", "second", "first"]
    rows = await org.viewer.walk(path, limit=1, sort="created_at")
    assert [row["text"] for row in rows] == ["first", "second", "third"]


async def test_the_plan_bounds_how_many_there_are(api: RunningApi) -> None:
    org = api.organization("Full")
    await made_order(org)
    counted = "table_name = 'work_orders' AND org_id = %s"
    api.sql(f"UPDATE row_counts SET stored = 10000000 WHERE {counted}", org.org_id)
    answer = await org.dispatcher.post("/v1/work-orders", {"title": "x"})
    assert is_problem(answer, 403, "quota_exceeded")
    said = {name: answer.json[name] for name in ("quota", "limit", "used")}
    assert said == {"quota": "work_orders", "limit": 10_000_000, "used": 10_000_000}


# Lists --------------------------------------------------------------------------------------------


async def test_each_filter_lets_through_what_it_says(api: RunningApi) -> None:
    org = api.organization("Filtered")
    admin = org.admin
    client = (await admin.post("/v1/clients", {"name": "Frei"})).json["id"]
    site = (await admin.post("/v1/sites", {"name": "Yard"})).json["id"]
    asset = (await admin.post("/v1/assets", {"name": "Crane"})).json["id"]
    ben = await employee(org)
    plan = {"planned_start": "2026-03-02T07:00:00Z", "planned_end": "2026-03-02T15:00:00Z"}
    full = await made_order(
        org,
        client_id=client,
        site_id=site,
        asset_ids=[asset],
        assignee_ids=[ben],
        priority="urgent",
        due_at="2020-01-01T00:00:00Z",
        **plan,
    )
    plain = await made_order(org, status="draft")
    done = await made_order(org, assignee_ids=[await employee(org)], due_at="2020-01-01T00:00:00Z")
    done = await moved(org, done, "start", "complete")
    only: list[dict[str, Any]] = [
        {"client_id": client},
        {"site_id": site},
        {"asset_id": asset},
        {"assignee_id": ben},
        {"priority": "urgent"},
        {"overdue": "true"},
        {"status": "assigned"},
        {"from_": "2026-03-02T14:59:00Z", "to": "2026-03-03T00:00:00Z"},
        {"from_": "2026-03-02T00:00:00Z", "to": "2026-03-02T07:00:01Z"},
    ]
    for wanted in only:
        assert await listed_ids(org, **wanted) == [full["id"]], wanted
    none: list[dict[str, Any]] = [
        {"from_": "2026-03-02T15:00:00Z"},
        {"to": "2026-03-02T07:00:00Z"},
        {"status": "closed,cancelled"},
    ]
    for wanted in none:
        assert await listed_ids(org, **wanted) == [], wanted
    noon = "2026-05-04T12:00:00Z"
    brief = await made_order(org, planned_start=noon, planned_end=noon)
    windows: list[tuple[str | None, str | None, list[str]]] = [
        (noon, "2026-05-04T12:00:01Z", [brief["id"]]),
        (noon, None, [brief["id"]]),
        ("2026-05-04T11:59:59Z", noon, []),
        ("2026-05-04T12:00:01Z", None, []),
        (noon, noon, []),
        ("2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z", []),
    ]
    for since, until, ids in windows:
        window = {"from_": since, "to": until}
        given = {name: value for name, value in window.items() if value is not None}
        assert await listed_ids(org, **given) == ids, window
    assert (await org.dispatcher.delete(f"/v1/work-orders/{brief['id']}")).status == 204
    assert await listed_ids(org, overdue="false") == [done["id"], plain["id"]]
    assert await listed_ids(org, status="draft,completed") == [done["id"], plain["id"]]
    for bad in ("open", "draft,", "", "draft created"):
        answer = await org.viewer.get("/v1/work-orders", status=bad)
        assert is_problem(answer, 400, "invalid_parameter")
        assert "cannot_complete" in answer.content.decode()


async def test_what_is_due_first_comes_first_and_what_is_never_due_last(api: RunningApi) -> None:
    org = api.organization("Due")
    days = [3, None, 1, 2, 1, None]
    made = [
        await made_order(org, due_at=None if day is None else f"2027-03-0{day}T00:00:00Z")
        for day in days
    ]
    ids = [order["id"] for order in made]
    sooner = [ids[place] for place in (2, 4, 3, 0, 1, 5)]
    for limit in (1, 2, 50):
        assert await listed_ids(org, sort="due_at", limit=limit) == sooner
        assert await listed_ids(org, sort="-due_at", limit=limit) == sooner[::-1]
    page = (await org.viewer.get("/v1/work-orders", sort="due_at", limit=2)).json
    await made_order(org, due_at="2027-03-01T00:00:00Z")  # before the rest: it is not shown
    rest = await org.viewer.get("/v1/work-orders", sort="due_at", cursor=page["next_cursor"])
    assert [row["id"] for row in rest.json["data"]][1:] == sooner[2:]
    for sort in ("-due_at", "created_at"):
        answer = await org.viewer.get("/v1/work-orders", sort=sort, cursor=page["next_cursor"])
        assert is_problem(answer, 400, "invalid_parameter")


async def test_what_is_urgent_comes_first_or_last(api: RunningApi) -> None:
    org = api.organization("Urgent")
    made = [
        await made_order(org, priority=priority)
        for priority in ("normal", "urgent", "low", "high", "urgent", "normal")
    ]
    ids = [order["id"] for order in made]
    least_first = [ids[place] for place in (2, 0, 5, 3, 1, 4)]
    for limit in (1, 2, 50):
        assert await listed_ids(org, sort="priority", limit=limit) == least_first
        assert await listed_ids(org, sort="-priority", limit=limit) == least_first[::-1]
    page = (await org.viewer.get("/v1/work-orders", sort="priority", limit=2)).json
    answer = await org.viewer.get("/v1/work-orders", sort="due_at", cursor=page["next_cursor"])
    assert is_problem(answer, 400, "invalid_parameter")


# Events and audit ---------------------------------------------------------------------------------


async def test_what_happens_is_told_and_written_down(api: RunningApi) -> None:
    org = api.organization("Told")
    ben = await employee(org)
    order = await made_order(org, status="draft")
    path = f"/v1/work-orders/{order['id']}"
    await org.dispatcher.patch(path, {"title": "Other", "assignee_ids": [ben]})
    assert order_events(api, org) == []
    await moved(org, order, "issue", "start", "hold", "resume")
    await org.dispatcher.patch(path, {"due_at": "2027-03-02T00:00:00Z", "title": "Other"})
    await moved(org, order, "complete", "close")
    told = [
        (type_.partition(".")[2], data["verb"], data["status"])
        for type_, data in order_events(api, org)
    ]
    assert told == [
        ("created", "issue", "created"),
        ("assigned", "assign", "assigned"),
        ("started", "start", "started"),
        ("updated", "hold", "on_hold"),
        ("updated", "resume", "started"),
        ("updated", None, "started"),
        ("completed", "complete", "completed"),
        ("updated", "close", "closed"),
    ]
    data = [data for _, data in order_events(api, org)]
    assert data[3]["reason"] == "It rains."
    assert data[5]["changed"] == ["due_at"]
    assert data[6]["signer_name"] == "Peter Frei"
    assert (data[1]["work_order_id"], data[1]["title"]) == (order["id"], "Other")
    assert (data[1]["number"], data[1]["assignee_ids"]) == (1, [ben])
    found = await org.admin.get("/v1/audit-events", resource_id=order["id"], limit=100)
    moves = [
        (event["changes"]["state"]["old"], event["changes"]["state"]["new"])
        for event in found.json["data"]
        if "state" in event["changes"] and event["action"] == "update"
    ]
    assert moves[::-1] == [
        ("draft", "created"),
        ("created", "assigned"),
        ("assigned", "started"),
        ("started", "on_hold"),
        ("on_hold", "started"),
        ("started", "completed"),
        ("completed", "closed"),
    ]


async def test_a_new_assignee_of_an_order_in_hands_is_told_of(api: RunningApi) -> None:
    org = api.organization("Given")
    ben, eva = await employee(org), await employee(org)
    order = await made_order(org, assignee_ids=[ben])
    path = f"/v1/work-orders/{order['id']}"
    await moved(org, order, "start")
    before = len(order_events(api, org))
    for ids in ([ben, eva], [eva]):
        answer = await org.dispatcher.patch(path, {"assignee_ids": ids, "priority": "high"})
        assert answer.status == 200
    told = [(type_, data["changed"]) for type_, data in order_events(api, org)[before:]]
    assert [(type_, sorted(changed)) for type_, changed in told] == [
        ("work_order.updated", ["assignee_ids", "priority"]),
        ("work_order.assigned", ["assignee_ids", "priority"]),
        ("work_order.updated", ["assignee_ids"]),  # nobody has it who had not
    ]


async def test_deletion_and_restoring_are_told(api: RunningApi) -> None:
    org = api.organization("Gone")
    order, draft = await made_order(org), await made_order(org, status="draft")
    for one in (order, draft):
        path = f"/v1/work-orders/{one['id']}"
        assert (await org.dispatcher.delete(path)).status == 204
        for _ in range(2):  # what is there already is not restored again
            assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200
    created, deleted, restored = order_events(api, org)
    assert created[0] == "work_order.created"
    for type_, data in (deleted, restored):
        assert (type_, data["changed"]) == ("work_order.updated", ["deleted_at"])
        assert (data["work_order_id"], data["status"]) == (order["id"], "created")
    assert (deleted[1]["deleted_at"] is None, restored[1]["deleted_at"]) == (False, None)


@pytest.mark.parametrize("state", ["completed", "closed"])
async def test_what_somebody_signed_for_is_not_deleted(
    api: RunningApi, org: Organization, state: str
) -> None:
    order = await in_state(org, state)
    path = f"/v1/work-orders/{order['id']}"
    before = len(order_events(api, org))
    refused = await org.dispatcher.delete(path)
    assert is_problem(refused, 409, "illegal_move")
    assert "reopen" in refused.json["legal_verbs"]
    assert (await org.viewer.get(path)).json == order
    assert len(order_events(api, org)) == before
    await moved(org, order, "reopen", "cancel")
    assert (await org.dispatcher.delete(path)).status == 204


async def test_what_is_refused_tells_nothing(api: RunningApi) -> None:
    org = api.organization("Silent")
    order = await made_order(org)
    before = len(order_events(api, org))
    path = f"/v1/work-orders/{order['id']}"
    refused = await org.dispatcher.patch(path, {"title": "Other", "status": "started"})
    assert refused.status == 409
    assert (await org.dispatcher.get(path)).json == order
    assert len(order_events(api, org)) == before
    assert len((await org.viewer.get(f"{path}/transitions")).json["data"]) == 1
