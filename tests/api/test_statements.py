"""How many statements a request costs: as many for many rows as for few, and no more than a few."""

import re
from typing import Any

import pytest
import pytest_asyncio

from tests.api.photos.uploading import upload
from tests.api.request.plain import NEW, PLAIN
from tests.api.resources.alerting import store_alert
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stocked import stocked, tracked
from tests.api.stored import (
    START,
    Carried,
    carried,
    minute,
    store_event,
    store_fixes,
    store_refusal,
    store_unknown,
    store_visit,
    text,
)

pytestmark = pytest.mark.own_api

FEW, MANY = 2, 12
# The tenant, the rows and their number, what is included, and ids that are filtered by.
MOST = 7
MOST_FOR_ONE = 2
# The row, the punches that count, the clock, adjustments, and the punches to show.
MOST_FOR_ONE_OF = {"/v1/timesheets/{id}": 5}
WEEK_MINUTES = 7 * 24 * 60
# What no test makes rows of here, or what is one row in itself.
OTHER_LISTS = {
    "audit-events",
    "users",
    "api-keys",
    "event-types",
    "stops",
    "trips",
    *(f"reports/{name}" for name in ("day", "trips", "stops", "distance", "utilization")),
    *("reports/visits", "reports/presence"),
    "work-orders/{id}/comments",
    "work-orders/{id}/transitions",
    "work-orders/{id}/assets-on-site",
    "work-orders/{id}/parts",
}

