"""Zones: areas on the map, in versions.

A fix is judged by the version in force at its own time, so an edit changes nothing that was already
judged: it closes the version in force and opens the next one. A shape is checked before any
transaction begins, since that can take a while, and is never repaired in silence.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.responses import Response

from api import fields
from api.access import Access, Dispatcher, Reader
from api.paging import ListOf, ListQuery, Page, Total
from api.problems import bad_field, conflict, not_found
from api.routes import LargeBodyRoute
from api.wire import created, id_text, no_content, ok, optional_time_text, raw_json, time_text
from api.zone_shapes import check_shape
from db import zones
from db.ids import new_id
from db.revision import bump
from db.zones import VersionKey, Zone, ZoneKey, ZoneVersion

router = APIRouter(prefix="/v1/zones", tags=["zones"], route_class=LargeBodyRoute)
_ZonePath = Annotated[fields.ZoneId, Path(alias="id")]

Kind = Literal["restricted", "allowed", "jobsite", "yard", "other"]
Alert = Literal["enter", "exit", "pass_through"]
Geometry = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "a GeoJSON geometry: Polygon, MultiPolygon, or Point with radius_m",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {"enum": ["Polygon", "MultiPolygon", "Point"]},
                "coordinates": {"type": "array", "items": {}},
            },
        }
    ),
]
Alerts = Annotated[list[Alert], Field(max_length=3)]
_Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class VersionItem(BaseModel):
    """A version of a zone: in force in [valid_from, valid_to)."""

    version: int
    name: str
    kind: Kind
    alert_on: list[Alert] | None = Field(description="null: as the kind has it")
    geometry: Geometry
    radius_m: float | None
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime


class ZoneItem(BaseModel):
    """A zone as its newest version has it."""

    id: str
    external_id: str | None
    version: int
    name: str
    kind: Kind
    alert_on: list[Alert] | None = Field(description="null: as the kind has it")
    geometry: Geometry
    radius_m: float | None
    valid_from: datetime = Field(description="since when this version is in force")
    created_at: datetime
    updated_at: datetime


class NewZone(fields.Body):
    """A new zone."""

    name: fields.Name
    geometry: Geometry
    radius_m: _Metres | None = Field(default=None, description="of a circle round a Point")
    width_m: _Metres | None = Field(default=None, description="of a corridor: not supported yet")
    external_id: fields.ExternalId | None = None
    kind: Kind = "restricted"
    alert_on: Alerts | None = None
    valid_from: fields.Time | None = Field(
        default=None, description="not later than now, which it is unless given"
    )


class ZoneChange(fields.Body):
    """The fields to change. Any but external_id makes a new version, in force from now."""

    name: fields.Name = Field(default_factory=fields.absent)
    geometry: Geometry = Field(default_factory=fields.absent)
    radius_m: _Metres | None = None
    width_m: _Metres | None = Field(default=None, description="of a corridor: not supported yet")
    external_id: fields.ExternalId | None = None
    kind: Kind = Field(default_factory=fields.absent)
    alert_on: Alerts | None = None


@router.get("", operation_id="listZones", response_model=ListOf[ZoneItem])
async def list_zones(access: Reader, query: Annotated[ListQuery, Query()]) -> Response:
    """Zones, newest first."""
    page = Page(access, query, "zones", ZoneKey)
    async with access.transaction() as conn:
        total = page.total or Total(await zones.count(conn))
        rows = await zones.listing(
            conn, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return page.response(rows, total, key=lambda row: ZoneKey(row.created_at, row.id), item=_item)


@router.post("", operation_id="createZone", status_code=201, response_model=ZoneItem)
async def create_zone(access: Dispatcher, body: Annotated[NewZone, Body()]) -> Response:
    """A new zone. It judges what arrives from now on."""
    await check_shape(access.state, body.geometry, radius_m=body.radius_m, width_m=body.width_m)
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        if body.valid_from is not None and body.valid_from > at:
            raise bad_field("/valid_from", "valid_from must not lie in the future.")
        zone = Zone(
            id=new_id(),
            external_id=body.external_id,
            version=1,
            name=body.name,
            kind=body.kind,
            alert_on=_alerts(body.alert_on),
            geometry=_geometry_text(body.geometry),
            radius_m=body.radius_m,
            valid_from=body.valid_from or at,
            created_at=at,
            updated_at=at,
        )
        await zones.insert(conn, zone, revision)
    return created(_item(zone), router.prefix)


@router.get("/{id}", operation_id="getZone", response_model=ZoneItem)
async def get_zone(access: Reader, zone_id: _ZonePath) -> Response:
    """One zone."""
    return ok(_item(await _found(access, zone_id)))


@router.patch("/{id}", operation_id="updateZone", response_model=ZoneItem)
async def update_zone(
    access: Dispatcher, zone_id: _ZonePath, body: Annotated[ZoneChange, Body()]
) -> Response:
    """Changes the fields that are given."""
    old = await _found(access, zone_id)
    new = old._replace(**_changes(body))
    if (new.geometry, new.radius_m) != (old.geometry, old.radius_m) or body.width_m is not None:
        geometry = msgspec.json.decode(new.geometry)
        await check_shape(access.state, geometry, radius_m=new.radius_m, width_m=body.width_m)
    if new != old:
        new = await _write_change(access, old, new)
    return ok(_item(new))


@router.delete("/{id}", operation_id="deleteZone", status_code=204)
async def delete_zone(access: Dispatcher, zone_id: _ZonePath) -> Response:
    """Ends a zone. Its versions, visits and events stay."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        if not await zones.delete(conn, zone_id, at, revision):
            raise not_found("zone")
    return no_content()


