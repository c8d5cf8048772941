"""Warehouses: where parts are kept, which may be a van.

Deleting and restoring are as those of clients. A warehouse with stock, or where a work
order plans parts which has not ended, cannot be deleted.
"""

from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from api.http import fields
from api.request.plain_resource import item_model, plain_resource
from api.request.resource import Resource, item_of
from db.core.table import Table
from db.stock.in_use import is_warehouse_in_use
from operations.errors import check_together


class Warehouse(NamedTuple):
    """A warehouse."""

    id: fields.WarehouseId
    site_id: Annotated[fields.SiteId | None, Field(description="the site where it is")]
    name: Annotated[fields.Name, Field(examples=["Main store"])]
    external_id: Annotated[
        Annotated[fields.ExternalId, Field(examples=["W-1"])] | None,
        Field(description="the organization's own id of it, unique"),
    ]
    address: fields.Address | None
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    notes: fields.Notes | None
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


WarehouseItem = item_model(Warehouse)
router = plain_resource(
    Resource(
        Table("warehouses", Warehouse, has_row_count=True),
        item_of(WarehouseItem),
        check=lambda warehouse: check_together(warehouse, "lat", "lon"),
        is_in_use=is_warehouse_in_use,
        in_use="The warehouse has stock, or a work order that has not ended plans parts there.",
        owners=["site"],
    ),
    WarehouseItem,
    filters=["site_id", "external_id"],
    new="A new warehouse. `lat` and `lon` go together.",
    delete="Delete a warehouse without stock, where no work order plans parts. It can be restored.",
    restore="Restore a deleted warehouse, unless its site is deleted.",
)
