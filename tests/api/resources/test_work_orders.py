"""Work orders, through HTTP: what they need, where they lead, what is told and what is listed."""

import asyncio
import base64
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pypdf import PdfReader

from db.core.ids import new_id
from operations.work_orders.states import MAX_DEPTH, MOVES, STATES, VERBS, WORK_ORDERS
from telemetry.ids import format_id
from tests.api.http.test_problems import is_problem
from tests.api.pictures import bomb, photo, signature
from tests.api.punching import Worker, jobsite, worker
from tests.api.resources.test_attachments import upload
from tests.api.running import Answer, Organization, RunningApi
from tests.api.stocked import stocked
from tests.api.stored import carried, minute, store_visit, text
from tests.ingest.punches.punching import HOME

BODIES: dict[str, Any] = {
    "hold": {"reason": "It rains."},
    "cancel": {"reason": "Nobody wants it."},
    "cannot-complete": {"reason": "The part is missing."},
    "complete": {"signer_name": "Peter Frei"},
}
# The verbs that bring a new order to each state.
WAYS: dict[str, tuple[str, ...]] = {
    "draft": (),
    "created": (),
    "assigned": ("assign",),
    "started": ("assign", "start"),
    "on_hold": ("assign", "start", "hold"),
    "completed": ("assign", "start", "complete"),
    "closed": ("assign", "start", "complete", "close"),
    "cancelled": ("cancel",),
    "cannot_complete": ("assign", "cannot-complete"),
}


@pytest.fixture(scope="module")
def org(api: RunningApi) -> Organization:
    """The organization of this module."""
    return api.organization("Jobs")


@pytest.fixture
async def anna(api: RunningApi) -> tuple[Organization, Worker]:
    """The technician of an organization of one test's own, who punches by phone."""
    made = api.organization("Sites")
    return made, await worker(api, made)


async def _made(org: Organization, **body: Any) -> dict[str, Any]:
    answer = await org.dispatcher.post("/v1/work-orders", {"title": "Grease the crane"} | body)
    assert answer.status == 201, answer.json
    return answer.json


async def _say(org: Organization, order: dict[str, Any], verb: str, body: Any = None) -> Answer:
    given = BODIES.get(verb) if body is None else body
    return await org.dispatcher.post(f"/v1/work-orders/{order['id']}/{verb}", given)


async def _said(org: Organization, order: dict[str, Any], *verbs: str) -> dict[str, Any]:
    for verb in verbs:
        answer = await _say(org, order, verb)
        assert answer.status == 200, answer.json
        order = answer.json
    return order


async def _employee(org: Organization) -> str:
    return (await org.admin.post("/v1/employees", {"name": "Ben"})).json["id"]


async def _in_state(org: Organization, state: str) -> dict[str, Any]:
    begin = "draft" if state == "draft" else "created"
    order = await _made(org, assignee_ids=[await _employee(org)], status=begin)
    order = await _said(org, order, *WAYS[state])
    assert order["status"] == state
    return order


def _events(api: RunningApi, org: Organization) -> list[tuple[str, dict[str, Any]]]:
    return api.sql(  # type: ignore[return-value]
        "SELECT type, data FROM events WHERE org_id = %s AND type LIKE 'work_order.%%'"
        " ORDER BY position",
        org.org_id,
    )


async def _ids(org: Organization, **filters: Any) -> list[str]:
    return [row["id"] for row in await org.viewer.walk("/v1/work-orders", **filters)]


# States -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES)
async def test_every_verb_leads_on_or_is_a_409_with_the_legal_ones(
    org: Organization, state: str
) -> None:
    legal = {each.verb: each.then for each in MOVES if each.state == state}
    for verb in VERBS:
        order = await _in_state(org, state)
        answer = await _say(org, order, verb)
        if verb in legal:
            assert (answer.status, answer.json["status"]) == (200, legal[verb])
            continue
        assert is_problem(answer, 409, "illegal_move")
        assert answer.json["legal_verbs"] == list(legal)


@pytest.mark.parametrize("state", STATES)
async def test_a_status_that_is_set_obeys_the_same_table(org: Organization, state: str) -> None:
    verbs = {each.then: each.verb for each in MOVES if each.state == state}
    for then in STATES:
        order = await _in_state(org, state)
        verb = verbs.get(then)
        needs = BODIES.get(verb or "", {})
        body = {"sign_off": needs} if verb == "complete" else needs
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
    order = await _in_state(org, state)
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
    order = await _in_state(org, "assigned")
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


