"""Lots and serials of parts, in each warehouse. Only the trigger of movements writes them."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.listing import Conditions
from db.core.table import Table


class StockLotRow(NamedTuple):
    """One row. lot: a lot or a serial. The fields from `part_number` on are those of others."""

    id: UUID
    part_id: UUID
    warehouse_id: UUID
    lot: str
    is_serial: bool
    expires_on: date | None
    on_hand_milli: int
    created_at: datetime
    updated_at: datetime
    part_number: str
    part_name: str
    unit: str
    warehouse_name: str


def _expires_before(conditions: Conditions, day: date) -> None:
    conditions.add("expires_on < %(expires_before)s", expires_before=day)


def _in_stock(conditions: Conditions, in_stock: bool) -> None:
    conditions.add("is_in_stock" if in_stock else "NOT is_in_stock")


stock_lots = Table(
    "stock_lots",
    StockLotRow,
    computed={
        "part_number": "parts.number",
        "part_name": "parts.name",
        "unit": "parts.unit",
        "warehouse_name": "warehouses.name",
    },
    # Outer joins, as those of `inventory`.
    joins="LEFT JOIN parts ON parts.org_id = stock_lots.org_id AND parts.id = stock_lots.part_id"
    " LEFT JOIN warehouses ON warehouses.org_id = stock_lots.org_id"
    " AND warehouses.id = stock_lots.warehouse_id",
    filters={"in_stock": _in_stock, "expires_before": _expires_before},
)
