"""The stock of each part in each warehouse. Movements alone change quantities."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.resources.quotas import check_room
from db.stock.parts import fits_model
from operations.stock import PartTracking, StockLevel


class InventoryRow(NamedTuple):
    """One row. The fields from `part_number` on are those of the part and the warehouse."""

    id: UUID
    part_id: UUID
    warehouse_id: UUID
    tracking: PartTracking
    on_hand_milli: int
    reserved_milli: int
    average_microcents: int | None
    reorder_point_milli: int | None
    reorder_quantity_milli: int | None
    moved_on: date | None
    moved_times: int
    created_at: datetime
    updated_at: datetime
    part_number: str
    part_name: str
    unit: str
    unit_cost_cents: int | None
    currency: str
    warehouse_name: str

    @property
    def level(self) -> StockLevel:
        """The quantities and the cost, for the rules."""
        return StockLevel(self.on_hand_milli, self.reserved_milli, self.average_microcents)


def _low(conditions: Conditions, low: bool) -> None:
    conditions.add("is_low" if low else "NOT is_low")


def _fits_model(conditions: Conditions, model: str) -> None:
    """Add stock of parts that fit machines of the model, or a machine that is of it."""
    fits_model(conditions, model, "inventory.part_id")


inventory = Table(
    "inventory",
    InventoryRow,
    fixed=[
        "part_id",
        "warehouse_id",
        "tracking",
        "on_hand_milli",
        "reserved_milli",
        "average_microcents",
        "moved_on",
        "moved_times",
    ],
    computed={
        "part_number": "parts.number",
        "part_name": "parts.name",
        "unit": "parts.unit",
        "unit_cost_cents": "parts.unit_cost_cents",
        "currency": "parts.currency",
        "warehouse_name": "warehouses.name",
    },
    # Outer joins, which PostgreSQL does last: it could begin with all parts in all warehouses.
    joins="LEFT JOIN parts ON parts.org_id = inventory.org_id AND parts.id = inventory.part_id"
    " LEFT JOIN warehouses ON warehouses.org_id = inventory.org_id"
    " AND warehouses.id = inventory.warehouse_id",
    filters={"low": _low, "asset_model": _fits_model},
    has_row_count=True,
)


async def locked(conn: Connection, part_id: UUID, warehouse_id: UUID) -> InventoryRow:
    """Return the stock of a part, which there is, in a warehouse, locked against other movements;
    empty stock is made where there is none yet. Raises QuotaExceeded.
    """
    cursor = await conn.execute(
        """
        INSERT INTO inventory AS kept (org_id, id, part_id, warehouse_id, tracking)
        SELECT current_org_id(), %s, id, %s, tracking FROM parts WHERE id = %s
        ON CONFLICT (org_id, part_id, warehouse_id) DO UPDATE SET updated_at = kept.updated_at
        RETURNING id
        """,
        (made := new_id(), warehouse_id, part_id),
    )
    (row_id,) = await fetch_one(cursor)
    if row_id == made:
        await check_room(conn, "inventory")
    row = await inventory.find(conn, row_id)
    assert row is not None
    return row


async def write_level(
    conn: Connection, row_id: UUID, level: StockLevel, at: datetime, moved_times: int
) -> None:
    """Write what a movement leaves. moved_times: with this movement, on the day of `at`."""
    await conn.execute(
        """
        UPDATE inventory
           SET on_hand_milli = %s, reserved_milli = %s, average_microcents = %s, updated_at = %s,
               moved_on = %s, moved_times = %s
         WHERE id = %s
        """,
        (*level, at, at.date(), moved_times, row_id),
    )
