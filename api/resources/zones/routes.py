"""Zones: areas on the map, in versions.

A fix is judged by the version in force at its own time, so an edit changes nothing that was already
judged: it closes the version in force and opens the next one. A shape is checked before any
transaction begins, since that can take a while, and is never repaired in silence.
"""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, no_content, ok
from api.http.problems import bad_field, conflict, not_found
from api.limits.geometry_process import ShapeRequest
from api.request.access import Access, Dispatcher, Reader
from api.request.geojson import documented, listed, shown
from api.request.paging import ListOf, ListQuery, Page, SortedByNameQuery, Total
from api.request.route import LargeBodyRoute
from api.resources.zones.bodies import (
    Kind,
    NewZone,
    VersionItem,
    ZoneChange,
    ZoneItem,
    changed_zone,
    new_zone,
    shape_of,
    version_item,
    zone_feature,
    zone_item,
)
from api.resources.zones.crowds import NewShape, Seen, check_crowds, new_shape
from api.resources.zones.options import check_assets, check_schedule
from api.resources.zones.validation import check_shape
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.resources import zones
from db.resources.kinds import KINDS
from db.resources.quotas import check_room
from db.resources.zones import VersionKey, Zone, ZoneFilter
from geofence.geometry.overlap import Box

router = APIRouter(prefix="/v1/zones", tags=["zones"], route_class=LargeBodyRoute)
_ZonePath = Annotated[fields.ZoneId, Path(alias="id")]


class ZoneQuery(SortedByNameQuery):
    """The filters of zones."""

    kind: Kind | None = None
    external_id: fields.ExternalId | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


