"""One work order: as JSON with its costs, or on paper with its names, photos and signature."""

from contextlib import suppress
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.item_pdf import ItemDocument
from api.documents.typst_printer import picture_name
from api.http import fields
from api.http.encoding import id_text, ok
from api.http.problems import forbidden
from api.photos.copier import PhotoError
from api.request.access import Access, Reader
from api.request.document_answers import PDF_TYPES, file_answer, rendered, varying, wants_pdf
from api.request.resource import Item
from api.request.route import TenantRoute
from api.resources.clients import clients
from api.resources.organization_logo import letterhead_of
from api.resources.sites import sites
from api.resources.work_orders.listing import (
    INCLUDED,
    WorkOrderItem,
    WorkOrderPath,
    included_names,
    orders,
    work_order_item,
)
from api.resources.work_orders.parts import order_part_item
from api.resources.work_orders.records import transition_without_signature
from db.core.connect import Connection
from db.resources import organizations, photo_copies
from db.resources.attachments import attachments
from db.resources.names import names_of
from db.resources.work_orders import WorkOrder, WorkOrderTransition, last_transition
from db.stock.work_order_costs import costs_of
from db.stock.work_order_parts import MAX_ORDER_PARTS, order_parts
from languages.catalogue import say
from languages.language import Language
from operations.work_orders.costs import OrderCosts
from operations.work_orders.states import MOVES, NEEDING_A_REASON, SIGNED

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_INCLUDE_OF_ONE = "^({0})(,({0}))*$".format(f"costs|{INCLUDED}")
_MAX_PRINTED_FILES = 100
_EXPLAINED = {each.then for each in MOVES if each.verb in NEEDING_A_REASON}


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


# On paper -----------------------------------------------------------------------------------------


async def _printed(access: Access, work_order_id: UUID) -> Response:
    async with access.transaction() as conn:
        row = await orders.found(conn, work_order_id)
        document = await _document(conn, access, row)
        drawing = await _drawing(conn, row) if access.sees_all else b""
    content = await rendered(_rendering(access, document, drawing))
    return file_answer(content, "application/pdf", f"work-order-{id_text('wo', work_order_id)}.pdf")


async def _rendering(access: Access, document: ItemDocument, drawing: bytes) -> bytes:
    """Return the PDF with the drawn signature, which is as the client sent it: it is decoded and
    written anew, and left out where it cannot be shown. Raises TooManyOfOne, TooManyOfAll.
    """
    org_id, files, name = access.caller.org_id, dict(document.files), ""
    if drawing:
        with suppress(PhotoError):
            picture = (await access.state.photos.signature(org_id, drawing)).content
            name = picture_name("signature", picture)
            files[name] = picture
    content = {**document.content, "signature": name}
    return await access.state.renderer.item(org_id, replace(document, content=content, files=files))


async def _document(conn: Connection, access: Access, row: WorkOrder) -> ItemDocument:
    """Return a work order to print, without its drawn signature."""
    organization = await organizations.find(conn)
    client = None if row.client_id is None else await clients.find(conn, row.client_id)
    site = None if row.site_id is None else await sites.find(conn, row.site_id)
    names = await included_names(conn, INCLUDED.replace("|", ","), [row])
    by = {UUID(task["by"]) for task in row.checklist if task["by"] is not None}
    users = await names_of(conn, "users", by)
    letterhead = await letterhead_of(conn, organization)
    last = await _last_transition(conn, row)
    photos, others = await _attached(conn, row, with_drawing=access.sees_all)
    files = {f"{number}.jpg": content for number, content in enumerate(photos)}
    return ItemDocument(
        template="work_order",
        organization=organization.name,
        letterhead=letterhead,
        timezone=organization.timezone,
        content={
            "order": work_order_item(row) | names[row.id],
            "client_address": client and client.address,
            "site_address": site and site.address,
            "users": {id_text("usr", each): name for each, name in users.items()},
            "parts": await _parts(conn, access, row),
            "transition": None if last is None else transition_without_signature(last),
            "open_tasks": _open_tasks(letterhead.language, row),
            "photos": [*files],
            "files": others,
        },
        files=files,
        changed_at=row.updated_at,
    )


def _open_tasks(language: Language, row: WorkOrder) -> str:
    """Return what is said beside a sign-off where the checklist was not done; else ""."""
    count = sum(not task["done"] for task in row.checklist)
    all_ = len(row.checklist)
    return say(language, "order-open-tasks", count=count, all=all_) if count else ""


async def _last_transition(conn: Connection, row: WorkOrder) -> WorkOrderTransition | None:
    """Return the transition whose reason or sign-off is printed."""
    if row.state in SIGNED:
        return await last_transition(conn, row.id, "completed")
    return await last_transition(conn, row.id, row.state) if row.state in _EXPLAINED else None


async def _parts(conn: Connection, access: Access, row: WorkOrder) -> list[Item]:
    """Return the parts that are planned or used, in the order in which they came."""
    newest = await order_parts.listing(
        conn, {"work_order_id": row.id}, after=None, limit=MAX_ORDER_PARTS, offset=0
    )
    return [
        order_part_item(access, each)
        for each in newest[::-1]
        if each.planned_milli or each.used_milli
    ]


async def _drawing(conn: Connection, row: WorkOrder) -> bytes:
    """Return what was drawn when the work order was completed, unless it was reopened since; empty
    where nothing was.
    """
    last = await _last_transition(conn, row)
    if last is None or last.signature or last.signature_attachment_id is None:
        return b"" if last is None else last.signature or b""
    thumbs = await photo_copies.thumbs(conn, [last.signature_attachment_id])
    return thumbs.get(last.signature_attachment_id, b"")


async def _attached(
    conn: Connection, row: WorkOrder, *, with_drawing: bool
) -> tuple[list[bytes], list[str]]:
    """Return the thumbnails of photos and the names of other files, in the order in which they
    came: of the newest that there is room for.
    """
    wanted = {"work_order_id": row.id} | ({} if with_drawing else {"signatures": False})
    newest = await attachments.listing(conn, wanted, after=None, limit=_MAX_PRINTED_FILES, offset=0)
    thumbs = await photo_copies.thumbs(conn, [each.id for each in newest])
    oldest_first = newest[::-1]
    photos = [thumbs[each.id] for each in oldest_first if each.id in thumbs]
    return photos, [each.file_name for each in oldest_first if each.id not in thumbs]
