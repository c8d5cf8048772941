"""One work order: as JSON with its costs, or on paper with its names, photos and signature."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.work_order_pdf import (
    MAX_PRINTED_FILES,
    SheetPart,
    SheetSignature,
    SheetTask,
    WorkOrderSheet,
)
from api.http import fields
from api.http.encoding import id_text, ok
from api.http.fields import read_time
from api.http.problems import forbidden
from api.photos.copier import PhotoError
from api.request.access import Access, Reader
from api.request.document_answers import PDF_TYPES, file_answer, rendered, varying, wants_pdf
from api.request.resource import Item
from api.request.route import TenantRoute
from api.resources.organization_logo import letterhead_of
from api.resources.work_orders.listing import (
    INCLUDED,
    WorkOrderItem,
    WorkOrderPath,
    included_names,
    orders,
    work_order_item,
)
from db.core.connect import Connection
from db.resources import organizations, photo_copies
from db.resources.attachments import attachments
from db.resources.clients import clients
from db.resources.names import names_of
from db.resources.sites import sites
from db.resources.work_orders import WorkOrder, last_transition
from db.stock.work_order_costs import costs_of
from db.stock.work_order_parts import MAX_ORDER_PARTS, order_parts
from operations.work_orders.costs import OrderCosts

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_INCLUDE_OF_ONE = "^({0})(,({0}))*$".format(f"costs|{INCLUDED}")
_SIGNED = ("completed", "closed")
_EXPLAINED = ("on_hold", "cancelled", "cannot_complete")


class CostSumItem(BaseModel):
    """The costs in one currency, in whole minor units of it, as ISO 4217 has them."""

    currency: fields.Currency
    labour_cents: fields.Count
    parts_cents: fields.Count = Field(description="of what was used, as it was then")
    total_cents: fields.Count


class OrderCostsItem(BaseModel):
    """The costs of a work order."""

    sums: Annotated[list[CostSumItem], Field(max_length=1_000)] = Field(
        description="one for each currency"
    )
    uncosted_s: fields.Count = Field(
        description="work in no sum: of employees who have no hourly cost"
    )


class WorkOrderDetail(WorkOrderItem):
    """A work order. `costs` are there where `include` asks for them."""

    costs: OrderCostsItem | None = None


class WorkOrderShown(fields.Query):
    """The things to show beside a work order."""

    include: Annotated[
        str | None,
        fields.shaped(
            _INCLUDE_OF_ONE, f"must be of costs, {INCLUDED.replace('|', ', ')}, with commas"
        ),
        Field(
            max_length=100,
            description="the names of these, with commas, and costs, for dispatchers and admins"
            " alone",
            examples=["client,assignees"],
            json_schema_extra={"pattern": _INCLUDE_OF_ONE},
        ),
    ] = None

    @property
    def costs(self) -> bool:
        """Costs are asked for."""
        return self.include is not None and "costs" in self.include.split(",")


@router.get(
    "/{id}", operation_id="getWorkOrder", response_model=WorkOrderDetail, responses=PDF_TYPES
)
async def get_work_order(
    request: Request,
    access: Reader,
    work_order_id: WorkOrderPath,
    query: Annotated[WorkOrderShown, Query()],
) -> Response:
    """Return one work order; as a PDF with photos and sign-off for those who accept it. Its costs
    are shown to dispatchers and admins, and not in the PDF.
    """
    if wants_pdf(request):
        return await _printed(access, work_order_id)
    if not query.costs:
        return varying(await orders.get(access, work_order_id, query))
    if not access.sees_all:
        raise forbidden(f"The role {access.caller.role} may not see what a work order costs.")
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id)
        names = await included_names(conn, query.include or "", [row])
        costs = await costs_of(conn, row)
    more = names[row.id] | {"costs": _costs_item(costs)}
    return varying(ok(work_order_item(row) | more))


def _costs_item(costs: OrderCosts) -> Item:
    """Return an OrderCostsItem."""
    sums = [each._asdict() | {"total_cents": each.total_cents} for each in costs.sums]
    return {"sums": sums, "uncosted_s": costs.uncosted_s}


async def _rendering(access: Access, sheet: WorkOrderSheet) -> bytes:
    return await access.state.renderer.work_order(
        access.caller.org_id, await decoded(access, sheet)
    )


async def _printed(access: Access, work_order_id: UUID) -> Response:
    async with access.transaction() as conn:
        sheet = await sheet_of(
            conn, await orders.found(conn, work_order_id), with_drawing=access.sees_all
        )
    content = await rendered(_rendering(access, sheet))
    return file_answer(content, "application/pdf", f"work-order-{id_text('wo', work_order_id)}.pdf")


async def sheet_of(conn: Connection, row: WorkOrder, *, with_drawing: bool) -> WorkOrderSheet:
    """Return the sheet of a work order. Its drawn signature is as the client sent it: `decoded`
    has to follow. with_drawing: False leaves the drawing out.
    """
    organization = await organizations.find(conn)
    client = None if row.client_id is None else await clients.find(conn, row.client_id)
    site = None if row.site_id is None else await sites.find(conn, row.site_id)
    assignees = await names_of(conn, "employees", row.assignee_ids)
    assets = await names_of(conn, "assets", row.asset_ids)
    photos, files = await _attached(conn, row, with_drawing=with_drawing)
    return WorkOrderSheet(
        order_id=id_text("wo", row.id),
        organization=organization.name,
        letterhead=await letterhead_of(conn, organization),
        timezone=ZoneInfo(organization.timezone),
        number=row.number,
        title=row.title,
        description=row.description,
        priority=row.priority,
        state=row.state,
        reason=await _reason(conn, row),
        client="" if client is None else client.name,
        client_address="" if client is None else client.address or "",
        site="" if site is None else site.name,
        site_address="" if site is None else site.address or "",
        assignees=sorted(assignees.values()),
        assets=sorted(assets.values()),
        planned_start=row.planned_start,
        planned_end=row.planned_end,
        due_at=row.due_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        worked_s=row.worked_s,
        checklist=await _tasks(conn, row),
        parts=await _parts(conn, row),
        signature=await _signature(conn, row, with_drawing=with_drawing),
        photos=photos,
        files=files,
        changed_at=row.updated_at,
    )


async def decoded(access: Access, sheet: WorkOrderSheet) -> WorkOrderSheet:
    """Return the sheet with its drawn signature decoded and written anew, or without it where it
    cannot be shown. Raises TooManyOfOne, TooManyOfAll.
    """
    signature = sheet.signature
    if signature is None or not signature.picture:
        return sheet
    try:
        copy = await access.state.photos.signature(access.caller.org_id, signature.picture)
        picture = copy.content
    except PhotoError:
        picture = b""
    return replace(sheet, signature=signature._replace(picture=picture))


async def _reason(conn: Connection, row: WorkOrder) -> str:
    last = await last_transition(conn, row.id, row.state) if row.state in _EXPLAINED else None
    return "" if last is None else last.reason or ""


async def _tasks(conn: Connection, row: WorkOrder) -> list[SheetTask]:
    by = {UUID(task["by"]) for task in row.checklist if task["by"] is not None}
    names = await names_of(conn, "users", by)
    return [
        SheetTask(
            task["text"],
            task["done"],
            "" if task["by"] is None else names.get(UUID(task["by"]), ""),
            None if task["at"] is None else read_time(task["at"]),
        )
        for task in row.checklist
    ]


async def _parts(conn: Connection, row: WorkOrder) -> list[SheetPart]:
    """Return the parts that are planned or used, in the order in which they came."""
    newest = await order_parts.listing(
        conn, {"work_order_id": row.id}, after=None, limit=MAX_ORDER_PARTS, offset=0
    )
    return [
        SheetPart(each.part_number, each.part_name, each.unit, each.planned_milli, each.used_milli)
        for each in newest[::-1]
        if each.planned_milli or each.used_milli
    ]


async def _signature(
    conn: Connection, row: WorkOrder, *, with_drawing: bool
) -> SheetSignature | None:
    """Return what was signed when the work order was completed, unless it was reopened since."""
    last = await last_transition(conn, row.id, "completed") if row.state in _SIGNED else None
    if last is None or last.signer_name is None or last.signed_at is None:
        return None
    if not with_drawing:
        return SheetSignature(last.signer_name, last.signed_at, b"")
    picture = last.signature or b""
    if not picture and last.signature_attachment_id is not None:
        thumbs = await photo_copies.thumbs(conn, [last.signature_attachment_id])
        picture = thumbs.get(last.signature_attachment_id, b"")
    return SheetSignature(last.signer_name, last.signed_at, picture)


async def _attached(
    conn: Connection, row: WorkOrder, *, with_drawing: bool
) -> tuple[list[bytes], list[str]]:
    """Return the thumbnails of photos and the names of other files, in the order in which they
    came: of the newest that there is room for.
    """
    wanted = {"work_order_id": row.id} | ({} if with_drawing else {"signatures": False})
    newest = await attachments.listing(conn, wanted, after=None, limit=MAX_PRINTED_FILES, offset=0)
    thumbs = await photo_copies.thumbs(conn, [each.id for each in newest])
    oldest_first = newest[::-1]
    photos = [thumbs[each.id] for each in oldest_first if each.id in thumbs]
    return photos, [each.file_name for each in oldest_first if each.id not in thumbs]