@router.get("/{id}/versions", operation_id="listZoneVersions", response_model=ListOf[VersionItem])
async def list_zone_versions(
    access: Reader, zone_id: _ZonePath, query: Annotated[ListQuery, Query()]
) -> Response:
    """All versions of a zone, newest first; a deleted zone's too."""
    page = Page(access, query, f"zones/{zone_id}/versions", VersionKey)
    async with access.transaction() as conn:
        if not await zones.existed(conn, zone_id):
            raise not_found("zone")
        total = page.total or Total(await zones.count_versions(conn, zone_id))
        rows = await zones.versions(
            conn, zone_id, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return page.response(rows, total, key=lambda row: VersionKey(row.version), item=_version_item)


async def _found(access: Access, zone_id: fields.ZoneId) -> Zone:
    async with access.transaction() as conn:
        zone = await zones.find(conn, zone_id)
    if zone is None:
        raise not_found("zone")
    return zone


async def _write_change(access: Access, old: Zone, new: Zone) -> Zone:
    """Writes `new` over `old`, unless another did so since `old` was read."""
    async with access.transaction() as conn:
        revision, at = await bump(conn)
        current = await zones.find(conn, old.id)
        if current is None:
            raise not_found("zone")
        if current != old:
            raise conflict("changed_meanwhile", "The zone was changed meanwhile: read it again.")
        new = new._replace(updated_at=at)
        if new._replace(external_id=old.external_id, updated_at=old.updated_at) == old:
            await zones.update(conn, new)
            return new
        new = new._replace(version=old.version + 1, valid_from=at)
        await zones.replace(conn, new, revision)
    return new


def _changes(body: ZoneChange) -> dict[str, Any]:
    """What was given, as the columns have it. Without its point a circle's radius means nothing."""
    changes = body.given()
    changes.pop("width_m", None)
    if "geometry" in changes:
        if body.geometry.get("type") != "Point":
            changes.setdefault("radius_m", None)
        changes["geometry"] = _geometry_text(body.geometry)
    if "alert_on" in changes:
        changes["alert_on"] = _alerts(body.alert_on)
    return changes


def _alerts(given: list[Alert] | None) -> list[str] | None:
    return None if given is None else sorted(set(given))


def _geometry_text(geometry: dict[str, Any]) -> str:
    """As it was given, without foreign members."""
    members = {name: geometry[name] for name in ("type", "coordinates") if name in geometry}
    return msgspec.json.encode(members).decode()


def _item(zone: Zone) -> dict[str, Any]:
    return {
        "id": id_text("zon", zone.id),
        "external_id": zone.external_id,
        "version": zone.version,
        "name": zone.name,
        "kind": zone.kind,
        "alert_on": zone.alert_on,
        "geometry": raw_json(zone.geometry),
        "radius_m": zone.radius_m,
        "valid_from": time_text(zone.valid_from),
        "created_at": time_text(zone.created_at),
        "updated_at": time_text(zone.updated_at),
    }


def _version_item(version: ZoneVersion) -> dict[str, Any]:
    return {
        "version": version.version,
        "name": version.name,
        "kind": version.kind,
        "alert_on": version.alert_on,
        "geometry": raw_json(version.geometry),
        "radius_m": version.radius_m,
        "valid_from": time_text(version.valid_from),
        "valid_to": optional_time_text(version.valid_to),
        "created_at": time_text(version.created_at),
    }
