"""Stock lots: what is on hand of each lot or serial in each warehouse. Movements change it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, time_text
from api.request.access import Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Resource
from api.request.route import TenantRoute
from api.resources.stock.named_lots import LotName
from api.resources.stock.quantities import ShownQuantity, shown_quantity
from db.stock.lots import StockLotRow, stock_lots

router = APIRouter(prefix="/v1/stock-lots", tags=["inventory"], route_class=TenantRoute)
_StockLotPath = Annotated[fields.StockLotId, Path(alias="id")]


class StockLotItem(BaseModel):
    """A lot, or a serial, of a part in a warehouse."""

    id: fields.StockLotId
    part_id: fields.PartId
    part_number: Annotated[fields.Name, Field(examples=["OF-2210"])]
    part_name: Annotated[fields.Name, Field(examples=["Oil filter"])]
    unit: Annotated[fields.Name, Field(max_length=20, examples=["piece"])]
    warehouse_id: fields.WarehouseId
    warehouse_name: Annotated[fields.Name, Field(examples=["Main store"])]
    lot: LotName = Field(description="the lot, or the serial")
    is_serial: bool
    expires_on: fields.Day | None = Field(description="the last day")
    is_expired: bool = Field(description="the last day is over in the organization's time zone")
    on_hand: ShownQuantity
    created_at: datetime
    updated_at: datetime


class StockLotQuery(SortedQuery):
    """The filters of lots."""

    part_id: fields.PartId | None = None
    warehouse_id: fields.WarehouseId | None = None
    lot: Annotated[LotName | None, Field(description="the lot, or the serial")] = None
    expires_before: fields.Day | None = None
    in_stock: Annotated[bool, Field(description="false: those that are used up, instead")] = True


def stock_lot_item(row: StockLotRow) -> dict[str, Any]:
    """Return the JSON of a row: a StockLotItem."""
    return {
        "id": id_text("lot", row.id),
        "part_id": id_text("prt", row.part_id),
        "part_number": row.part_number,
        "part_name": row.part_name,
        "unit": row.unit,
        "warehouse_id": id_text("whs", row.warehouse_id),
        "warehouse_name": row.warehouse_name,
        "lot": row.lot,
        "is_serial": row.is_serial,
        "expires_on": None if row.expires_on is None else row.expires_on.isoformat(),
        "is_expired": row.is_expired,
        "on_hand": shown_quantity(row.on_hand_milli),
        "created_at": time_text(row.created_at),
        "updated_at": time_text(row.updated_at),
    }


_stock_lots = Resource(stock_lots, stock_lot_item)


@router.get("", operation_id="listStockLots", response_model=ListOf[StockLotItem])
async def list_stock_lots(access: Reader, query: Annotated[StockLotQuery, Query()]) -> Response:
    """List lots and serials, the newest first."""
    return await _stock_lots.list(access, query)


@router.get("/{id}", operation_id="getStockLot", response_model=StockLotItem)
async def get_stock_lot(access: Reader, lot_id: _StockLotPath) -> Response:
    """Return one lot or serial in one warehouse."""
    return await _stock_lots.get(access, lot_id)
