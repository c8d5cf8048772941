"""Lots and serials of parts, in each warehouse. Only the trigger of movements writes them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table


class StockLotRow(NamedTuple):
    """One row. lot: a lot or a serial. The fields from `part_number` on are those of others.

    is_expired: its last day is over, where the organization is.
    """

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
    is_expired: bool


_IS_EXPIRED: LiteralString = (
    "coalesce(stock_lots.expires_on < (now() AT TIME ZONE organizations.timezone)::date, false)"
)


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
        "is_expired": _IS_EXPIRED,
    },
    # Outer joins, as those of `inventory`.
    joins="LEFT JOIN parts ON parts.org_id = stock_lots.org_id AND parts.id = stock_lots.part_id"
    " LEFT JOIN warehouses ON warehouses.org_id = stock_lots.org_id"
    " AND warehouses.id = stock_lots.warehouse_id"
    " LEFT JOIN organizations ON organizations.org_id = stock_lots.org_id",
    filters={"in_stock": _in_stock, "expires_before": _expires_before},
)


_FIND_EXPIRED = stock_lots.selection(
    "stock_lots.part_id = %s AND stock_lots.warehouse_id = %s AND stock_lots.lot = ANY (%s)"
    f" AND {_IS_EXPIRED} ORDER BY stock_lots.lot"
)


async def expired(
    conn: Connection, part_id: UUID, warehouse_id: UUID, lots: Sequence[str]
) -> list[str]:
    """Return those of the lots or serials of a part in a warehouse that are expired."""
    async with conn.cursor(row_factory=args_row(StockLotRow)) as cursor:
        await cursor.execute(_FIND_EXPIRED, (part_id, warehouse_id, list(lots)))
        return [row.lot for row in await cursor.fetchall()]