async def test_a_completion_is_signed(org: Organization) -> None:
    order = await _in_state(org, "started")
    path = f"/v1/work-orders/{order['id']}"
    missing = await org.dispatcher.patch(path, {"status": "completed"})
    assert [fault["pointer"] for fault in missing.json["errors"]] == ["/sign_off"]
    document = (await org.viewer.get("/openapi.json")).json
    png = document["components"]["schemas"]["Completion"]["properties"]["signature"]
    (png,) = png["anyOf"][0]["examples"]
    bad = {"signer_name": "Peter Frei", "signature": "aGVsbG8="}
    assert (await _say(org, order, "complete", bad)).status == 422
    lost = {"signer_name": "Peter Frei"}
    lost |= {"signature_attachment_id": format_id("att", new_id())}
    assert is_problem(await _say(org, order, "complete", lost), 404, "not_found")
    late = {"signer_name": "Peter Frei", "signed_at": "2099-01-01T00:00:00Z"}
    assert (await _say(org, order, "complete", late)).status == 422
    half = {"signer_name": "Peter Frei", "lat": 47.0}
    assert (await _say(org, order, "complete", half)).status == 422
    body = {"signer_name": "Peter Frei", "signature": png, "lat": 47.0, "lon": 8.5}
    done = await _say(org, order, "complete", body)
    assert (done.status, done.json["status"]) == (200, "completed")
    assert done.json["ended_at"] is not None
    rows = (await org.viewer.get(f"{path}/transitions")).json["data"]
    assert [row["verb"] for row in rows] == ["complete", "start", "assign", "create"]
    assert [row["from_status"] for row in rows] == ["started", "assigned", "created", None]
    signed = rows[0]
    assert (signed["signer_name"], signed["signature"]) == ("Peter Frei", png)
    assert (signed["lat"], signed["lon"]) == (47.0, 8.5)
    assert signed["signed_at"] == signed["created_at"]


async def test_an_order_in_somebodys_hands_keeps_an_assignee(org: Organization) -> None:
    nobodys = await _made(org)
    answer = await _say(org, nobodys, "assign")
    assert is_problem(answer, 422, "invalid_body")
    other = await _employee(org)
    assigned = await _say(org, nobodys, "assign", {"assignee_ids": [other, other]})
    assert assigned.json["assignee_ids"] == [other]
    path = f"/v1/work-orders/{nobodys['id']}"
    assert (await org.dispatcher.patch(path, {"assignee_ids": []})).status == 422
    third = await _employee(org)
    again = await _say(org, nobodys, "assign", {"assignee_ids": [third]})
    assert (again.json["status"], again.json["assignee_ids"]) == ("assigned", [third])


async def test_what_is_closed_changes_no_more_until_it_is_reopened(org: Organization) -> None:
    order = await _in_state(org, "closed")
    path = f"/v1/work-orders/{order['id']}"
    refused = await org.dispatcher.patch(path, {"title": "Other"})
    assert is_problem(refused, 409, "illegal_move")
    assert refused.json["legal_verbs"] == ["reopen"]
    reopened = (await _say(org, order, "reopen")).json
    assert (reopened["status"], reopened["ended_at"]) == ("assigned", None)
    assert reopened["started_at"] == order["started_at"]
    assert (await org.dispatcher.patch(path, {"title": "Other"})).status == 200


