"""Warehouses: where parts are kept, which may be a van."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

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
