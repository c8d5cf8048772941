"""The ledger of stock: each movement is a row, and a trigger changes its levels.

`use_cases.stock.movements` moves stock.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import Conditions
from db.core.table import Table
from operations.stock import (
    MovementKind,
    StockChange,
)

# A lot may be in many warehouses, and a serial is in one.
_LOTS = """
SELECT lot, on_hand_milli, is_here
  FROM stock_lots, LATERAL (SELECT warehouse_id = %s AS is_here)
 WHERE part_id = %s AND lot = ANY (%s) AND is_in_stock AND (is_serial OR is_here)
"""
# What work orders have reserved at a level; its row is locked, so nobody adds to it meanwhile.
_HELD = """
SELECT coalesce(sum(reserved_milli), 0)::bigint FROM work_order_parts
 WHERE part_id = %s AND warehouse_id = %s AND reserved_milli > 0
"""


class MovementRow(NamedTuple):
    """One row. The changes are those at warehouse_id; at to_warehouse_id comes in what went out."""

    id: UUID
    kind: MovementKind
    part_id: UUID
    warehouse_id: UUID
    to_warehouse_id: UUID | None
    quantity_milli: int
    on_hand_change_milli: int
    reserved_change_milli: int
    unit_cost_microcents: int | None
    work_order_id: UUID | None
    reason: str | None
    lot: str | None
    serials: Sequence[str] | None
    expires_on: date | None
    created_by: UUID | None
    created_at: datetime

    @property
    def change(self) -> StockChange:
        """The change at warehouse_id."""
        return StockChange(
            self.on_hand_change_milli, self.reserved_change_milli, self.unit_cost_microcents
        )


def _since(conditions: Conditions, at: datetime) -> None:
    conditions.add("created_at >= %(since)s", since=at)


def _until(conditions: Conditions, at: datetime) -> None:
    conditions.add("created_at < %(until)s", until=at)


def _warehouse(conditions: Conditions, warehouse_id: UUID) -> None:
    """Add movements at a warehouse, and transfers to it."""
    conditions.add(
        "(warehouse_id = %(place)s OR to_warehouse_id = %(place)s)",
        place=warehouse_id,
    )


def _serial(conditions: Conditions, serial: str) -> None:
    conditions.add(
        "id IN (SELECT movement_id FROM stock_movement_serials WHERE serial = %(serial)s)",
        serial=serial,
    )


movements = Table(
    "stock_movements",
    MovementRow,
    filters={
        "since": _since,
        "until": _until,
        "warehouse_id": _warehouse,
        "serial": _serial,
    },
)


async def lots_named(
    conn: Connection, part_id: UUID, warehouse_id: UUID, names: Sequence[str]
) -> tuple[dict[str, int], set[str]]:
    """Return what is on hand of lots or serials at a level, in thousandths, and the serials that
    are in stock elsewhere.
    """
    if not names:
        return {}, set()
    cursor = await conn.execute(_LOTS, (warehouse_id, part_id, names))
    found = await cursor.fetchall()
    here = {lot: on_hand for lot, on_hand, is_here in found if is_here}
    return here, {lot for lot, _, is_here in found if not is_here}


async def held_by_orders(conn: Connection, part_id: UUID, warehouse_id: UUID) -> int:
    """Return what work orders have reserved at a level, in thousandths. The level is locked."""
    return await value_of(conn, _HELD, (part_id, warehouse_id))
