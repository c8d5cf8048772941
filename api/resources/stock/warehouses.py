"""Warehouses: where parts are kept, which may be a van.

Deleting and restoring are as those of clients. A warehouse with stock, or where a work
order plans parts which has not ended, cannot be deleted.
"""

from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.problems import check_together
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, SortedByNameQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.stock import warehouses as table
from db.stock.in_use import is_warehouse_in_use

router = APIRouter(prefix="/v1/warehouses", tags=["warehouses"], route_class=TenantRoute)
_WarehousePath = Annotated[fields.WarehouseId, Path(alias="id")]
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


@router.get("", operation_id="listWarehouses", response_model=ListOf[WarehouseItem])
async def list_warehouses(access: Reader, query: Annotated[WarehouseQuery, Query()]) -> Response:
    """List warehouses, newest first."""
    return await _warehouses.list(access, query)


@router.post("", operation_id="createWarehouse", status_code=201, response_model=WarehouseItem)
async def create_warehouse(access: Dispatcher, body: Annotated[NewWarehouse, Body()]) -> Response:
    """Create a warehouse."""
    return await _warehouses.create(access, body)


@router.get("/{id}", operation_id="getWarehouse", response_model=WarehouseItem)
async def get_warehouse(access: Reader, warehouse_id: _WarehousePath) -> Response:
    """Return one warehouse."""
    return await _warehouses.get(access, warehouse_id)


@router.patch("/{id}", operation_id="updateWarehouse", response_model=WarehouseItem)
async def update_warehouse(
    access: Dispatcher, warehouse_id: _WarehousePath, body: Annotated[WarehouseChange, Body()]
) -> Response:
    """Change the fields that are given."""
    return await _warehouses.update(access, warehouse_id, body)


@router.delete("/{id}", operation_id="deleteWarehouse", status_code=204)
async def delete_warehouse(access: Dispatcher, warehouse_id: _WarehousePath) -> Response:
    """Delete a warehouse without stock, where no work order plans parts. It can be restored."""
    return await _warehouses.delete(access, warehouse_id)


@router.post("/{id}/restore", operation_id="restoreWarehouse", response_model=WarehouseItem)
async def restore_warehouse(access: Dispatcher, warehouse_id: _WarehousePath) -> Response:
    """Restore a deleted warehouse, unless its site is deleted."""
    return await _warehouses.restore(access, warehouse_id)
