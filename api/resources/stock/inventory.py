"""Inventory: the stock of each part in each warehouse.

A record holds how much there is and when to order more. Movements alone change quantities
(`api.resources.stock.movements`); an opening quantity is a movement too.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field, model_validator
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, ok, time_text
from api.http.problems import bad_field
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.references import check_references
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.stock.quantities import (
    Cents,
    ShownQuantity,
    SomeQuantity,
    StockQuantity,
    shown_cents,
    shown_quantity,
)
from api.resources.stock.turns import stock_transaction
from db.resources.quotas import check_room
from db.stock.inventory import InventoryRow, inventory
from db.stock.parts import parts
from operations.stock import MILLI, PartTracking, cents_of
from use_cases.stock.movements import MovementWish, record

router = APIRouter(prefix="/v1/inventory", tags=["inventory"], route_class=TenantRoute)
_InventoryPath = Annotated[fields.InventoryId, Path(alias="id")]
_PartName = Annotated[fields.Name, Field(examples=["Oil filter"])]
_PartNumber = Annotated[fields.Name, Field(examples=["OF-2210"])]
_Unit = Annotated[fields.Name, Field(max_length=20, examples=["piece"])]
_Place = Annotated[fields.Name, Field(examples=["Main store"])]
_Model = Annotated[fields.Name, Field(examples=["LTM 1090"])]
# What a movement changes, under the names that somebody may try.
_MOVED = ("on_hand", "reserved", "available", "quantity", "average_cost_cents", "value_cents")


class InventoryItem(BaseModel):
    """The stock of a part in a warehouse."""

    id: fields.InventoryId
    part_id: fields.PartId
    part_number: _PartNumber
    part_name: _PartName
    unit: _Unit = Field(description="what a quantity of 1 is")
    tracking: PartTracking = Field(description="of the part; `/v1/stock-lots` lists its lots")
    warehouse_id: fields.WarehouseId
    warehouse_name: _Place
    on_hand: ShownQuantity
    reserved: ShownQuantity = Field(description="of what is on hand")
    available: ShownQuantity = Field(description="on hand and not reserved")
    reorder_point: ShownQuantity | None = Field(description="the stock is low from here down")
    reorder_quantity: ShownQuantity | None = Field(description="how much to order then")
    low: bool = Field(description="available is at the reorder point, or below it")
    average_cost_cents: fields.Count | None = Field(
        description="the moving average of a unit, rounded; null: no cost was given yet; null for"
        " viewers and technicians"
    )
    value_cents: fields.Count | None = Field(
        description="of what is on hand, at that average; null as that"
    )
    currency: fields.Currency
    created_at: datetime
    updated_at: datetime


class InventoryChange(fields.Body):
    """The fields to change. Movements alone change quantities."""

    reorder_point: StockQuantity | None = None
    reorder_quantity: SomeQuantity | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_quantities(cls, value: Any) -> Any:
        """Refuse what movements change. Raises Problem (422)."""
        for name in _MOVED if isinstance(value, dict) else ():
            if name in value:
                text = "Movements alone change this: POST /v1/stock-movements, for example a count."
                raise bad_field(f"/{name}", text)
        return value


class NewInventory(InventoryChange):
    """A new stock record. What is there already is its opening quantity: a movement counts it."""

    part_id: fields.PartId
    warehouse_id: fields.WarehouseId
    opening_quantity: StockQuantity | None = None
    opening_unit_cost_cents: Cents | None = Field(
        default=None, description="of a unit of the opening quantity; null: that of the part"
    )


class InventoryQuery(SortedQuery):
    """The filters of inventory."""

    warehouse_id: fields.WarehouseId | None = None
    part_id: fields.PartId | None = None
    asset_model: Annotated[
        _Model | None, Field(description="parts that fit machines of this model")
    ] = None
    asset_id: Annotated[
        fields.AssetId | None,
        Field(description="parts that fit this machine, by itself or by its make and model"),
    ] = None
    low: Annotated[
        bool | None, Field(description="at the reorder point or below it; false: the others")
    ] = None


def inventory_item(row: InventoryRow) -> dict[str, Any]:
    """Return the JSON of a row: an InventoryItem."""
    level, average = row.level, row.average_microcents
    value = None if average is None else cents_of(level.on_hand_milli * average // MILLI)
    return {
        "id": id_text("inv", row.id),
        "part_id": id_text("prt", row.part_id),
        "part_number": row.part_number,
        "part_name": row.part_name,
        "unit": row.unit,
        "tracking": row.tracking,
        "warehouse_id": id_text("whs", row.warehouse_id),
        "warehouse_name": row.warehouse_name,
        "on_hand": shown_quantity(level.on_hand_milli),
        "reserved": shown_quantity(level.reserved_milli),
        "available": shown_quantity(level.available_milli),
        "reorder_point": shown_quantity(row.reorder_point_milli),
        "reorder_quantity": shown_quantity(row.reorder_quantity_milli),
        "low": level.is_low(row.reorder_point_milli),
        "average_cost_cents": shown_cents(average),
        "value_cents": value,
        "currency": row.currency,
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


def _columns(given: Any) -> dict[str, Any]:
    return {f"{name}_milli": value for name, value in given.items() if name.startswith("reorder_")}


def _without_cost(row: InventoryRow) -> dict[str, Any]:
    return inventory_item(row._replace(average_microcents=None))


_inventory = Resource(
    inventory,
    inventory_item,
    item_for=lambda access: inventory_item if access.sees_all else _without_cost,
    columns=_columns,
)


@router.get("", operation_id="listInventory", response_model=ListOf[InventoryItem])
async def list_inventory(access: Reader, query: Annotated[InventoryQuery, Query()]) -> Response:
    """List the stock of parts in warehouses, the newest record first."""
    return await _inventory.list(access, query)


@router.post("", operation_id="createInventory", status_code=201, response_model=InventoryItem)
async def create_inventory(access: Dispatcher, body: Annotated[NewInventory, Body()]) -> Response:
    """Create the stock record of a part in a warehouse, with what is there already."""
    async with stock_transaction(access, body.part_id) as conn:
        await check_references(conn, body)
        now = await check_room(conn, "inventory")
        if body.opening_unit_cost_cents is not None and not body.opening_quantity:
            text = "There is no opening quantity that costs this."
            raise bad_field("/opening_unit_cost_cents", text)
        part = await parts.get(conn, body.part_id)
        if part.tracking != "none" and body.opening_quantity:
            text = "The part has lots or serials: receive them by POST /v1/stock-movements."
            raise bad_field("/opening_quantity", text)
        columns = _columns(dict(body)) | {
            "part_id": body.part_id,
            "warehouse_id": body.warehouse_id,
            "tracking": part.tracking,
        }
        row = _inventory.new(columns, now)
        await inventory.insert(conn, row)
        if body.opening_quantity is not None and part.tracking == "none":
            wish = MovementWish(
                access.caller.org_id,
                "count",
                body.part_id,
                body.warehouse_id,
                body.opening_quantity,
                unit_cost_cents=body.opening_unit_cost_cents,
                reason="opening quantity",
                created_by=access.caller.user_id,
            )
            await record(conn, wish)
        row = await _inventory.found(conn, row.id)
    return created(inventory_item(row), "/v1/inventory")


@router.get("/{id}", operation_id="getInventory", response_model=InventoryItem)
async def get_inventory(access: Reader, inventory_id: _InventoryPath) -> Response:
    """Return the stock of one part in one warehouse."""
    return await _inventory.get(access, inventory_id)


@router.patch("/{id}", operation_id="updateInventory", response_model=InventoryItem)
async def update_inventory(
    access: Dispatcher, inventory_id: _InventoryPath, body: Annotated[InventoryChange, Body()]
) -> Response:
    """Change when to order more, and how much. Quantities change by movements."""
    async with _inventory.locked(access, inventory_id) as (conn, row):
        changed = row._replace(**_columns(body.given()))
        if changed != row:
            changed = await _inventory.write(conn, changed)
    return ok(inventory_item(changed))
