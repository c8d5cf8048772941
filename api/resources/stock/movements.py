"""Stock movements: the ledger of what came in, went out, or was counted. Nothing in it changes.

A movement and the level that it changes are written together. Where there is not enough, the answer
is a 409 with what is available, and nothing is written.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, optional_id_text, time_text
from api.http.problems import bad_field
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.references import check_references
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.stock.named_lots import (
    ExpiredLots,
    LotFields,
    LotName,
    SerialName,
    Serials,
    expired_once,
)
from api.resources.stock.quantities import (
    Cents,
    ShownQuantity,
    SignedQuantity,
    shown_cents,
    shown_quantity,
)
from api.resources.stock.turns import stock_transaction
from db.stock.movements import MovementRow, movements
from operations.stock import FROM_RESERVED, MovementKind, check_quantity
from use_cases.stock.movements import MovementWish, record

router = APIRouter(prefix="/v1/stock-movements", tags=["inventory"], route_class=TenantRoute)
_MovementPath = Annotated[fields.StockMovementId, Path(alias="id")]
_Reason = Annotated[fields.Name, Field(max_length=500, examples=["Delivery 4711"])]


class StockMovementItem(BaseModel):
    """A line of the ledger."""

    id: fields.StockMovementId
    kind: MovementKind
    part_id: fields.PartId
    warehouse_id: fields.WarehouseId
    to_warehouse_id: fields.WarehouseId | None = Field(description="of a transfer")
    quantity: ShownQuantity = Field(description="as it was sent")
    on_hand_change: ShownQuantity = Field(
        description="at warehouse_id; at to_warehouse_id the opposite"
    )
    reserved_change: ShownQuantity = Field(description="at warehouse_id")
    unit_cost_cents: fields.Count | None = Field(
        description="of what came in or went out, rounded; null: not known, or nothing did; null"
        " for viewers and technicians"
    )
    work_order_id: fields.WorkOrderId | None = Field(description="the one that it was made for")
    reason: _Reason | None
    lot: LotName | None
    serials: Serials | None
    expires_on: fields.Day | None = Field(description="of the lot or the serials")
    created_by: fields.UserId | None
    created_at: datetime
    expired_lots: ExpiredLots = None


class NewStockMovement(LotFields, fields.Body):
    """A movement of stock."""

    kind: MovementKind
    part_id: fields.PartId
    warehouse_id: fields.WarehouseId
    to_warehouse_id: fields.WarehouseId | None = Field(
        default=None, description="where a transfer goes; of no other kind"
    )
    quantity: SignedQuantity = Field(
        description="above 0; of an adjust not 0, of a count what is there; three decimals at most"
    )
    unit_cost_cents: Cents | None = Field(
        default=None, description="of a receive; null: the average, or else the part's"
    )
    from_reserved: bool = Field(
        default=False, description="of an issue or a consume: take it from what is reserved"
    )
    reason: _Reason | None = None
    expires_on: fields.Day | None = Field(
        default=None,
        description="of a receive of a tracked part: the last day of the lot",
        examples=[None],
    )


class StockMovementQuery(SortedQuery):
    """The filters of stock movements."""

    warehouse_id: Annotated[
        fields.WarehouseId | None, Field(description="at it, and transfers to it")
    ] = None
    part_id: fields.PartId | None = None
    work_order_id: fields.WorkOrderId | None = None
    kind: MovementKind | None = None
    lot: LotName | None = None
    serial: SerialName | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None


def _check(body: NewStockMovement) -> None:
    """Raise Problem (422), or RuleError, for fields that do not go with the kind, or a quantity
    that it cannot have.
    """
    if (body.kind == "transfer") != (body.to_warehouse_id is not None):
        raise bad_field("/to_warehouse_id", "A transfer has one, and no other kind does.")
    if body.to_warehouse_id == body.warehouse_id:
        raise bad_field("/to_warehouse_id", "A transfer goes to another warehouse.")
    if body.unit_cost_cents is not None and body.kind != "receive":
        raise bad_field("/unit_cost_cents", "Only a receive has one: the rest is at the average.")
    if body.from_reserved and body.kind not in FROM_RESERVED:
        raise bad_field("/from_reserved", f"Only {' and '.join(FROM_RESERVED)} have it.")
    check_quantity(body.kind, body.quantity)


def _item(row: MovementRow) -> dict[str, Any]:
    return {
        "id": id_text("mov", row.id),
        "kind": row.kind,
        "part_id": id_text("prt", row.part_id),
        "warehouse_id": id_text("whs", row.warehouse_id),
        "to_warehouse_id": optional_id_text("whs", row.to_warehouse_id),
        "quantity": shown_quantity(row.quantity_milli),
        "on_hand_change": shown_quantity(row.on_hand_change_milli),
        "reserved_change": shown_quantity(row.reserved_change_milli),
        "unit_cost_cents": shown_cents(row.unit_cost_microcents),
        "work_order_id": optional_id_text("wo", row.work_order_id),
        "reason": row.reason,
        "lot": row.lot,
        "serials": row.serials,
        "expires_on": None if row.expires_on is None else row.expires_on.isoformat(),
        "created_by": optional_id_text("usr", row.created_by),
        "created_at": time_text(row.created_at),
    }


def _without_cost(row: MovementRow) -> dict[str, Any]:
    return _item(row._replace(unit_cost_microcents=None))


_movements = Resource(
    movements, _item, item_for=lambda access: _item if access.sees_all else _without_cost
)


@router.get("", operation_id="listStockMovements", response_model=ListOf[StockMovementItem])
async def list_stock_movements(
    access: Reader, query: Annotated[StockMovementQuery, Query()]
) -> Response:
    """List movements, newest first."""
    return await _movements.list(access, query)


@router.post(
    "", operation_id="createStockMovement", status_code=201, response_model=StockMovementItem
)
async def create_stock_movement(
    access: Dispatcher, body: Annotated[NewStockMovement, Body()]
) -> Response:
    """Move stock. Where there is not enough, nothing changes. The answer says which of the lots
    that are named are expired.
    """
    async with stock_transaction(access, body.part_id) as conn:
        await check_references(conn, body)
        _check(body)
        wish = MovementWish(
            access.caller.org_id,
            body.kind,
            body.part_id,
            body.warehouse_id,
            body.quantity,
            body.to_warehouse_id,
            body.unit_cost_cents,
            body.from_reserved,
            body.reason,
            access.caller.user_id,
            named=body.named_lots()._replace(expires_on=body.expires_on),
        )
        row = await record(conn, wish)
        once = await expired_once(conn, row.part_id, row.warehouse_id, wish.named)
    return created(_item(row), "/v1/stock-movements", once=once)


@router.get("/{id}", operation_id="getStockMovement", response_model=StockMovementItem)
async def get_stock_movement(access: Reader, movement_id: _MovementPath) -> Response:
    """Return one movement."""
    return await _movements.get(access, movement_id)
