"""Entity tags: what a client has is not sent again; what it has not seen is not written over."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from tests.api.photos.uploading import upload
from tests.api.problems import is_problem
from tests.api.request.plain import NEW, PLAIN
from tests.api.resources.alerting import store_alert
from tests.api.resources.quoting import draft
from tests.api.running import Answer, Client, Organization, RunningApi
from tests.api.shapes import square
from tests.api.stocked import stocked
from tests.api.stored import carried, minute, store_event, store_refusal, store_unknown, store_visit

CHANGES: dict[str, Any] = {
    "assets": {"name": "Other"},
    "trackers": {"name": "Other"},
    "zones": {"name": "Other"},
    "organization": {"name": "Other"},
    "alerts": {"text": "Other"},
    **{name: {"name": "Other"} for name in PLAIN},
    "employees": {"name": "Other"},
    "gateways": {"name": "Other"},
    "report-schedules": {"name": "Other"},
    "parts": {"name": "Other"},
    "inventory": {"reorder_point": 4},
    "quotes": {"title": "Other"},
    "users": {"name": "Second"},
    "inspection-templates": {"name": "Other"},
    "webhook-endpoints": {"description": "Other"},
}
ALONE = {"/v1/auth/session", "/v1/users/me"}  # nobody else changes these
ELSEWHERE = {"/v1/organization/logo"}  # tested with the rest of it
DELETED = (
    "quotes",
    "users",
    "api-keys",
    "zones",
    "quarantine",
    "unknown-devices",
    "webhook-endpoints",
    "employees",
    "attachments",
    "assets",
    "parts",
    "work-orders",
    "inspection-templates",
    "report-schedules",
    *PLAIN,
)
REPORT = {"name": "x", "report": "day", "cadence": "daily"}
TEMPLATE = {
    "name": "Daily",
    "sections": [
        {
            "title": "Tyres",
            "questions": [{"id": "bar", "type": "number", "label": "Pressure", "minimum": 2}],
        }
    ],
}


async def _things(api: RunningApi, org: Organization) -> dict[str, str]:
    """Make one of everything, and return its path by the name of its list."""
    who = await carried(org)
    zone = (await org.admin.post("/v1/zones", {"name": "x", "geometry": square()})).json["id"]
    user = {"email": "anna@example.com", "role": "viewer"}
    hook = {"url": "https://example.com/", "types": ["*"]}
    ids = {
        "assets": who.asset_id,
        "trackers": who.tracker_id,
        "zones": zone,
        "unknown-devices": store_unknown(api, org, "356938035643809"),
        "quarantine": store_refusal(api, org, who.tracker_id),
        "visits": store_visit(api, org, who, zone, minute(0)),
        "events": store_event(api, org, 1),
        "alerts": await store_alert(api, org),
        "webhook-endpoints": (await org.admin.post("/v1/webhook-endpoints", hook)).json["id"],
        "users": (await org.admin.post("/v1/users", user)).json["id"],
        "api-keys": (await org.admin.post("/v1/api-keys", {"name": "x"})).json["id"],
        "quotes": (await draft(org))["id"],
        "work-orders": (await org.admin.post("/v1/work-orders", {"title": "x"})).json["id"],
    }
    new = dict.fromkeys((*PLAIN, "employees"), NEW) | {"gateways": NEW | {"kind": "tts"}}
    new["report-schedules"] = REPORT
    for name, body in new.items():
        ids[name] = (await org.admin.post(f"/v1/{name}", body)).json["id"]
    ids |= await stocked(org, quantity=0)
    made = await org.admin.post("/v1/inspection-templates", TEMPLATE)
    ids["inspection-templates"] = made.json["id"]
    uploaded = await upload(org.admin, b"hello", asset_id=who.asset_id)
    ids["attachments"] = uploaded.json["id"]
    paths = {name: f"/v1/{name}/{one}" for name, one in ids.items()}
    return paths | {"organization": "/v1/organization"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def things(api: RunningApi, north: Organization) -> dict[str, str]:
    """The paths of things that nobody deletes."""
    return await _things(api, north)


async def _get(client: Client, path: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(path, headers=named)


async def _send(client: Client, method: str, path: str, if_match: str, body: Any = None) -> Answer:
    return await client.send(method, path, headers={"If-Match": if_match}, json=body)


async def test_one_thing_has_a_strong_tag_and_is_not_sent_again(
    north: Organization, things: dict[str, str]
) -> None:
    for path in things.values():
        first = await north.admin.get(path)
        tag = first.headers["ETag"]
        assert tag.startswith('"'), path
        assert (await north.admin.get(path)).headers["ETag"] == tag
        for header in (tag, f"W/{tag}", f'"x", {tag}', "*", f'"a,b" ,{tag},"c"'):
            again = await _get(north.admin, path, If_None_Match=header)
            assert (again.status, again.content, again.headers["ETag"]) == (304, b"", tag)
            assert "X-Request-Id" in again.headers
        for header in ('"x"', tag.strip('"'), "", f'"x" {tag}', f"{tag}; x"):
            assert (await _get(north.admin, path, If_None_Match=header)).status == 200


async def test_a_list_has_a_tag_too(north: Organization, things: dict[str, str]) -> None:
    for name in things:
        tag = (await north.admin.get(f"/v1/{name}")).headers["ETag"]
        assert (await _get(north.admin, f"/v1/{name}", If_None_Match=tag)).status == 304
    await north.admin.post("/v1/assets", {"name": "One more"})
    assert (await _get(north.admin, "/v1/assets", If_None_Match=tag)).status == 200


async def test_a_work_order_is_changed_and_moved_as_it_was_seen_alone(north: Organization) -> None:
    made = await north.admin.post("/v1/work-orders", {"title": "x"})
    path, tag = made.headers["Location"], made.headers["ETag"]
    refused = await _send(north.admin, "PATCH", path, '"x"', {"title": "Other"})
    assert is_problem(refused, 412, "precondition_failed")
    changed = await _send(north.admin, "PATCH", path, tag, {"title": "Other"})
    assert changed.status == 200
    cancel = {"reason": "Nobody wants it."}
    refused = await _send(north.admin, "POST", f"{path}/cancel", tag, cancel)
    assert is_problem(refused, 412, "precondition_failed")
    moved = await _send(north.admin, "POST", f"{path}/cancel", changed.headers["ETag"], cancel)
    assert moved.status == 200


async def test_a_get_of_what_is_not_as_it_was_is_refused_where_that_is_asked(
    north: Organization, things: dict[str, str]
) -> None:
    path = things["assets"]
    tag = (await north.admin.get(path)).headers["ETag"]
    assert (await _get(north.admin, path, If_Match=tag)).status == 200
    assert is_problem(await _get(north.admin, path, If_Match='"x"'), 412, "precondition_failed")


@pytest.mark.parametrize("name", list(CHANGES))
async def test_a_change_is_made_to_what_was_seen_alone(
    north: Organization, things: dict[str, str], name: str
) -> None:
    path, body = things[name], CHANGES[name]
    third = dict.fromkeys(body, 5 if "reorder_point" in body else "Third")
    seen = await north.admin.get(path)
    tag = seen.headers["ETag"]
    for header in ('"x"', f"W/{tag}", "nonsense", "", f'"x", W/{tag}'):
        answer = await _send(north.admin, "PATCH", path, header, body)
        assert is_problem(answer, 412, "precondition_failed"), header
    assert (await north.admin.get(path)).content == seen.content
    changed = await _send(north.admin, "PATCH", path, f'"x", {tag}', body)
    assert changed.status == 200
    now = await north.admin.get(path)
    assert changed.headers["ETag"] == now.headers["ETag"] != tag
    assert (await _send(north.admin, "PATCH", path, tag, third)).status == 412
    assert (await _send(north.admin, "PATCH", path, "*", third)).status == 200


async def test_a_timesheet_is_moved_as_it_was_seen_alone(north: Organization) -> None:
    employee = (await north.admin.post("/v1/employees", {"name": "x"})).json["id"]
    punch = {"employee_id": employee, "kind": "in", "time": "2026-03-02T07:00:00Z"}
    await north.admin.post("/v1/punches", punch | {"reason": "The phone was at home."})
    (made,) = (await north.admin.get(f"/v1/timesheets?employee_id={employee}")).json["data"]
    path, body = f"/v1/timesheets/{made['id']}", {"approval_status": "submitted"}
    tag = (await north.admin.get(path)).headers["ETag"]
    refused = await _send(north.admin, "PATCH", path, '"x"', body)
    assert is_problem(refused, 412, "precondition_failed")
    assert (await _send(north.admin, "PATCH", path, tag, body)).status == 200
    assert (await _send(north.admin, "PATCH", path, tag, {"approval_status": "open"})).status == 412


async def test_an_inspection_is_changed_and_submitted_as_it_was_seen_alone(
    north: Organization,
) -> None:
    template = (await north.admin.post("/v1/inspection-templates", TEMPLATE)).json["id"]
    form = {"template_id": template, "status": "draft"}
    made = await north.admin.post("/v1/inspection-forms", form)
    path, tag = made.headers["Location"], made.headers["ETag"]
    assert (await north.admin.get(path)).headers["ETag"] == tag
    body = {"answers": {"bar": {"value": 2.5, "note": "cold"}}}
    refused = await _send(north.admin, "PATCH", path, '"x"', body)
    assert is_problem(refused, 412, "precondition_failed")
    changed = await _send(north.admin, "PATCH", path, tag, body)
    assert changed.headers["ETag"] == (await north.admin.get(path)).headers["ETag"] != tag
    assert (await _send(north.admin, "POST", f"{path}/submit", tag)).status == 412
    done = await _send(north.admin, "POST", f"{path}/submit", changed.headers["ETag"])
    assert done.headers["ETag"] == (await north.admin.get(path)).headers["ETag"]


async def test_a_new_thing_has_the_tag_that_a_get_gives(north: Organization) -> None:
    bodies: dict[str, Any] = {
        "assets": {"name": "x"},
        "trackers": {},
        "zones": {"name": "x", "geometry": square()},
        "webhook-endpoints": {"url": "https://example.com/", "types": ["*"]},
        **dict.fromkeys(PLAIN, NEW),
        "sites": {"name": "x", "lat": 1, "lon": 2},
        "employees": {"name": "x", "certifications": [{"name": "Crane"}]},
        "gateways": {"name": "x", "kind": "tts"},
        "users": {"email": "ben@example.com", "role": "viewer"},
        "api-keys": {"name": "x"},
        "parts": {"number": "tagged", "name": "x"},
        "work-orders": {"title": "x"},
        "inspection-templates": TEMPLATE,
        "report-schedules": REPORT,
    }
    for name, body in bodies.items():
        made = await north.admin.post(f"/v1/{name}", body)
        got = await north.admin.get(made.headers["Location"])
        assert made.headers["ETag"] == got.headers["ETag"]


async def test_an_action_heeds_if_match_too(north: Organization) -> None:
    await _rotate_and_revoke(north, await north.admin.post("/v1/trackers", {}))
    gateway = {"name": "x", "kind": "tts"}
    await _rotate_and_revoke(north, await north.admin.post("/v1/gateways", gateway))


async def _rotate_and_revoke(north: Organization, made: Answer) -> None:
    path = made.headers["Location"]
    for action in ("rotate", "revoke"):
        answer = await _send(north.admin, "POST", f"{path}/{action}", '"x"')
        assert is_problem(answer, 412, "precondition_failed")
    rotated = await _send(north.admin, "POST", f"{path}/rotate", made.headers["ETag"])
    assert rotated.headers["ETag"] == (await north.admin.get(path)).headers["ETag"]
    assert (await _send(north.admin, "POST", f"{path}/revoke", "*")).status == 200


async def test_of_many_who_change_what_they_saw_one_wins(north: Organization) -> None:
    asset = await north.admin.post("/v1/assets", {"name": "x"})
    path, tag = asset.headers["Location"], asset.headers["ETag"]
    answers = await asyncio.gather(
        *(_send(north.admin, "PATCH", path, tag, {"name": f"name {n}"}) for n in range(8))
    )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 7


async def test_nothing_is_deleted_that_is_not_as_it_was_seen(api: RunningApi) -> None:
    org = api.organization("Acme")
    things = await _things(api, org)
    for name in DELETED:
        path = things[name]
        tag = (await org.admin.get(path)).headers["ETag"]
        answer = await _send(org.admin, "DELETE", path, '"x"')
        assert is_problem(answer, 412, "precondition_failed")
        assert (await _send(org.admin, "DELETE", path, tag)).status == 204


async def test_if_none_match_keeps_a_change_from_what_is_there(north: Organization) -> None:
    path = (await north.admin.post("/v1/assets", {"name": "x"})).headers["Location"]
    answer = await north.admin.send(
        "PATCH", path, headers={"If-None-Match": "*"}, json={"name": "y"}
    )
    assert is_problem(answer, 412, "precondition_failed")


async def test_every_route_that_changes_one_thing_heeds_if_match(
    api: RunningApi, things: dict[str, str]
) -> None:
    """A new resource that can be changed belongs into the tests above."""
    document = (await api.anonymous.get("/openapi.json")).json
    changing = {
        (method, path.split("/")[2])
        for path, operations in document["paths"].items()
        for method in operations
        if method in ("patch", "delete") and path not in ALONE | ELSEWHERE
    }
    named = (*CHANGES, "timesheets", "work-orders", "inspection-forms")
    tested = {("patch", name) for name in named}
    tested |= {("delete", name) for name in DELETED}
    assert changing == tested
