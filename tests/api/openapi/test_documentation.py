"""The OpenAPI document says what the routes do."""

import re
from pathlib import Path
from typing import Any

import pytest_asyncio
from pydantic import BaseModel

from api.resources.assets.bodies import AssetItem
from api.resources.assets.positions import AssetPosition
from api.resources.attachments.routes import AttachmentItem
from api.resources.employee_positions import EmployeePosition
from api.resources.employees import EmployeeItem
from api.resources.events import EventItem
from api.resources.gateways import GatewayItem, NewGatewayItem
from api.resources.gps_events import GpsEventItem
from api.resources.inspections.forms import InspectionFormDetail, InspectionFormItem
from api.resources.inspections.templates import (
    InspectionTemplateDetail,
    InspectionTemplateItem,
    TemplateVersionItem,
)
from api.resources.organization import OrganizationItem
from api.resources.punches import PunchDetail, PunchItem
from api.resources.quotes.evidence import EvidenceCheck
from api.resources.quotes.listing import QuoteItem
from api.resources.shifts import ShiftItem
from api.resources.stock.inventory import InventoryItem
from api.resources.stock.lots import StockLotItem
from api.resources.stock.movements import StockMovementItem
from api.resources.stock.parts import PartItem
from api.resources.timesheets.detail import TimesheetDetail
from api.resources.timesheets.listing import TimesheetItem
from api.resources.trackers.bodies import NewTrackerItem, TrackerItem
from api.resources.unknown_devices import UnknownDeviceItem
from api.resources.visits import VisitItem
from api.resources.webhooks.bodies import EndpointItem, NewEndpointItem
from api.resources.work_orders.detail import WorkOrderDetail
from api.resources.work_orders.listing import WorkOrderItem
from api.resources.work_orders.parts import OrderPartItem
from api.resources.work_orders.records import CommentItem, TransitionItem
from api.resources.zones.bodies import VersionItem, ZoneItem, ZoneVersionItem
from tests.api.photos.uploading import upload
from tests.api.request.plain import NEW, PLAIN
from tests.api.resources.quoting import draft
from tests.api.running import Organization, RunningApi
from tests.api.shapes import square
from tests.api.stocked import stocked, tracked
from tests.api.stored import (
    carried,
    minute,
    store_event,
    store_fixes,
    store_unknown,
    store_visit,
    text,
)


def agrees(model: type[BaseModel], item: dict[str, Any]) -> bool:
    """Return whether the item has the model's fields, all of them and no other, of the right types;
    one that has a default may be missing.
    """
    model.model_validate(item)
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    return required <= set(item) <= set(model.model_fields)


async def one_more_part(org: Organization, order_id: str) -> None:
    """Plan a part for a work order."""
    plan = {"part_id": (await stocked(org))["parts"], "quantity": 1}
    assert (await org.admin.post(f"/v1/work-orders/{order_id}/parts", plan)).status == 201


