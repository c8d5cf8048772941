"""Sites: places of clients, or of the organization's own, with the zone that is their geofence.

Deleting and restoring are as those of clients. A zone that is deleted stays named by its sites
until they are given another.
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
from db.resources import sites as table

router = APIRouter(prefix="/v1/sites", tags=["sites"], route_class=TenantRoute)
_SitePath = Annotated[fields.SiteId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["North quarry"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["S-17"])]


class SiteItem(fields.StoredItem):
    """A site."""

    id: fields.SiteId
    client_id: fields.ClientId | None = Field(description="null: the organization's own")
    zone_id: fields.ZoneId | None = Field(description="its geofence")
    name: _Name
    external_id: _ExternalId | None = Field(description="the organization's own id of it, unique")
    address: fields.Address | None
    lat: fields.Latitude | None
    lon: fields.Longitude | None
    notes: fields.Notes | None


class NewSite(fields.Body):
    """A new site. `lat` and `lon` go together."""

    name: _Name
    client_id: fields.ClientId | None = None
    zone_id: fields.ZoneId | None = None
    external_id: _ExternalId | None = None
    address: fields.Address | None = None
    lat: fields.Latitude | None = None
    lon: fields.Longitude | None = None
    notes: fields.Notes | None = None


class SiteChange(NewSite):
    """The fields to change."""

    name: _Name = Field(default_factory=fields.absent)


class SiteQuery(SortedByNameQuery):
    """The filters of sites."""

    client_id: fields.ClientId | None = None
    zone_id: fields.ZoneId | None = None
    external_id: _ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


_sites = Resource(
    table.sites,
    item_of(SiteItem),
    check=lambda site: check_together(site, "lat", "lon"),
    is_in_use=table.is_in_use,
    in_use="Assets are at the site, or work orders that have not ended.",
    owners=["client"],
)


@router.get("", operation_id="listSites", response_model=ListOf[SiteItem])
async def list_sites(access: Reader, query: Annotated[SiteQuery, Query()]) -> Response:
    """List sites, newest first."""
    return await _sites.list(access, query)


@router.post("", operation_id="createSite", status_code=201, response_model=SiteItem)
async def create_site(access: Dispatcher, body: Annotated[NewSite, Body()]) -> Response:
    """Create a site."""
    return await _sites.create(access, body)


@router.get("/{id}", operation_id="getSite", response_model=SiteItem)
async def get_site(access: Reader, site_id: _SitePath) -> Response:
    """Return one site."""
    return await _sites.get(access, site_id)


@router.patch("/{id}", operation_id="updateSite", response_model=SiteItem)
async def update_site(
    access: Dispatcher, site_id: _SitePath, body: Annotated[SiteChange, Body()]
) -> Response:
    """Change the fields that are given."""
    return await _sites.update(access, site_id, body)


@router.delete("/{id}", operation_id="deleteSite", status_code=204)
async def delete_site(access: Dispatcher, site_id: _SitePath) -> Response:
    """Delete a site at which no asset is, and no work order that has not ended. It can be
    restored.
    """
    return await _sites.delete(access, site_id)


@router.post("/{id}/restore", operation_id="restoreSite", response_model=SiteItem)
async def restore_site(access: Dispatcher, site_id: _SitePath) -> Response:
    """Restore a deleted site, unless its client is deleted."""
    return await _sites.restore(access, site_id)
