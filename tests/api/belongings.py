"""Things of every kind that an organization can have, and an id of each kind by its prefix.

`tests/api/test_tenants.py` and the audit try to reach from one organization what this made for
another, by every operation that takes such an id. A new kind (`db.resources.kinds`) is made from
the example of its POST; a kind that needs more is made here.
"""

import re
from typing import Any

from api.openapi.examples import example_of
from db.core.ids import new_id
from db.resources.kinds import KINDS
from tests.api.photos.uploading import upload
from tests.api.resources.alerting import store_alert
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stocked import stocked, tracked
from tests.api.stored import (
    carried,
    minute,
    store_connection,
    store_event,
    store_fixes,
    store_refusal,
    store_session,
    store_unknown,
    store_visit,
)

Ids = dict[str, str]
ID = re.compile(r"([a-z]+)_[0-7][0-9a-hjkmnp-tv-z]{25}")

FIRST = ("parent_id", "supersedes_id")
"""The first of a kind has none of these."""


async def one_of_everything(api: RunningApi, org: Organization, name: str) -> Ids:
    """Create things of `org` whose texts have `name` in them. Calling it again makes others."""
    await org.admin.patch("/v1/organization", {"shows_employees": True})
    who = await carried(org, f"{name} truck")
    store_fixes(api, org, who.tracker_id, [minute(number) for number in range(3)])
    store_connection(api, org, who.tracker_id, lease_s=60)
    store_session(api, org, who.tracker_id)
    hook = {"url": f"https://{name}.example.com/", "types": ["*"]}
    zone = await _made(org, "zones", {"name": f"{name} yard", "geometry": square()})
    ids = {
        "org": org.id,
        "usr": await _made(org, "users", _invited(api, org, name)),
        "key": await _made(org, "api-keys", {"name": f"{name} script"}),
        "ast": who.asset_id,
        "trk": who.tracker_id,
        "zon": zone,
        "att": (await upload(org.admin, name.encode(), zone_id=zone)).json["id"],
        "whe": (hook_id := await _made(org, "webhook-endpoints", hook)),
        "dlv": await _tested(org, hook_id),
        "unk": store_unknown(
            api, org, tracker_id=who.tracker_id, reason="wrong_secret", place=(47, 8)
        ),
        "qua": store_refusal(api, org, who.tracker_id, name.encode()),
        "alr": await store_alert(api, org, asset_name=f"{name} truck"),
        "vis": store_visit(api, org, who, zone, minute(0), minute(2)),
        "job": await _job(org, name),
        "cmd": await _command(org, who.tracker_id, name),
        "evt": store_event(api, org, _next_seq(api, org), data={"asset_name": f"{name} truck"}),
    }
    document = (await api.anonymous.get("/openapi.json")).json
    for kind in KINDS.values():
        if kind.table is not None and kind.prefix not in ids:
            path = kind.table.replace("_", "-")
            if path == "inventory":
                made = await stocked(org, name)
                ids |= {"inv": made["inventory"], "mov": made["stock-movements"]}
                ids["lot"] = (await tracked(org, "lot", lot=f"{name} lot"))["stock-lots"]
                continue
            body = new_body(document, f"/v1/{path}")
            body = with_ids({field: body[field] for field in body if field not in FIRST}, ids)
            texts = [field for field in ("name", "note", "title") if field in body]
            named = dict.fromkeys(texts, f"{name} {kind.noun}")
            if "number" in body:
                named["number"] = f"{name} {new_id()}"
            ids[kind.prefix] = await _made(org, path, body | named)
    await _planned(org, ids)
    return ids | await _hours(org, ids["emp"], name) | await _records(org, ids["wo"], name)


async def _job(org: Organization, name: str) -> str:
    """Return a job that waits, in place of those of calls before: ten may."""
    for job in (await org.admin.get("/v1/jobs", open="true")).json["data"]:
        await org.admin.post(f"/v1/jobs/{job['id']}/cancel", None)
    file = f"external_id,name\n{name} job,{name} truck\n"
    headers = {"Content-Type": "text/csv"}
    made = await org.admin.send("POST", "/v1/imports/assets", headers, data=file.encode())
    assert made.status == 202, made.json
    return made.json["id"]


async def _command(org: Organization, tracker_id: str, name: str) -> str:
    """Return a command that waits. The lease of the listener is shown, and none runs."""
    return await _made(org, f"trackers/{tracker_id}/commands", {"text": f"{name} command"})


async def _planned(org: Organization, ids: Ids) -> None:
    """Plan the part for the work order."""
    plan = {"part_id": ids["prt"], "quantity": 2}
    made = await org.admin.post(f"/v1/work-orders/{ids['wo']}/parts", plan)
    assert made.status == 201, made.json


async def _records(org: Organization, order_id: str, name: str) -> Ids:
    """Return a comment and a transition of a work order."""
    path = f"work-orders/{order_id}"
    comment = await _made(org, f"{path}/comments", {"text": f"{name} comment"})
    transition, *_ = (await org.admin.get(f"/v1/{path}/transitions")).json["data"]
    return {"woc": comment, "wot": transition["id"]}


async def _hours(org: Organization, employee_id: str, name: str) -> Ids:
    """Return the shift and the timesheet of the employee's punch."""
    (shift,) = (await org.admin.get("/v1/shifts", employee_id=employee_id)).json["data"]
    # The shift ends by rule after midnight, in the next week.
    sheet = (await org.admin.get("/v1/timesheets", employee_id=employee_id)).json["data"][0]
    adjustment = {"day": sheet["first_day"], "seconds": 60, "reason": f"{name} adjustment"}
    path = f"/v1/timesheets/{sheet['id']}/adjustments"
    made = await org.admin.post(path, adjustment)
    assert made.status == 201, made.json
    adjustment_id = made.json["adjustments"][0]["id"]
    return {"shf": shift["id"], "tms": sheet["id"], "adj": adjustment_id}


def new_body(document: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the example of a body that makes a thing, which can be sent again and again."""
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    body = example_of(content["schema"], document)
    return {field: value for field, value in body.items() if field != "external_id"}


def with_ids(value: Any, ids: Ids) -> Any:
    """Return the value with the id of the same kind from `ids` for each id in it."""
    if isinstance(value, dict):
        return {name: with_ids(each, ids) for name, each in value.items()}
    if isinstance(value, list):
        return [with_ids(each, ids) for each in value]
    found = ID.fullmatch(value) if isinstance(value, str) else None
    return ids[found[1]] if found else value


async def _tested(org: Organization, endpoint_id: str) -> str:
    path = f"/v1/webhook-endpoints/{endpoint_id}/test"
    return (await org.admin.post(path, {"type": "stock.low"})).json["id"]


async def _made(org: Organization, path: str, body: dict[str, Any]) -> str:
    answer = await org.admin.post(f"/v1/{path}", body)
    assert answer.status == 201, answer.json
    return answer.json["id"]


def _invited(api: RunningApi, org: Organization, name: str) -> dict[str, Any]:
    rows = api.sql("SELECT count(*) FROM users WHERE org_id = %s", org.org_id)
    return {"email": f"{name}.{rows[0][0]}@example.com", "role": "dispatcher"}


def _next_seq(api: RunningApi, org: Organization) -> int:
    rows = api.sql("SELECT count(seq) FROM events WHERE org_id = %s", org.org_id)
    return rows[0][0] + 1
