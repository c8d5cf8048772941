"""The parts of work orders: what is planned is reserved, and what is used is taken from stock.

A dispatcher plans, and a technician uses parts for the work orders that are assigned to them. Every
quantity is a movement of the ledger with the `work_order_id`. What is still reserved is released
when the order is closed, cancelled, given up or deleted.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, ok, optional_id_text, time_text
from api.http.problems import bad_field, conflict, not_found
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.paging import ListOf, SortedQuery
from api.request.references import check_reference, check_references
from api.request.route import TenantRoute
from api.resources.stock.named_lots import ExpiredLots, LotFields, expired_once
from api.resources.stock.quantities import (
    ShownQuantity,
    SomeQuantity,
    StockQuantity,
    shown_quantity,
)
from api.resources.stock.turns import stock_transaction
from api.resources.work_orders.listing import WorkOrderPath, check_own, orders
from api.resources.work_orders.records import listed_records
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import db_now
from db.resources.kinds import KINDS
from db.resources.work_orders import WorkOrder
from db.stock.work_order_parts import MAX_ORDER_PARTS, OrderPartRow, order_parts, part_of
from operations.stock import PartTracking
from operations.work_orders.states import RESERVING, USING, WORK_ORDERS
from use_cases.stock.order_parts import bring_back, consume, plan
from use_cases.work_orders import order_stock

router = APIRouter(prefix="/v1/work-orders", tags=["work-orders"], route_class=TenantRoute)
_PartPath = Annotated[fields.PartId, Path(alias="part_id")]


class PartPlan(fields.Body):
    """A part that is planned, and the warehouse in which it is reserved."""

    quantity: StockQuantity = Field(description="how much of it the whole work order takes")
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="null: not chosen, and nothing is reserved"
    )


class NewOrderPart(PartPlan):
    """A part that a work order plans."""

    part_id: fields.PartId


class OrderPartChange(PartPlan):
    """The fields to change. In a work order that is to be done, what is planned and not used yet is
    reserved then.
    """

    quantity: StockQuantity = Field(default_factory=fields.absent)


class PartMove(LotFields, fields.Body):
    """A quantity of a part that is used, or that was not needed after all."""

    quantity: SomeQuantity
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="null: the one that is planned"
    )


class OrderPartItem(BaseModel):
    """A part that a work order plans or uses."""

    work_order_id: fields.WorkOrderId
    part_id: fields.PartId
    part_number: Annotated[fields.Name, Field(examples=["OF-2210"])]
    part_name: Annotated[fields.Name, Field(examples=["Oil filter"])]
    unit: Annotated[fields.Name, Field(max_length=20, examples=["piece"])]
    tracking: PartTracking = Field(description="what a use of the part names")
    warehouse_id: fields.WarehouseId | None = Field(description="where it is reserved")
    planned: ShownQuantity
    reserved: ShownQuantity
    used: ShownQuantity = Field(description="less what came back")
    cost_cents: fields.Count | None = Field(
        description="of what was used, as it was then; null for viewers and technicians"
    )
    currency: fields.Currency
    created_at: datetime
    updated_at: datetime
    expired_lots: ExpiredLots = None


def order_part_item(access: Access, row: OrderPartRow) -> dict[str, Any]:
    """Return the JSON of a row as the caller may see it: an OrderPartItem."""
    return {
        "work_order_id": id_text("wo", row.work_order_id),
        "part_id": id_text("prt", row.part_id),
        "part_number": row.part_number,
        "part_name": row.part_name,
        "unit": row.unit,
        "tracking": row.tracking,
        "warehouse_id": optional_id_text("whs", row.warehouse_id),
        "planned": shown_quantity(row.planned_milli),
        "reserved": shown_quantity(row.reserved_milli),
        "used": shown_quantity(row.used_milli),
        "cost_cents": row.cost_cents if access.sees_all else None,
        "currency": row.currency,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


@router.get("/{id}/parts", operation_id="listWorkOrderParts", response_model=ListOf[OrderPartItem])
async def list_order_parts(
    access: Reader, work_order_id: WorkOrderPath, query: Annotated[SortedQuery, Query()]
) -> Response:
    """List the parts that a work order plans or uses, newest first."""
    item = partial(order_part_item, access)
    return await listed_records(access, work_order_id, query, order_parts, item)


@router.post(
    "/{id}/parts", operation_id="planWorkOrderPart", status_code=201, response_model=OrderPartItem
)
async def plan_part(
    access: Dispatcher, work_order_id: WorkOrderPath, body: Annotated[NewOrderPart, Body()]
) -> Response:
    """Plan a part. In a work order that is to be done, it is reserved in its warehouse."""
    async with stock_transaction(access, body.part_id) as conn:
        order = await orders.found(conn, work_order_id, lock=True)
        access.check_unchanged(orders.item_for(access)(order))
        await check_references(conn, body)
        _check_plannable(order)
        if await part_of(conn, order.id, body.part_id) is not None:
            raise conflict("part_planned", "The work order has this part: change its quantity.")
        row = await new_part(conn, order, body.part_id)
        row = row._replace(warehouse_id=body.warehouse_id, planned_milli=body.quantity)
        is_reserved = order.state in RESERVING
        row = await plan(conn, order_stock(access.caller, order), row, is_reserved=is_reserved)
    item = order_part_item(access, row)
    return created(item, f"{router.prefix}/{item['work_order_id']}/parts", key="part_id")


@router.get("/{id}/parts/{part_id}", operation_id="getWorkOrderPart", response_model=OrderPartItem)
async def get_order_part(
    access: Reader, work_order_id: WorkOrderPath, part_id: _PartPath
) -> Response:
    """Return one part that a work order plans or uses."""
    async with access.transaction() as conn:
        order = await orders.found(conn, work_order_id)
        row = await _part(conn, order, part_id)
    return ok(order_part_item(access, row))


@router.patch(
    "/{id}/parts/{part_id}", operation_id="updateWorkOrderPart", response_model=OrderPartItem
)
async def update_order_part(
    access: Dispatcher,
    work_order_id: WorkOrderPath,
    part_id: _PartPath,
    body: Annotated[OrderPartChange, Body()],
) -> Response:
    """Change what is planned of a part. In a work order that is to be done, what is not used yet is
    reserved then; a quantity of 0 releases it.
    """
    given = body.given()
    async with stock_transaction(access, part_id) as conn:
        order = await orders.found(conn, work_order_id, lock=True)
        row = await _part(conn, order, part_id)
        access.check_unchanged(order_part_item(access, row))
        await check_references(conn, body)
        _check_plannable(order)
        planned = row._replace(
            planned_milli=given.get("quantity", row.planned_milli),
            warehouse_id=given.get("warehouse_id", row.warehouse_id),
        )
        if planned != row:
            await _check_there(conn, planned)
        is_reserved = order.state in RESERVING
        row = await plan(conn, order_stock(access.caller, order), planned, is_reserved=is_reserved)
    return ok(order_part_item(access, row))


@router.post(
    "/{id}/parts/{part_id}/consume",
    operation_id="consumeWorkOrderPart",
    response_model=OrderPartItem,
)
async def consume_part(
    access: Technician,
    work_order_id: WorkOrderPath,
    part_id: _PartPath,
    body: Annotated[PartMove, Body()],
) -> Response:
    """Use a part, planned or not: what is reserved for the order goes first."""
    async with _using(access, work_order_id, part_id, body) as (conn, order, row):
        row = row or await new_part(conn, order, part_id)
        warehouse_id = await _warehouse(conn, body, row)
        stock, named = order_stock(access.caller, order), body.named_lots()
        row = await consume(conn, stock, row, warehouse_id, body.quantity, named)
        once = await expired_once(conn, part_id, warehouse_id, named)
    return ok(order_part_item(access, row), once=once)


@router.post(
    "/{id}/parts/{part_id}/return", operation_id="returnWorkOrderPart", response_model=OrderPartItem
)
async def return_part(
    access: Technician,
    work_order_id: WorkOrderPath,
    part_id: _PartPath,
    body: Annotated[PartMove, Body()],
) -> Response:
    """Bring a part back that was taken and not needed. Its share of the cost goes with it."""
    async with _using(access, work_order_id, part_id, body) as (conn, order, row):
        if row is None:
            raise not_found("part of the work order")
        warehouse_id = await _warehouse(conn, body, row)
        stock, named = order_stock(access.caller, order), body.named_lots()
        row = await bring_back(conn, stock, row, warehouse_id, body.quantity, named)
        once = await expired_once(conn, part_id, warehouse_id, named)
    return ok(order_part_item(access, row), once=once)


async def new_part(conn: Connection, order: WorkOrder, part_id: UUID) -> OrderPartRow:
    """Insert a part of which nothing is planned. Raises Problem (409)."""
    if await order_parts.count(conn, {"work_order_id": order.id}) >= MAX_ORDER_PARTS:
        raise conflict("too_many_parts", f"A work order has at most {MAX_ORDER_PARTS} parts.")
    at, row_id = await db_now(conn), new_id()
    await order_parts.insert(
        conn,
        OrderPartRow(row_id, order.id, part_id, None, 0, 0, 0, 0, at, at, "", "", "", "", "none"),
    )
    return await order_parts.get(conn, row_id)


@asynccontextmanager
async def _using(
    access: Access, order_id: UUID, part_id: UUID, body: PartMove
) -> AsyncIterator[tuple[Connection, WorkOrder, OrderPartRow | None]]:
    """Provide the transaction of a use, with the order, which is locked, and what it has of the
    part. Raises Problem (403, 404, 409, 412), IllegalMoveError.
    """
    async with stock_transaction(access, part_id) as conn:
        order = await orders.found(conn, order_id, lock=True)
        check_own(access, order)
        row = await part_of(conn, order.id, part_id)
        if not await KINDS["part"].lock_existing(conn, [part_id]):
            raise not_found("part")  # nothing comes back of a part that is deleted
        if row is not None:
            access.check_unchanged(order_part_item(access, row))
        await check_references(conn, body)
        if order.state not in USING:
            raise WORK_ORDERS.illegal(order.state, "to use parts")
        yield conn, order, row


async def _part(conn: Connection, order: WorkOrder, part_id: UUID) -> OrderPartRow:
    """Return a part of an order. Raises Problem (404)."""
    row = await part_of(conn, order.id, part_id)
    if row is None:
        raise not_found("part of the work order")
    return row


async def _warehouse(conn: Connection, body: PartMove, row: OrderPartRow) -> UUID:
    """Return the warehouse of a use. Raises Problem: 422 where none is given and none planned, 404
    where the planned one is deleted.
    """
    warehouse_id = body.warehouse_id or row.warehouse_id
    if warehouse_id is None:
        raise bad_field("/warehouse_id", "is needed: none is planned for this part")
    await check_reference(conn, KINDS["warehouse"], warehouse_id)
    return warehouse_id


async def _check_there(conn: Connection, planned: OrderPartRow) -> None:
    """Raise Problem (409) where what is still to be used is deleted, or planned in a warehouse that
    is. They stay until the transaction ends.
    """
    if planned.planned_milli <= planned.used_milli:
        return
    if not await KINDS["part"].lock_existing(conn, [planned.part_id]):
        detail = "The part is deleted: restore it, or plan 0 of it."
        raise conflict("part_deleted", detail, pointer="/part_id")
    place = planned.warehouse_id
    if place is not None and not await KINDS["warehouse"].lock_existing(conn, [place]):
        detail = "The warehouse in which the part is planned is deleted: plan it elsewhere."
        raise conflict("warehouse_deleted", detail, pointer="/warehouse_id")


def _check_plannable(order: WorkOrder) -> None:
    """Raise IllegalMoveError for an order that is over."""
    if order.state != "draft" and order.state not in RESERVING:
        raise WORK_ORDERS.illegal(order.state, "to plan parts")