async def test_one_of_many_who_start_at_once_does(org: Organization) -> None:
    order = await _in_state(org, "assigned")
    answers = await asyncio.gather(*(_say(org, order, "start") for _ in range(6)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 5


# Fields -------------------------------------------------------------------------------------------


async def test_numbers_count_up_in_each_organization(api: RunningApi) -> None:
    org = api.organization("Counting")
    orders = await asyncio.gather(*(_made(org) for _ in range(8)))
    assert sorted(order["number"] for order in orders) == list(range(1, 9))
    refused = await org.dispatcher.post(
        "/v1/work-orders", {"title": "x", "planned_start": "2026-03-02T07:00:00Z"}
    )
    assert refused.status == 422
    await org.dispatcher.delete(f"/v1/work-orders/{orders[0]['id']}")
    assert (await _made(org))["number"] == 9


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
    order = await _made(org, checklist=tasks)
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


async def test_parts_make_no_circle_and_not_too_many_levels(org: Organization) -> None:
    chain = [await _made(org)]
    while len(chain) < MAX_DEPTH:
        chain.append(await _made(org, parent_id=chain[-1]["id"]))
    too_deep = {"title": "x", "parent_id": chain[-1]["id"]}
    answer = await org.dispatcher.post("/v1/work-orders", too_deep)
    assert [fault["pointer"] for fault in answer.json["errors"]] == ["/parent_id"]
    for parent in chain:
        path = f"/v1/work-orders/{chain[0]['id']}"
        circle = await org.dispatcher.patch(path, {"parent_id": parent["id"]})
        assert is_problem(circle, 422, "invalid_body")
    above = await _made(org)
    path = f"/v1/work-orders/{chain[0]['id']}"
    assert (await org.dispatcher.patch(path, {"parent_id": above["id"]})).status == 422
    assert await _ids(org, parent_id=chain[0]["id"]) == [chain[1]["id"]]
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
        one, two = await _made(org), await _made(org)
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
    parent = await _made(org)
    for body, owner in (
        ({"client_id": client}, f"/v1/clients/{client}"),
        ({"parent_id": parent["id"]}, f"/v1/work-orders/{parent['id']}"),
    ):
        path = f"/v1/work-orders/{(await _made(org, **body))['id']}"
        assert (await org.dispatcher.delete(path)).status == 204
        assert (await org.dispatcher.delete(owner)).status == 204
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 409
        assert (await org.dispatcher.post(f"{owner}/restore", None)).status == 200
        assert (await org.dispatcher.post(f"{path}/restore", None)).status == 200


async def test_comments_stay_and_are_listed(org: Organization) -> None:
    path = f"/v1/work-orders/{(await _made(org))['id']}/comments"
    for said in ("first", "second", "third"):
        assert (await org.dispatcher.post(path, {"text": said})).status == 201
    rows = await org.viewer.walk(path, limit=2)
    assert [row["text"] for row in rows] == ["third", "second", "first"]
    rows = await org.viewer.walk(path, limit=1, sort="created_at")
    assert [row["text"] for row in rows] == ["first", "second", "third"]


async def test_the_plan_bounds_how_many_there_are(api: RunningApi) -> None:
    org = api.organization("Full")
    await _made(org)
    counted = "table_name = 'work_orders' AND org_id = %s"
    api.sql(f"UPDATE row_counts SET stored = 10000000 WHERE {counted}", org.org_id)  # noqa: S608
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
    ben = await _employee(org)
    plan = {"planned_start": "2026-03-02T07:00:00Z", "planned_end": "2026-03-02T15:00:00Z"}
    full = await _made(
        org,
        client_id=client,
        site_id=site,
        asset_ids=[asset],
        assignee_ids=[ben],
        priority="urgent",
        due_at="2020-01-01T00:00:00Z",
        **plan,
    )
    plain = await _made(org, status="draft")
    done = await _made(org, assignee_ids=[await _employee(org)], due_at="2020-01-01T00:00:00Z")
    done = await _said(org, done, "assign", "start", "complete")
    only: list[dict[str, Any]] = [
        {"client_id": client},
        {"site_id": site},
        {"asset_id": asset},
        {"assignee_id": ben},
        {"priority": "urgent"},
        {"overdue": "true"},
        {"status": "created"},
        {"from_": "2026-03-02T14:59:00Z", "to": "2026-03-03T00:00:00Z"},
        {"from_": "2026-03-02T00:00:00Z", "to": "2026-03-02T07:00:01Z"},
    ]
    for wanted in only:
        assert await _ids(org, **wanted) == [full["id"]], wanted
    none: list[dict[str, Any]] = [
        {"from_": "2026-03-02T15:00:00Z"},
        {"to": "2026-03-02T07:00:00Z"},
        {"status": "closed,cancelled"},
    ]
    for wanted in none:
        assert await _ids(org, **wanted) == [], wanted
    assert await _ids(org, overdue="false") == [done["id"], plain["id"]]
    assert await _ids(org, status="draft,completed") == [done["id"], plain["id"]]
    for bad in ("open", "draft,", "", "draft created"):
        answer = await org.viewer.get("/v1/work-orders", status=bad)
        assert is_problem(answer, 400, "invalid_parameter")
        assert "cannot_complete" in answer.content.decode()


async def test_what_is_due_first_comes_first_and_what_is_never_due_last(api: RunningApi) -> None:
    org = api.organization("Due")
    days = [3, None, 1, 2, 1, None]
    made = [
        await _made(org, due_at=None if day is None else f"2027-03-0{day}T00:00:00Z")
        for day in days
    ]
    ids = [order["id"] for order in made]
    sooner = [ids[place] for place in (2, 4, 3, 0, 1, 5)]
    for limit in (1, 2, 50):
        assert await _ids(org, sort="due_at", limit=limit) == sooner
        assert await _ids(org, sort="-due_at", limit=limit) == sooner[::-1]
    page = (await org.viewer.get("/v1/work-orders", sort="due_at", limit=2)).json
    await _made(org, due_at="2027-03-01T00:00:00Z")  # before the rest: it is not shown
    rest = await org.viewer.get("/v1/work-orders", sort="due_at", cursor=page["next_cursor"])
    assert [row["id"] for row in rest.json["data"]][1:] == sooner[2:]
    for sort in ("-due_at", "created_at"):
        answer = await org.viewer.get("/v1/work-orders", sort=sort, cursor=page["next_cursor"])
        assert is_problem(answer, 400, "invalid_parameter")


async def test_what_is_urgent_comes_first_or_last(api: RunningApi) -> None:
    org = api.organization("Urgent")
    made = [
        await _made(org, priority=priority)
        for priority in ("normal", "urgent", "low", "high", "urgent", "normal")
    ]
    ids = [order["id"] for order in made]
    least_first = [ids[place] for place in (2, 0, 5, 3, 1, 4)]
    for limit in (1, 2, 50):
        assert await _ids(org, sort="priority", limit=limit) == least_first
        assert await _ids(org, sort="-priority", limit=limit) == least_first[::-1]
    page = (await org.viewer.get("/v1/work-orders", sort="priority", limit=2)).json
    answer = await org.viewer.get("/v1/work-orders", sort="due_at", cursor=page["next_cursor"])
    assert is_problem(answer, 400, "invalid_parameter")


# Events and audit ---------------------------------------------------------------------------------


async def test_what_happens_is_told_and_written_down(api: RunningApi) -> None:
    org = api.organization("Told")
    ben = await _employee(org)
    order = await _made(org, status="draft")
    path = f"/v1/work-orders/{order['id']}"
    await org.dispatcher.patch(path, {"title": "Other", "assignee_ids": [ben]})
    assert _events(api, org) == []
    await _said(org, order, "issue", "assign", "start", "hold", "resume")
    await org.dispatcher.patch(path, {"due_at": "2027-03-02T00:00:00Z", "title": "Other"})
    await _said(org, order, "complete", "close")
    told = [
        (type_.partition(".")[2], data["verb"], data["status"]) for type_, data in _events(api, org)
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
    data = [data for _, data in _events(api, org)]
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


async def test_what_is_refused_tells_nothing(api: RunningApi) -> None:
    org = api.organization("Silent")
    order = await _made(org)
    before = len(_events(api, org))
    path = f"/v1/work-orders/{order['id']}"
    refused = await org.dispatcher.patch(path, {"title": "Other", "status": "started"})
    assert refused.status == 409
    assert (await org.viewer.get(path)).json == order
    assert len(_events(api, org)) == before
    assert len((await org.viewer.get(f"{path}/transitions")).json["data"]) == 1


# Punches and machines -----------------------------------------------------------------------------


async def _site(org: Organization, place: tuple[float, float] = HOME, **more: Any) -> str:
    zone = await jobsite(org, place, **more)
    answer = await org.admin.post("/v1/sites", {"name": "Quarry", "zone_id": zone["id"]})
    return answer.json["id"]


async def _order_at(org: Organization, who: Worker, site: str, **body: Any) -> dict[str, Any]:
    order = await _made(org, site_id=site, assignee_ids=[who.id], **body)
    return await _said(org, order, "assign")


async def test_the_site_of_an_assigned_order_is_one_to_punch_at(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    site = await _site(org, kind="yard")
    assert (await who.punch("in"))["verdict"] == "unverified"  # no jobsite
    order = await _order_at(org, who, site)
    punch = await who.punch("out")
    assert (punch["verdict"], punch["site_id"]) == ("verified", site)
    await _said(org, order, "cancel")
    assert (await who.punch("in", note="again"))["verdict"] == "unverified"


@pytest.mark.parametrize(("start", "end", "counts"), [(-60, 60, True), (600, 660, False)])
async def test_an_order_counts_within_its_planned_time(
    anna: tuple[Organization, Worker], start: int, end: int, counts: bool
) -> None:
    org, who = anna
    now = datetime.now(UTC)
    planned = {
        "planned_start": text(now + timedelta(minutes=start)),
        "planned_end": text(now + timedelta(minutes=end)),
    }
    await _order_at(org, who, await _site(org, kind="yard"), **planned)
    assert ((await who.punch("in"))["verdict"] == "verified") == counts


async def test_a_shift_names_the_one_order_that_is_at_the_site(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    order = await _order_at(org, who, site)
    await who.punch("in")
    (shift,) = (await org.viewer.get("/v1/shifts", employee_id=who.id)).json["data"]
    assert shift["work_order_id"] == order["id"]
    api.sql(
        "UPDATE shifts SET ended_at = started_at + interval '1 hour', worked_s = 3600,"
        " lapses_at = NULL, lapsed = NULL WHERE org_id = %s",
        org.org_id,
    )
    assert (await org.viewer.get(f"/v1/work-orders/{order['id']}")).json["worked_s"] == 3600


async def test_a_shift_names_no_order_where_there_are_two(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    site = await _site(org)
    for _ in range(2):
        await _order_at(org, who, site)
    await who.punch("in")
    (shift,) = (await org.viewer.get("/v1/shifts", employee_id=who.id)).json["data"]
    assert shift["work_order_id"] is None


async def test_machines_at_the_site_are_listed_from_the_start_to_the_end(
    anna: tuple[Organization, Worker], api: RunningApi
) -> None:
    org, who = anna
    site = await _site(org)
    zone = (await org.viewer.get(f"/v1/sites/{site}")).json["zone_id"]
    order = await _order_at(org, who, site)
    path = f"/v1/work-orders/{order['id']}/assets-on-site"
    truck = await carried(org)
    inside = [(10, 20), (25, 40)]
    stays = [store_visit(api, org, truck, zone, minute(a), minute(b)) for a, b in inside]
    store_visit(api, org, truck, zone, minute(1), minute(5))
    store_visit(api, org, truck, zone, minute(50), minute(60))
    assert (await org.viewer.get(path)).json["data"] == []  # not started
    await _said(org, order, "start", "complete")
    api.sql(
        "UPDATE work_orders SET started_at = %s, ended_at = %s WHERE org_id = %s",
        minute(15),
        minute(30),
        org.org_id,
    )
    rows = await org.viewer.walk(path, limit=1)
    assert [row["id"] for row in rows] == stays[::-1]


# Costs --------------------------------------------------------------------------------------------


async def test_an_order_costs_the_hours_of_its_shifts_and_its_parts(
    anna: tuple[Organization, Worker],
) -> None:
    org, who = anna
    zone = await jobsite(org)
    site = {"name": "Lot 4", "zone_id": zone["id"]}
    site_id = (await org.admin.post("/v1/sites", site)).json["id"]
    order = await _made(org, assignee_ids=[who.id], site_id=site_id)
    await _said(org, order, "assign", "start")
    begin = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=3)
    await who.punch("in", time=text(begin), fix_time=text(begin))
    end = text(begin + timedelta(minutes=90))
    await who.punch("out", time=end, fix_time=end)
    part = await stocked(org, quantity=3)
    use = {"quantity": 2, "warehouse_id": part["warehouses"]}
    path = f"/v1/work-orders/{order['id']}"
    assert (await org.technician.post(f"{path}/parts/{part['parts']}/consume", use)).status == 200

    async def costs() -> dict[str, Any]:
        shown = (await org.dispatcher.get(path, include="costs")).json
        assert shown["worked_s"] == 5_400
        return shown["costs"]

    of_parts = {"currency": "EUR", "labour_cents": 0, "parts_cents": 500, "total_cents": 500}
    assert await costs() == {"sums": [of_parts], "uncosted_s": 5_400}
    rate = {"hourly_cost_cents": 4_801, "currency": "EUR"}
    assert (await org.dispatcher.patch(f"/v1/employees/{who.id}", rate)).status == 200
    both = {"currency": "EUR", "labour_cents": 7_202, "parts_cents": 500, "total_cents": 7_702}
    assert await costs() == {"sums": [both], "uncosted_s": 0}
    await org.dispatcher.patch(path, {"labour_cost_cents": 100, "currency": "CHF"})
    assert [(each["currency"], each["total_cents"]) for each in (await costs())["sums"]] == [
        ("CHF", 100),
        ("EUR", 500),
    ]
    for caller in (org.viewer, org.technician):
        assert (await caller.get(path, include="costs")).status == 403
        assert "costs" not in (await caller.get(path)).json
    assert (await org.viewer.get(path, include="price")).status == 400


async def test_what_an_hour_costs_is_for_dispatchers_and_admins_alone(org: Organization) -> None:
    who = await _employee(org)
    path, rate = f"/v1/employees/{who}", {"hourly_cost_cents": 4_800, "currency": "CHF"}
    assert (await org.dispatcher.patch(path, rate)).json["hourly_cost_cents"] == 4_800
    for caller, shown in (
        (org.admin, rate),
        (org.dispatcher, rate),
        (org.technician, dict.fromkeys(rate)),
        (org.viewer, dict.fromkeys(rate)),
    ):
        rows = [await caller.get(path)]
        listed = (await caller.get("/v1/employees", limit=1000)).json["data"]
        for row in [rows[0].json, *[each for each in listed if each["id"] == who]]:
            assert row | shown == row
    alone = await org.dispatcher.patch(path, {"currency": None})
    assert alone.json["errors"][0]["pointer"] == "/currency"
    seen = {"If-Match": (await org.dispatcher.get(path)).headers["ETag"]}
    changed = await org.dispatcher.send("PATCH", path, headers=seen, json={"name": "Ben K."})
    assert changed.status == 200


async def test_a_work_order_is_a_pdf_for_those_who_accept_it(
    anna: tuple[Organization, Worker],
) -> None:
    org, worker_ = anna
    client = {"name": "Frei Immobilien", "address": "Pilatusstrasse 3"}
    order = await _made(
        org,
        client_id=(await org.admin.post("/v1/clients", client)).json["id"],
        assignee_ids=[worker_.id],
        checklist=[{"text": "Lock the switch.", "done": True}],
    )
    photo_id = (await upload(org.technician, photo(), work_order_id=order["id"])).json["id"]
    await upload(org.technician, b"hello", "notes.txt", work_order_id=order["id"])
    path = f"/v1/work-orders/{order['id']}"
    text, images = await _printed(org, path)
    for line in ("Work order 1", "Frei Immobilien", "Pilatusstrasse 3", "Anna Keller", "notes.txt"):
        assert line in text
    assert (images, "Sign-off Name Signature Date" in text) == (1, True)
    await _say(org, order, "assign")
    await _say(org, order, "start")
    drawn = base64.b64encode(signature()).decode()
    for given, shown in (
        ({"signature": drawn}, 2),
        ({"signature_attachment_id": photo_id}, 2),
        ({"signature": base64.b64encode(bomb(50_000, 50_000)).decode()}, 1),
        ({}, 1),
    ):
        body = {"signer_name": "Peter Frei"} | given
        assert (await _say(org, order, "complete", body)).status == 200
        text, images = await _printed(org, path)
        assert (images, "Peter Frei" in text, "Completed" in text) == (shown, True, True)
        await _say(org, order, "reopen")
        assert "Peter Frei" not in (await _printed(org, path))[0]
        await _say(org, order, "start")
    await _say(org, order, "cannot-complete")
    assert "Cannot complete The part is missing." in (await _printed(org, path))[0]
    assert (await org.viewer.get(path)).json["id"] == order["id"]


async def _printed(org: Organization, path: str) -> tuple[str, int]:
    """Return the text of the one page of a work order, and how many images it has."""
    answer = await org.viewer.get(path, {"Accept": "application/pdf"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/pdf")
    (page,) = PdfReader(io.BytesIO(answer.content)).pages
    return " ".join(page.extract_text().split()), len(page.images)
