"""Assets as they are written in requests and answers."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from api.http import fields
from api.http.encoding import id_text
from api.http.problems import bad_field
from api.request.paging import SortedByNameQuery
from api.request.positions import position_item
from api.request.resource import item_of
from db.core.connect import Connection
from db.core.ids import new_id
from db.history import last_positions
from db.resources import assets
from db.resources.assets import Asset

MAX_OPEN_ZONES = 100_000  # that an asset is in at a time: as many as an organization could have

AssetClass = Literal["vehicle", "aircraft", "vessel", "person", "other"]
MechanicalState = Literal["operational", "degraded", "down", "in_repair", "retired"]

_METERS = (("odometer_m", "odometer_at"), ("engine_hours_h", "engine_hours_at"))
_INCLUDED = "(last_position|zone_ids)"
_INCLUDE = f"^{_INCLUDED}(,{_INCLUDED})*$"

_Year = Annotated[int, Field(ge=1800, le=2200, examples=[2021]), fields.WHOLE]
_Metres = Annotated[float, Field(ge=0, le=1e12, examples=[184_210_000.0])]
_Hours = Annotated[float, Field(ge=0, le=1e9, examples=[5120.5])]
_Odometer = Annotated[_Metres | None, Field(description="as it was read off")]
_EngineHours = Annotated[_Hours | None, Field(description="as they were read off")]
_ReadAt = Annotated[
    fields.Time | None, Field(description="when it was read off; now, unless given")
]
_Class = Annotated[AssetClass, Field(description="decides which speeds count as possible")]
_Make = Annotated[fields.Name, Field(examples=["Volvo"])]
_Model = Annotated[fields.Name, Field(examples=["FMX 460"])]
_Serial = Annotated[fields.Name, Field(examples=["YV2XTY0G1FA123456"])]


class PositionItem(BaseModel):
    """The position of an asset, by its tracker's newest fix that is not suspect."""

    tracker_id: fields.TrackerId
    time: datetime
    lat: fields.Latitude
    lon: fields.Longitude
    speed_mps: float | None = Field(examples=[12.5])
    course_deg: float | None = Field(examples=[270.0])
    accuracy_m: float | None = Field(examples=[4.0])


class AssetItem(BaseModel):
    """An asset. `last_position` and `zone_ids` are there where `include` asks for them."""

    id: fields.AssetId
    name: fields.Name
    external_id: fields.ExternalId | None = Field(
        description="the organization's own id of it, unique"
    )
    make: _Make | None
    model: _Model | None
    serial: _Serial | None
    year: _Year | None
    asset_class: _Class
    mechanical_state: MechanicalState
    client_id: fields.ClientId | None = Field(description="whose it is; null: our own")
    site_id: fields.SiteId | None = Field(description="where it belongs")
    tracker_id: fields.TrackerId | None = Field(description="the tracker that it carries now")
    odometer_m: _Odometer
    odometer_at: datetime | None
    engine_hours_h: _EngineHours
    engine_hours_at: datetime | None
    tags: fields.Tags = Field(description="what zones may choose assets by, in order")
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None
    last_position: PositionItem | None = None
    zone_ids: Annotated[list[fields.ZoneId], Field(max_length=MAX_OPEN_ZONES)] = Field(
        default_factory=list, description="the zones that it is in now"
    )


class NewAsset(fields.Body):
    """A new asset."""

    name: fields.Name
    external_id: fields.ExternalId | None = None
    make: _Make | None = None
    model: _Model | None = None
    serial: _Serial | None = None
    year: _Year | None = None
    asset_class: AssetClass = "other"
    mechanical_state: MechanicalState = "operational"
    client_id: fields.ClientId | None = None
    site_id: fields.SiteId | None = None
    odometer_m: _Odometer = None
    odometer_at: _ReadAt = None
    engine_hours_h: _EngineHours = None
    engine_hours_at: _ReadAt = None
    tags: fields.Tags = Field(default_factory=list)


class AssetChange(NewAsset):
    """The fields to change."""

    name: fields.Name = Field(default_factory=fields.absent)
    asset_class: AssetClass = Field(default_factory=fields.absent)
    mechanical_state: MechanicalState = Field(default_factory=fields.absent)
    tags: fields.Tags = Field(default_factory=fields.absent)


class AssetFilters(SortedByNameQuery):
    """The filters of assets."""

    make: _Make | None = None
    model: _Model | None = None
    client_id: fields.ClientId | None = None
    site_id: fields.SiteId | None = None
    zone_id: Annotated[
        fields.ZoneId | None, Field(description="assets that are in the zone now")
    ] = None
    mechanical_state: MechanicalState | None = None
    external_id: fields.ExternalId | None = None
    tag: fields.Tag | None = None
    q: fields.NamePrefix | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


Include = Annotated[
    Annotated[
        str,
        fields.shaped(_INCLUDE, "must be last_position, zone_ids, or both with a comma"),
        Field(max_length=100, json_schema_extra={"pattern": _INCLUDE}),
    ]
    | None,
    Field(
        description="last_position, zone_ids, or both with a comma",
        examples=["last_position,zone_ids"],
    ),
]


def new_asset(body: NewAsset, at: datetime) -> Asset:
    """Return its row."""
    values = dict(body) | _meters(dict(body), at)
    values["tags"] = _in_order(body.tags)
    return Asset(id=new_id(), **values, created_at=at, updated_at=at)


def changed_asset(asset: Asset, body: AssetChange, at: datetime) -> Asset:
    """Return the asset with what was sent."""
    sent = body.given()
    changes = {name: sent[name] for name in sent if not name.endswith("_at")} | _meters(sent, at)
    if "tags" in sent:
        changes["tags"] = _in_order(body.tags)
    return asset._replace(**changes)


def _in_order(tags: list[str]) -> list[str]:
    return sorted(set(tags))


def _meters(sent: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Return when the meters were read that were sent."""
    times: dict[str, Any] = {}
    for meter, when in _METERS:
        read_at: datetime | None = sent.get(when)
        if read_at is not None and sent.get(meter) is None:
            raise bad_field(f"/{when}", f"{when} requires {meter}.")
        if read_at is not None and read_at > at:
            raise bad_field(f"/{when}", f"{when} must not lie in the future.")
        if meter in sent:
            times[when] = None if sent[meter] is None else read_at or at
    return times


async def included(
    conn: Connection, include: str, rows: Sequence[Asset]
) -> dict[UUID, dict[str, Any]]:
    """Return, by asset, the fields that `include` asks for: one look-up of each for all of them."""
    asked, asset_ids = set(include.split(",")), [row.id for row in rows]
    more: dict[UUID, dict[str, Any]] = {asset_id: {} for asset_id in asset_ids}
    if "last_position" in asked:
        positions = await last_positions.of_assets(conn, asset_ids)
        for asset_id in asset_ids:
            more[asset_id]["last_position"] = position_item(positions.get(asset_id))
    if "zone_ids" in asked:
        zones = await assets.zones_inside(conn, asset_ids)
        for asset_id in asset_ids:
            inside = zones.get(asset_id, ())
            more[asset_id]["zone_ids"] = [id_text("zon", zone_id) for zone_id in inside]
    return more


asset_item = item_of(AssetItem)
"""Return an AssetItem, without what is included."""
