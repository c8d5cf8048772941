"""Warehouses: where parts are kept, which may be a van.

Deleting and restoring are as those of clients. A warehouse with stock, or where a work
order plans parts which has not ended, cannot be deleted.
"""

from typing import Annotated

from pydantic import Field

from api.http import fields
from api.request.paging import SortedByNameQuery
from api.request.plain_resource import plain_resource
from api.request.resource import Resource, item_of
from db.stock import warehouses as table
from db.stock.in_use import is_warehouse_in_use
from operations.errors import check_together

_Name = Annotated[fields.Name, Field(examples=["Main store"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["W-1"])]


class WarehouseItem(fields.StoredItem):
    """A warehouse."""

    id: fields.WarehouseId
    site_id: fields.SiteId | None = Field(description="the site where it is")
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    address: fields.Address | None
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    notes: fields.Notes | None


class NewWarehouse(fields.Body):
    """A new warehouse. `lat` and `lon` go together."""

    name: _Name
    site_id: fields.SiteId | None = None
    external_id: _ExternalId | None = None
    address: fields.Address | None = None
    lat: fields.Latitude | None = None
    lon: fields.Longitude | None = None
    notes: fields.Notes | None = None


class WarehouseChange(NewWarehouse):
    """The fields to change."""

    name: _Name = Field(default_factory=fields.absent)


class WarehouseQuery(SortedByNameQuery):
    """The filters of warehouses."""

    site_id: fields.SiteId | None = None
    external_id: _ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


_warehouses = Resource(
    table.warehouses,
    item_of(WarehouseItem),
    check=lambda warehouse: check_together(warehouse, "lat", "lon"),
    is_in_use=is_warehouse_in_use,
    in_use="The warehouse has stock, or a work order that has not ended plans parts there.",
    owners=["site"],
)
router = plain_resource(
    _warehouses,
    WarehouseItem,
    NewWarehouse,
    WarehouseChange,
    WarehouseQuery,
    delete="Delete a warehouse without stock, where no work order plans parts. It can be restored.",
    restore="Restore a deleted warehouse, unless its site is deleted.",
)