async def inspection(org: Organization, employee_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a new template, and a form of it with a defect."""
    questions = [{"id": "brakes", "type": "pass_fail", "label": "Do the brakes hold?"}]
    body = {"name": "Daily", "sections": [{"title": "Chassis", "questions": questions}]}
    template = (await org.admin.post("/v1/inspection-templates", body)).json
    answers = {"brakes": {"value": "fail", "note": "Pads are worn."}}
    form = {"template_id": template["id"], "employee_id": employee_id, "answers": answers}
    return template, (await org.admin.post("/v1/inspection-forms", form)).json


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(api: RunningApi) -> dict[str, Any]:
    """The OpenAPI document."""
    return (await api.anonymous.get("/openapi.json")).json


async def test_answers_have_the_fields_that_are_documented(
    api: RunningApi, north: Organization
) -> None:
    who = await carried(north)
    zone = (await north.admin.post("/v1/zones", {"name": "x", "geometry": square()})).json
    hook = {"url": "https://example.com/", "types": ["*"]}
    assert agrees(NewEndpointItem, (await north.admin.post("/v1/webhook-endpoints", hook)).json)
    assert agrees(NewTrackerItem, (await north.admin.post("/v1/trackers", {})).json)
    gateway = {"name": "x", "kind": "tts"}
    assert agrees(NewGatewayItem, (await north.admin.post("/v1/gateways", gateway)).json)
    assert agrees(OrganizationItem, (await north.viewer.get("/v1/organization")).json)
    for path in PLAIN:
        await north.admin.post(f"/v1/{path}", NEW)
    certified = {"name": "x", "certifications": [{"name": "Crane", "expires_on": "2030-01-01"}]}
    employee = (await north.admin.post("/v1/employees", certified)).json["id"]
    await north.admin.patch("/v1/organization", {"shows_employees": True})
    punch = {"employee_id": employee, "kind": "in", "time": text(minute(0)), "reason": "forgotten"}
    assert agrees(PunchDetail, (await north.admin.post("/v1/punches", punch)).json)
    await stocked(north)
    await tracked(north, "lot", lot="A", expires_on="2030-01-31")
    quote = await draft(north)
    checked = await north.admin.get(f"/v1/quotes/{quote['id']}/evidence")
    assert agrees(EvidenceCheck, checked.json)
    order = {"title": "x", "checklist": [{"text": "x", "done": True}]}
    order = (await north.admin.post("/v1/work-orders", order)).json["id"]
    comment = await north.admin.post(f"/v1/work-orders/{order}/comments", {"text": "x"})
    assert agrees(CommentItem, comment.json)
    await one_more_part(north, order)
    costs = await north.admin.get(f"/v1/work-orders/{order}", include="costs")
    assert agrees(WorkOrderDetail, costs.json)
    template, form = await inspection(north, employee)
    assert agrees(InspectionTemplateDetail, template)
    assert agrees(InspectionFormDetail, form)
    await upload(north.admin, b"hello", asset_id=who.asset_id)
    store_fixes(api, north, who.tracker_id, [minute(0)])
    store_visit(api, north, who, zone["id"], minute(0))
    store_event(api, north, 1)
    store_unknown(api, north, "356938035643809", place=(47, 8))
    lists: dict[str, type[BaseModel]] = {
        "assets?include=last_position,zone_ids": AssetItem,
        "assets/positions": AssetPosition,
        "trackers?include=last_seen_at,connection": TrackerItem,
        "zones": ZoneItem,
        "attachments": AttachmentItem,
        **PLAIN,
        "employees": EmployeeItem,
        "employees/positions": EmployeePosition,
        "gateways": GatewayItem,
        "unknown-devices": UnknownDeviceItem,
        "parts": PartItem,
        "inventory": InventoryItem,
        "stock-lots": StockLotItem,
        "stock-movements": StockMovementItem,
        "punches": PunchItem,
        "shifts": ShiftItem,
        "timesheets": TimesheetItem,
        "quotes": QuoteItem,
        "work-orders": WorkOrderItem,
        f"work-orders/{order}/comments": CommentItem,
        f"work-orders/{order}/transitions": TransitionItem,
        f"work-orders/{order}/parts": OrderPartItem,
        "inspection-templates": InspectionTemplateItem,
        f"inspection-templates/{template['id']}/versions": TemplateVersionItem,
        "inspection-forms": InspectionFormItem,
        f"zones/{zone['id']}/versions": VersionItem,
        "zones/versions": ZoneVersionItem,
        "gps-events": GpsEventItem,
        "visits": VisitItem,
        "events": EventItem,
        "webhook-endpoints": EndpointItem,
    }
    for path, model in lists.items():
        rows = (await north.admin.get(f"/v1/{path}")).json["data"]
        assert rows, path
        assert all(agrees(model, row) for row in rows), path
    sheet = (await north.admin.get("/v1/timesheets")).json["data"][0]["id"]
    assert agrees(TimesheetDetail, (await north.admin.get(f"/v1/timesheets/{sheet}")).json)


async def test_every_operation_has_an_id_and_says_what_it_answers(
    document: dict[str, Any],
) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids))
    for operation in operations:
        good = [status for status in operation["responses"] if status.startswith("2")]
        if operation["operationId"] == "getAttachmentContent":
            assert good == ["200", "206"]
            continue
        if operation["operationId"] == "getOrganizationLogo":
            assert list(operation["responses"]["200"]["content"]) == ["*/*"]
            continue
        if operation["operationId"] in ("getQuotePdf", "getQuoteAcceptedPdf"):
            assert list(operation["responses"]["200"]["content"]) == ["application/pdf"]
            continue
        if operation["operationId"] == "streamEvents":
            assert list(operation["responses"]["200"]["content"]) == ["text/event-stream"]
            continue
        if operation["operationId"] == "getExportFile":
            content = operation["responses"]["200"]["content"]
            assert "application/octet-stream" in content
            continue
        is_import = operation["operationId"] in ("importAssets", "importTrackers")
        assert len(good) == 1 + is_import  # and the outcome of a dry run
        if good != ["204"]:
            content = operation["responses"][good[0]]["content"]
            assert "$ref" in content["application/json"]["schema"]


async def test_every_operation_but_signing_in_wants_a_token(document: dict[str, Any]) -> None:
    open_to_all = {
        path
        for path, operations in document["paths"].items()
        for operation in operations.values()
        if operation.get("security") != [{"bearer": []}, {"password": []}]
    }
    assert open_to_all == {
        "/.well-known/jwks.json",
        "/v1/auth/invitations/accept",
        "/v1/auth/password-reset",
        "/v1/auth/password-reset/confirm",
        "/v1/auth/refresh",
        "/v1/auth/revoke",
        "/v1/auth/session",
        "/v1/auth/token",
    }


async def test_the_written_page_says_where_each_resource_is_explained(
    document: dict[str, Any],
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
    (table,) = re.findall(r"^\| paths \| page \|\n(.*?)\n\n", page, re.MULTILINE | re.DOTALL)
    named = set(re.findall(r"`(/[\w-]+)`", table))
    resources = {path.split("/")[2] for path in document["paths"] if path.startswith("/v1/")}
    assert named == {f"/{resource}" for resource in resources} | {"/ws"}
    others = [path for path in document["paths"] if not path.startswith("/v1/")]
    assert [path for path in others if f"`{path}`" not in page] == []
