"""Zones as they are written in requests and answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import ConfigDict, Field, WithJsonSchema

from api.http import fields
from api.http.encoding import id_text, optional_time_text, raw_json, time_text
from api.limits.geometry_process import ShapeRequest
from api.resources.zones.options import (
    AssetChoice,
    ChosenAssets,
    PunchTolerance,
    RuleFields,
    Schedule,
    changed_rules,
    shown_assets,
    shown_rules,
    stored_assets,
)
from db.core.ids import new_id
from db.resources.zones import PastZone, Zone
from geofence.shapes.geojson import MAX_VERTICES
from geofence.shapes.types import MAX_RADIUS_M, MAX_WIDTH_M

Kind = Literal["restricted", "allowed", "jobsite", "yard", "other"]
Alert = Literal["enter", "exit", "pass_through"]
Geometry = Annotated[
    dict[str, Any],
    WithJsonSchema(
        {
            "type": "object",
            "description": "a GeoJSON geometry: Polygon, MultiPolygon, Point with radius_m, or"
            " LineString with width_m",
            "required": ["type", "coordinates"],
            "properties": {
                "type": {
                    "type": "string",
                    "enum": ["Polygon", "MultiPolygon", "Point", "LineString"],
                },
                "coordinates": {"type": "array", "items": {}, "maxItems": MAX_VERTICES},
            },
            "examples": [
                {
                    "type": "Polygon",
                    "coordinates": [
                        [[8.30, 47.05], [8.31, 47.05], [8.31, 47.06], [8.30, 47.06], [8.30, 47.05]]
                    ],
                }
            ],
        }
    ),
]
Alerts = Annotated[list[Alert], Field(max_length=3)]
_Name = Annotated[fields.Name, Field(examples=["Depot in Altstetten"])]
_ExternalId = Annotated[fields.ExternalId, Field(examples=["Z-12"])]
_Metres = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Radius = Annotated[
    Annotated[_Metres, Field(json_schema_extra={"maximum": MAX_RADIUS_M})] | None,
    Field(description="of a circle round a Point", examples=[None]),
]
_Width = Annotated[
    Annotated[_Metres, Field(json_schema_extra={"maximum": MAX_WIDTH_M})] | None,
    Field(description="of a corridor along a LineString: all of it", examples=[None]),
]
_Assets = Annotated[AssetChoice | None, Field(description="null: all assets")]
_Schedule = Annotated[Schedule | None, Field(description="null: always")]
_PunchTolerance = Annotated[
    PunchTolerance,
    Field(description="so far beyond the edge a punch is still there; null: the organization's"),
]


class _Version(RuleFields):
    """The fields of every version."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=True)

    version: fields.Count
    name: _Name
    kind: Kind
    alert_on: Alerts | None = Field(description="null: as the kind has it")
    geometry: Geometry
    radius_m: _Radius
    width_m: _Width
    schedule: _Schedule
    assets: ChosenAssets | None = Field(description="null: all assets")
    punch_tolerance_m: _PunchTolerance
    created_at: datetime
    judges_from: datetime = Field(
        description="fixes received from then on are judged by it; a fix that was received before"
        " opens no visit, also where valid_from lies before it"
    )


class VersionItem(_Version):
    """A version of a zone: in force in [valid_from, valid_to)."""

    valid_from: datetime
    valid_to: datetime | None


class ZoneVersionItem(VersionItem):
    """A version, and of which zone it is."""

    zone_id: fields.ZoneId


class ZoneItem(_Version):
    """A zone as its newest version has it."""

    id: fields.ZoneId
    external_id: _ExternalId | None
    valid_from: datetime = Field(description="since when this version is in force")
    updated_at: datetime
    deleted_at: datetime | None


class NewZone(fields.Body, RuleFields):
    """A new zone."""

    name: _Name
    geometry: Geometry
    radius_m: _Radius = None
    width_m: _Width = None
    external_id: _ExternalId | None = None
    kind: Kind = "restricted"
    alert_on: Alerts | None = None
    schedule: _Schedule = None
    assets: _Assets = None
    punch_tolerance_m: _PunchTolerance = None
    valid_from: fields.Time | None = Field(
        default=None,
        description="not later than now, which it is unless given. In the past: fixes of then that"
        " are received from now on are judged; none that is stored already opens a visit",
    )


