"""Warehouses: where parts are kept, which may be a van."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table
from operations.work_orders.states import OPEN


class Warehouse(NamedTuple):
    """One row."""

    id: UUID
    site_id: UUID | None
    name: str
    external_id: str | None
    address: str | None
    lat: float | None
    lon: float | None
    notes: str | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


warehouses = Table("warehouses", Warehouse, has_row_count=True)


async def is_in_use(conn: Connection, warehouse_id: UUID) -> bool:
    """Return whether anything is in stock there, or a work order that has not ended plans a part
    there and has not used all of it.
    """
    return await value_of(
        conn,
        """
        SELECT EXISTS (SELECT FROM inventory WHERE warehouse_id = %(id)s AND on_hand_milli > 0)
            OR EXISTS (SELECT FROM work_order_parts planned JOIN work_orders
                           ON work_orders.org_id = planned.org_id
                          AND work_orders.id = planned.work_order_id
                        WHERE planned.warehouse_id = %(id)s
                          AND planned.planned_milli > planned.used_milli
                          AND work_orders.deleted_at IS NULL
                          AND work_orders.state = ANY (%(open)s))
        """,
        {"id": warehouse_id, "open": list(OPEN)},
    )
