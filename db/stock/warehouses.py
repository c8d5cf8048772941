"""Warehouses: where parts are kept, which may be a van."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.table import Table


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
    """Return whether anything is in stock there."""
    return await value_of(
        conn,
        "SELECT EXISTS (SELECT FROM inventory WHERE warehouse_id = %s AND on_hand_milli > 0)",
        (warehouse_id,),
    )
