"""The work order of a quote that was accepted."""

from collections import Counter
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text
from api.http.problems import Problem
from api.request.access import Access, Dispatcher
from api.request.references import check_references
from api.request.route import TenantRoute
from api.resources.quotes.listing import QuotePath, lines_of, quote_item, quote_rows
from api.resources.stock.turns import stock_transaction
from api.resources.work_orders.listing import Assignees, WorkOrderItem, work_order_item
from db.core.connect import Connection
from db.core.tenant import reading
from db.quotes.quotes import QuoteRow
from db.resources.kinds import KINDS
from db.resources.work_orders import WorkOrder
from db.stock.inventory import lock_levels
from db.stock.parts import serial_parts
from operations.quotes.states import check_accepted
from operations.quotes.sums import QuoteLine
from operations.stock import MILLI
from use_cases.stock.order_parts import plan_new
from use_cases.work_orders import create, order_stock

_MOST_CHARACTERS = 500  # of a task
router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=TenantRoute)


class QuoteConversion(fields.Body):
    """The things that a work order has and a quote does not say."""

    site_id: fields.SiteId | None = None
    warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="where the parts of its lines are reserved; null: nowhere yet"
    )
    assignee_ids: Assignees = Field(default_factory=list)


_AS_IT_IS = QuoteConversion()


@router.post(
    "/{id}/convert", operation_id="convertQuote", status_code=201, response_model=WorkOrderItem
)
async def convert_quote(
    access: Dispatcher, quote_id: QuotePath, body: Annotated[QuoteConversion, Body()] = _AS_IT_IS
) -> Response:
    """Make the work order of an accepted quote, once. Lines with a part are planned parts, and the
    others are its checklist.
    """
    access.check_scope("work-orders:write")
    async with reading(access.state.connections, access.caller.org_id) as conn:
        part_ids = _part_ids_in(await quote_rows.found(conn, quote_id))
    moved = [] if body.warehouse_id is None else part_ids
    async with stock_transaction(access, *moved) as conn:
        await quote_rows.found(conn, quote_id, lock=True)
        row = await quote_rows.found(conn, quote_id)  # with the order that another made meanwhile
        access.check_unchanged(quote_item(row))
        await check_references(conn, body)
        order = await _convert(conn, access, row, body)
    return created(work_order_item(order), "/v1/work-orders")


async def _convert(
    conn: Connection, access: Access, row: QuoteRow, body: QuoteConversion
) -> WorkOrder:
    """Make the order of a quote, whose row is locked. The order is to be done, and no draft: the
    customer has ordered the work. Raises Problem (409), IllegalMoveError, StockError.
    """
    check_accepted(row.state, "to convert")
    if row.work_order_id is not None:
        raise _converted(row.work_order_id)
    lines = lines_of(row)
    parts = await _parts_in(conn, lines)
    columns = {
        "title": row.title,
        "client_id": row.client_id,
        "site_id": body.site_id,
        "quote_id": row.id,
        "assignee_ids": body.assignee_ids,
        "checklist": [_task(line) for line in lines if _part(line) not in parts],
    }
    wanted = dict(parts)
    if body.warehouse_id is not None:
        await lock_levels(conn, [(part_id, body.warehouse_id) for part_id in wanted])
    order = await create(conn, access.caller, columns)
    stock = order_stock(access.caller, order)
    await plan_new(conn, stock, wanted, body.warehouse_id, order.created_at)
    return order


def _converted(order_id: UUID) -> Problem:
    detail = "A work order was made of the quote already."
    return Problem(409, "converted", detail, more={"work_order_id": id_text("wo", order_id)})


def _part_ids_in(row: QuoteRow) -> list[UUID]:
    """Return the parts in a quote's lines."""
    return [part_id for line in lines_of(row) if (part_id := _part(line)) is not None]


def _part(line: QuoteLine) -> UUID | None:
    return None if line.part_id is None else UUID(line.part_id)


async def _parts_in(conn: Connection, lines: list[QuoteLine]) -> Counter[UUID]:
    """Return the quantity of each part in thousandths. Parts that are deleted are none, nor is a
    fraction of one that is tracked by serials.
    """
    wanted: Counter[UUID] = Counter()
    for line in lines:
        if (part_id := _part(line)) is not None:
            wanted[part_id] += line.quantity_thousandths
    there = await KINDS["part"].lock_existing(conn, wanted)
    by_serials = await serial_parts(conn, there)
    return Counter(
        {
            part_id: wanted[part_id]
            for part_id in there
            if part_id not in by_serials or wanted[part_id] % MILLI == 0
        }
    )


def _task(line: QuoteLine) -> dict[str, object]:
    """Return a line as an item of a checklist."""
    text = line.description
    if len(text) > _MOST_CHARACTERS:
        text = text[: _MOST_CHARACTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return {"text": text, "done": False}