class ZoneChange(fields.Body, RuleFields):
    """The fields to change. Any but external_id makes a new version, in force from now."""

    name: _Name = Field(default_factory=fields.absent)
    geometry: Geometry = Field(default_factory=fields.absent)
    radius_m: _Radius = None
    width_m: _Width = None
    external_id: _ExternalId | None = None
    kind: Kind = Field(default_factory=fields.absent)
    alert_on: Alerts | None = None
    schedule: _Schedule = None
    assets: _Assets = None
    punch_tolerance_m: _PunchTolerance = None


def new_zone(body: NewZone, geometry: str, at: datetime, box: Sequence[float]) -> Zone:
    """Return its first version. geometry: the text of `shape_of`."""
    return Zone(
        id=new_id(),
        external_id=body.external_id,
        version=1,
        name=body.name,
        kind=body.kind,
        alert_on=_alerts(body.alert_on),
        geometry=geometry,
        radius_m=body.radius_m,
        width_m=body.width_m,
        rules=changed_rules({}, body),
        schedule=body.schedule,
        assets=stored_assets(body.assets),
        punch_tolerance_m=body.punch_tolerance_m,
        valid_from=body.valid_from or at,
        created_at=at,
        updated_at=at,
        box=list(box),
    )


def changed_zone(zone: Zone, body: ZoneChange) -> Zone:
    """Return the zone with what was sent. Radius and width go with the point or line that they
    belong to.
    """
    sent = body.given()
    changes = {name: value for name, value in sent.items() if name not in RuleFields.model_fields}
    if "geometry" in sent:
        for name, kind in (("radius_m", "Point"), ("width_m", "LineString")):
            if body.geometry.get("type") != kind:
                changes.setdefault(name, None)
        changes["geometry"] = _geometry_text(body.geometry)
    if "alert_on" in sent:
        changes["alert_on"] = _alerts(body.alert_on)
    if "assets" in sent:
        changes["assets"] = stored_assets(body.assets)
    return zone._replace(**changes, rules=changed_rules(zone.rules, body))


def shape_of(body: NewZone) -> ShapeRequest:
    """Return the geometry of a new zone, to be checked."""
    return ShapeRequest(_geometry_text(body.geometry), body.radius_m, body.width_m)


def _alerts(given: list[Alert] | None) -> list[str] | None:
    return None if given is None else sorted(set(given))


def _geometry_text(geometry: dict[str, Any]) -> str:
    """Return the geometry as it was given, without foreign members."""
    members = {name: geometry[name] for name in ("type", "coordinates") if name in geometry}
    return msgspec.json.encode(members).decode()


def zone_item(zone: Zone) -> dict[str, Any]:
    """Return a ZoneItem."""
    return {
        "id": id_text("zon", zone.id),
        "external_id": zone.external_id,
        **_version(zone),
        "updated_at": time_text(zone.updated_at),
        "deleted_at": optional_time_text(zone.deleted_at),
    }


def zone_feature(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return a ZoneItem as a GeoJSON feature: a circle is a Point with `radius_m`, a corridor a
    LineString with `width_m`, as in zone files.
    """
    rest = {name: value for name, value in item.items() if name not in ("id", "geometry")}
    geometry = item["geometry"]
    return {"type": "Feature", "id": item["id"], "geometry": geometry, "properties": rest}


def version_item(version: PastZone) -> dict[str, Any]:
    """Return a VersionItem."""
    return {**_version(version), "valid_to": optional_time_text(version.valid_to)}


def zone_version_item(version: PastZone) -> dict[str, Any]:
    """Return a ZoneVersionItem."""
    return {"zone_id": id_text("zon", version.zone_id), **version_item(version)}


def _version(of: Zone | PastZone) -> dict[str, Any]:
    return {
        "version": of.version,
        "name": of.name,
        "kind": of.kind,
        "alert_on": of.alert_on,
        "geometry": raw_json(of.geometry),
        "radius_m": of.radius_m,
        "width_m": of.width_m,
        **shown_rules(of.rules),
        "schedule": of.schedule,
        "assets": shown_assets(of.assets),
        "punch_tolerance_m": of.punch_tolerance_m,
        "valid_from": time_text(of.valid_from),
        "created_at": time_text(of.created_at),
        "judges_from": time_text(max(of.created_at, of.valid_from)),
    }
