"""Sites: places of clients, or of the organization's own, with the zone that is their geofence.

Deleting and restoring are as those of clients. A zone that is deleted stays named by its sites
until they are given another.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import (
    created,
    id_text,
    no_content,
    ok,
    optional_id_text,
    optional_time_text,
    time_text,
)
from api.http.problems import bad_field, conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, Page, SortedByNameQuery, Total
from api.request.references import check_filter_ids, check_references
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import instant
from db.resources.clients import clients
from db.resources.sites import Site, SiteFilter, is_in_use, sites

router = APIRouter(prefix="/v1/sites", tags=["sites"], route_class=TenantRoute)
_SitePath = Annotated[fields.SiteId, Path(alias="id")]
_Name = Annotated[fields.Name, Field(examples=["North quarry"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["S-17"])]


class SiteItem(BaseModel):
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
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None


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


@router.get("", operation_id="listSites", response_model=ListOf[SiteItem])
async def list_sites(access: Reader, query: Annotated[SiteQuery, Query()]) -> Response:
    """List sites, newest first."""
    page = Page(access, query, "sites", query.order.key_type)
    wanted = SiteFilter(query.client_id, query.zone_id, query.external_id, query.q, query.deleted)
    async with access.transaction() as conn:
        await check_filter_ids(conn, client_id=query.client_id, zone_id=query.zone_id)
        total = page.total or Total(await sites.count(conn, wanted.conditions()))
        rows = await sites.listing(
            conn,
            wanted.conditions(),
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
    return page.response(rows, total, key=query.order.key, item=_item)


@router.post("", operation_id="createSite", status_code=201, response_model=SiteItem)
async def create_site(access: Dispatcher, body: Annotated[NewSite, Body()]) -> Response:
    """Create a site."""
    async with access.transaction() as conn:
        await check_references(conn, client_id=body.client_id, zone_id=body.zone_id)
        at = await instant(conn)
        site = Site(id=new_id(), **dict(body), created_at=at, updated_at=at, deleted_at=None)
        _check_place(site)
        await sites.insert(conn, site)
    return created(_item(site), router.prefix)


@router.get("/{id}", operation_id="getSite", response_model=SiteItem)
async def get_site(access: Reader, site_id: _SitePath) -> Response:
    """Return one site."""
    async with access.transaction() as conn:
        return ok(_item(await _found(conn, site_id)))


@router.patch("/{id}", operation_id="updateSite", response_model=SiteItem)
async def update_site(
    access: Dispatcher, site_id: _SitePath, body: Annotated[SiteChange, Body()]
) -> Response:
    """Change the fields that are given."""
    async with access.transaction() as conn:
        site = await _found(conn, site_id, lock=True)
        access.check_unchanged(_item(site))
        await check_references(conn, client_id=body.client_id, zone_id=body.zone_id)
        changed = site._replace(**body.given())
        _check_place(changed)
        if changed != site:
            changed = changed._replace(updated_at=await instant(conn))
            await sites.update(conn, changed)
    return ok(_item(changed))


@router.delete("/{id}", operation_id="deleteSite", status_code=204)
async def delete_site(access: Dispatcher, site_id: _SitePath) -> Response:
    """Delete a site at which no asset is. It can be restored."""
    async with access.transaction() as conn:
        site = await _found(conn, site_id, lock=True)
        access.check_unchanged(_item(site))
        if await is_in_use(conn, site_id):
            raise conflict("in_use", "Assets are at the site.")
        at = await instant(conn)
        await sites.update(conn, site._replace(updated_at=at, deleted_at=at))
    return no_content()


@router.post("/{id}/restore", operation_id="restoreSite", response_model=SiteItem)
async def restore_site(access: Dispatcher, site_id: _SitePath) -> Response:
    """Restore a deleted site, unless its client is deleted."""
    async with access.transaction() as conn:
        site = await _found(conn, site_id, lock=True, deleted=True)
        access.check_unchanged(_item(site))
        if site.deleted_at is not None:
            if site.client_id is not None and not await clients.held(conn, [site.client_id]):
                raise conflict("client_deleted", "The site's client is deleted: restore it first.")
            site = site._replace(updated_at=await instant(conn), deleted_at=None)
            await sites.update(conn, site)
    return ok(_item(site))


def _check_place(site: Site) -> None:
    if (site.lat is None) != (site.lon is None):
        pointer = "/lat" if site.lat is None else "/lon"
        raise bad_field(pointer, "lat and lon go together.")


async def _found(
    conn: Connection, site_id: UUID, *, lock: bool = False, deleted: bool = False
) -> Site:
    """Find a site. `deleted`: also find soft-deleted sites."""
    site = await sites.find(conn, site_id, lock=lock)
    if site is None or (site.deleted_at is not None and not deleted):
        raise not_found("site")
    return site


def _item(site: Site) -> dict[str, Any]:
    return {
        "id": id_text("sit", site.id),
        "client_id": optional_id_text("cli", site.client_id),
        "zone_id": optional_id_text("zon", site.zone_id),
        "name": site.name,
        "external_id": site.external_id,
        "address": site.address,
        "lat": site.lat,
        "lon": site.lon,
        "notes": site.notes,
        "created_at": time_text(site.created_at),
        "updated_at": time_text(site.updated_at),
        "deleted_at": optional_time_text(site.deleted_at),
    }