@router.get(
    "",
    operation_id="listZones",
    response_model=ListOf[ZoneItem],
    responses=documented("FeatureCollection"),
)
async def list_zones(
    request: Request, access: Reader, query: Annotated[ZoneQuery, Query()]
) -> Response:
    """List zones, newest first."""
    page = Page(access, query, "zones", query.order.key_type)
    wanted = ZoneFilter(query.kind, query.external_id, query.q, query.deleted)
    async with access.transaction() as conn:
        total = page.total or Total(await zones.count(conn, wanted))
        rows = await zones.listing(
            conn,
            wanted,
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
    envelope = page.envelope(rows, total, key=query.order.key, item=zone_item)
    return await listed(request, envelope, zone_feature)


@router.post("", operation_id="createZone", status_code=201, response_model=ZoneItem)
async def create_zone(access: Dispatcher, body: Annotated[NewZone, Body()]) -> Response:
    """Create a zone. It judges what arrives from now on, wherever its valid_from lies."""
    check_schedule(body.schedule)
    asked = shape_of(body)
    checked = await check_shape(access, asked)
    shape = new_shape(body, checked)
    seen = await check_crowds(access, [shape])
    async with access.transaction() as conn:
        await check_assets(conn, body.assets)
        await zones.keep_shapes(conn, {asked.geometry: checked.wkb})
        revision, at = await bump(conn)
        await check_room(conn, "zones")
        await seen.check(conn)
        if body.valid_from is not None and body.valid_from > at:
            raise bad_field("/valid_from", "valid_from must not lie in the future.")
        zone = new_zone(body, asked.geometry, at, shape.box)
        await zones.insert(conn, zone, revision)
    return created(zone_item(zone), router.prefix)


@router.get(
    "/{id}",
    operation_id="getZone",
    response_model=ZoneItem,
    responses=documented("Feature"),
)
async def get_zone(request: Request, access: Reader, zone_id: _ZonePath) -> Response:
    """Return one zone."""
    async with access.transaction() as conn:
        zone = await _found(conn, zone_id)
    return shown(request, zone_item(zone), zone_feature)


@router.patch("/{id}", operation_id="updateZone", response_model=ZoneItem)
async def update_zone(
    access: Dispatcher, zone_id: _ZonePath, body: Annotated[ZoneChange, Body()]
) -> Response:
    """Change the fields that are given."""
    check_schedule(body.schedule)
    async with access.transaction() as conn:
        old = await _found(conn, zone_id)
        access.check_unchanged(zone_item(old))
        await check_assets(conn, body.assets)
    new = changed_zone(old, body)
    if _shape(new) != _shape(old):
        asked = ShapeRequest(new.geometry, new.radius_m, new.width_m)
        checked = await check_shape(access, asked)
        shape = new_shape(new, checked)
        seen = await check_crowds(access, [shape], instead_of=old.id)
        new, made = new._replace(box=list(shape.box)), {new.geometry: checked.wkb}
    else:
        seen, made = None, None
    if new != old:
        new = await _write_change(access, old, new, seen, made)
    return ok(zone_item(new))


@router.delete("/{id}", operation_id="deleteZone", status_code=204)
async def delete_zone(access: Dispatcher, zone_id: _ZonePath) -> Response:
    """Delete a zone. Its versions, visits and events stay."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        access.check_unchanged(zone_item(await _found(conn, zone_id)))
        await zones.delete(conn, zone_id, at, revision)
    return no_content()


@router.post("/{id}/restore", operation_id="restoreZone", response_model=ZoneItem)
async def restore_zone(access: Dispatcher, zone_id: _ZonePath) -> Response:
    """Restore a deleted zone from now on, in a version of its own that is as the last one was."""
    async with access.transaction() as conn:
        zone = await zones.find(conn, zone_id, deleted=True)
        stored = None if zone is None else await zones.find_shape(conn, zone)
    seen = None
    if zone is not None and zone.box is not None and stored is not None:
        shape = NewShape(stored, Box(*zone.box))
        seen = await check_crowds(access, [shape], instead_of=zone_id)
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        if seen is not None:
            await seen.check(conn)
        zone = await zones.find(conn, zone_id, deleted=True)
        if zone is None:
            raise not_found("zone")
        access.check_unchanged(zone_item(zone))
        if zone.deleted_at is not None:
            zone = zone._replace(
                version=zone.version + 1, valid_from=at, updated_at=at, deleted_at=None
            )
            await zones.restore(conn, zone, revision)
    return ok(zone_item(zone))


@router.get("/{id}/versions", operation_id="listZoneVersions", response_model=ListOf[VersionItem])
async def list_zone_versions(
    access: Reader, zone_id: _ZonePath, query: Annotated[ListQuery, Query()]
) -> Response:
    """List all versions of a zone, newest first; also of a deleted zone."""
    page = Page(access, query, f"zones/{zone_id}/versions", VersionKey)
    async with access.transaction() as conn:
        if not await KINDS["zone"].existed(conn, [zone_id]):
            raise not_found("zone")
        total = page.total or Total(await zones.count_versions(conn, zone_id))
        rows = await zones.versions(
            conn, zone_id, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return await page.response(
        rows, total, key=lambda row: VersionKey(row.version), item=version_item
    )


async def _found(conn: Connection, zone_id: fields.ZoneId) -> Zone:
    zone = await zones.find(conn, zone_id)
    if zone is None:
        raise not_found("zone")
    return zone


def _shape(zone: Zone) -> tuple[str, float | None, float | None]:
    return zone.geometry, zone.radius_m, zone.width_m


async def _write_change(
    access: Access, old: Zone, new: Zone, seen: Seen | None, made: Mapping[str, bytes] | None
) -> Zone:
    """Write `new` over `old`, unless another did so since `old` was read. made: a geometry that may
    not be there yet, with its shape.
    """
    async with access.transaction() as conn:
        if made is not None:
            await zones.keep_shapes(conn, made)
        revision, at = await bump(conn)
        if seen is not None:
            await seen.check(conn)
        current = await zones.find(conn, old.id)
        if current is None:
            raise not_found("zone")
        access.check_unchanged(zone_item(current))
        if current != old:
            raise conflict(
                "changed_meanwhile", "The zone was changed by another request: read it again."
            )
        new = new._replace(updated_at=at)
        if new._replace(external_id=old.external_id, updated_at=old.updated_at) == old:
            await zones.update(conn, new)
            return new
        new = new._replace(version=old.version + 1, valid_from=at)
        await zones.replace(conn, new, revision)
    return new