LISTS = [
    "assets",
    "assets?include=last_position,zone_ids",
    "assets?zone_id={zone}&client_id={client}",
    "assets/positions",
    "trackers",
    "trackers?include=last_seen_at,connection",
    "trackers?connected=false",
    "zones",
    "zones/{zone}/versions",
    "zones/versions?from=2026-01-01T00:00:00Z",
    "visits",
    "visits?open=true&zone_id={zone}",
    "alerts",
    "alerts?open=true",
    *PLAIN,
    "sites?client_id={client}",
    "employees",
    "employees?expiring_before=2030-01-01",
    "employees/positions",
    "gateways",
    "unknown-devices",
    "report-schedules",
    "report-schedules?report=day&enabled=true",
    "punches",
    "punches?employee_id={employee}&reviewed=false&verdict=unverified",
    "shifts",
    "shifts?employee_id={employee}&open=false",
    "timesheets",
    "timesheets?employee_id={employee}&approval_status=open",
    "parts",
    "parts?asset_model=M",
    "inventory",
    "stock-lots",
    "stock-lots?lot=x&expires_before=2030-01-01",
    "stock-movements?serial=x",
    "inventory?warehouse_id={warehouse}&low=true&asset_model=M",
    "stock-movements",
    "stock-movements?warehouse_id={warehouse}&kind=count",
    "quotes",
    "quotes?status=draft,sent&client_id={client}&from=2020-01-01T00:00:00Z",
    "inspection-templates",
    "inspection-templates/{template}/versions",
    "inspection-forms",
    "inspection-forms?template_id={template}&status=draft&employee_id={employee}",
    "attachments",
    "work-orders",
    "work-orders?client_id={client}&status=created,assigned&overdue=false",
    "work-orders?asset_id={asset}&assignee_id={employee}&sort=due_at",
    "work-orders?include=client,site,assignees,assets&sort=planned_start",
    "work-orders?q=crane&unassigned=false&created_from=2020-01-01T00:00:00Z",
    "attachments?client_id={client}",
    "jobs",
    "jobs?open=true&kind=import_assets&state=waiting",
    "commands",
    "commands?state=queued",
    "events",
    "quarantine",
    "webhook-endpoints",
    "webhook-deliveries",
    "webhook-deliveries?endpoint_id={endpoint}&state=pending&type=stock.low",
    "gps-events?tracker_id={tracker}",
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ids(api: RunningApi, north: Organization) -> dict[str, str]:
    """More than FEW of everything; the ids of one of each."""
    await north.admin.patch("/v1/organization", {"shows_employees": True})
    zone = (await north.admin.post("/v1/zones", {"name": "Z", "geometry": square()})).json["id"]
    client = (await north.admin.post("/v1/clients", {"name": "C"})).json["id"]
    warehouse = (await north.admin.post("/v1/warehouses", {"name": "W"})).json["id"]
    for number in range(MANY):
        await stocked(north, f"{number}", warehouse)
        await tracked(north, "serial", serials=["x"], expires_on="2029-12-31")
        who = await _one_more(api, north, zone, client)
        store_refusal(api, north, who.tracker_id, str(number).encode())
        store_event(api, north, number + 1)
        await store_alert(api, north)
    employees = (await north.admin.get("/v1/employees", limit=1)).json["data"]
    employee = employees[0]["id"]
    for number in range(MANY):
        punch = {"employee_id": employee, "kind": "in", "time": text(minute(number * WEEK_MINUTES))}
        made = await north.admin.post("/v1/punches", punch | {"reason": "forgotten"})
        assert made.status == 201
    for _ in range(MANY):
        order = {"assignee_ids": [employee], "asset_ids": [who.asset_id], "client_id": client}
        made = await north.admin.post("/v1/work-orders", {"title": "Crane"} | order)
        assert made.status == 201
    template = await _inspections(north, employee)
    _store_jobs(api, north)
    for _ in range(MANY):
        await north.admin.post(f"/v1/trackers/{who.tracker_id}/commands", {"text": "getinfo"})
    hook = {"url": "https://example.com/", "types": ["*"]}
    endpoint = (await north.admin.post("/v1/webhook-endpoints", hook)).json["id"]
    for _ in range(MANY):
        path = f"/v1/webhook-endpoints/{endpoint}/test"
        assert (await north.admin.post(path, {"type": "stock.low"})).status == 202
    ids = {"zone": zone, "client": client, "tracker": who.tracker_id, "employee": employee}
    ids["endpoint"] = endpoint
    return ids | {"warehouse": warehouse, "asset": who.asset_id, "template": template}


def _store_jobs(api: RunningApi, org: Organization) -> None:
    """Store more jobs than an organization may have at a time."""
    api.sql(
        "INSERT INTO jobs (org_id, id, kind, created_by, via, credential_id, request_id,"
        " expires_at)"
        " SELECT org_id, gen_random_uuid(), 'import_assets', id, 'token', id, 'x', now()"
        "   FROM users, generate_series(1, %s) WHERE org_id = %s AND role = 'admin'",
        MANY,
        org.org_id,
    )


async def _inspections(org: Organization, employee: str) -> str:
    """Return a template that has many versions and many forms."""
    sections = [{"title": "T", "questions": [{"id": "q", "type": "text", "label": "Q"}]}]
    for number in range(MANY):
        body = {"name": f"I {number}", "sections": sections}
        made = await org.admin.post("/v1/inspection-templates", body)
    template: str = made.json["id"]
    for number in range(MANY):
        await org.admin.patch(f"/v1/inspection-templates/{template}", {"name": f"J {number}"})
        form = {"template_id": template, "employee_id": employee, "status": "draft"}
        assert (await org.admin.post("/v1/inspection-forms", form)).status == 201
    return template


async def _one_more(api: RunningApi, org: Organization, zone: str, client: str) -> Carried:
    who = await carried(org)
    await org.admin.patch(f"/v1/assets/{who.asset_id}", {"client_id": client})
    store_visit(api, org, who, zone, minute(1))
    store_fixes(api, org, who.tracker_id, [START, minute(1)])
    store_unknown(api, org, who.asset_id)
    await org.admin.patch(f"/v1/zones/{zone}", {"name": who.asset_id})
    bodies: dict[str, Any] = {
        "zones": {"name": "Z", "geometry": square()},
        **dict.fromkeys(PLAIN, NEW),
        "sites": {"name": "S", "client_id": client},
        "employees": {"name": "E", "certifications": [{"name": "x", "expires_on": "2020-01-01"}]},
        "gateways": {"name": "G", "kind": "tts"},
        "report-schedules": {"name": "R", "report": "day", "cadence": "daily"},
        "quotes": {
            "client_id": client,
            "title": "Q",
            "currency": "CHF",
            "valid_until": "2099-01-01",
            "lines": [{"description": "x", "quantity_thousandths": 1, "unit_price_cents": 1}],
        },
        "webhook-endpoints": {"url": "https://example.com/", "types": ["*"]},
    }
    for path, body in bodies.items():
        assert (await org.admin.post(f"/v1/{path}", body)).status == 201
    assert (await upload(org.admin, b"hello", client_id=client)).status == 201
    return who


def _of_the_tenant(statements: list[str]) -> list[str]:
    """Return the statements that the handler's own work needs.

    Left out are those that name the tenant, and those that find out who asks and by which plan,
    which is remembered for a while.
    """
    tenant = "CALL "
    kept: list[str] = []
    for each in statements:
        if each.startswith("SELECT plan, api_addon"):
            kept.remove(next(one for one in kept if one.startswith(tenant)))
        else:
            kept.append(each)
    begun = next(n for n, each in enumerate(kept) if each.startswith(tenant))
    return [each for each in kept[begun:] if not each.startswith(tenant)]


@pytest.mark.parametrize("path", LISTS)
async def test_a_list_costs_as_many_statements_for_many_rows_as_for_few(
    api: RunningApi, north: Organization, ids: dict[str, str], path: str
) -> None:
    named = "/v1/" + path.format(**ids)
    sent: dict[int, list[str]] = {}
    for limit in (FEW, MANY):
        before = len(api.statements)
        answer = await north.dispatcher.get(
            named + ("&" if "?" in named else "?") + f"limit={limit}"
        )
        sent[limit] = _of_the_tenant(api.statements[before:])
        rows = len(answer.json["data"])
        assert rows == limit if "tracker_id=" not in path else rows == FEW
    assert len(sent[FEW]) == len(sent[MANY]) <= MOST, sent


async def test_every_list_is_counted_above(api: RunningApi) -> None:
    """A new list belongs into LISTS, and `ids` makes more than FEW of what it lists."""
    document = (await api.anonymous.get("/openapi.json")).json
    lists = {
        path.removeprefix("/v1/")
        for path, operations in document["paths"].items()
        if any(each["name"] == "cursor" for each in operations.get("get", {}).get("parameters", ()))
    }
    assert lists - OTHER_LISTS == {re.sub("{.*}", "{id}", path.partition("?")[0]) for path in LISTS}


async def test_one_thing_costs_a_few_statements(
    api: RunningApi, north: Organization, ids: dict[str, str]
) -> None:
    assert (await north.admin.post("/v1/api-keys", {"name": "K"})).status == 201
    document = (await api.anonymous.get("/openapi.json")).json
    paths = [path for path in document["paths"] if path.endswith("/{id}")]
    readable = [path for path in paths if "get" in document["paths"][path]]
    sent: dict[str, list[str]] = {}
    for path in readable:
        listed = (await north.admin.get(path.removesuffix("/{id}"), limit=1)).json["data"]
        assert listed, f"{path}: `ids` makes none"
        before = len(api.statements)
        assert (await north.admin.get(path.format(id=listed[0]["id"]))).status == 200
        sent[path] = _of_the_tenant(api.statements[before:])
    assert "/v1/assets/{id}" in sent
    for path, statements in sent.items():
        assert len(statements) <= MOST_FOR_ONE_OF.get(path, MOST_FOR_ONE), statements
