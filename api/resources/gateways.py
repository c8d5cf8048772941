"""Gateways: servers that forward the positions of many devices, registered with a secret each.

They send to the listener (`listener/http`, `listener/devices/forwarding.py`). The secret is shown
once, in the answer that creates the gateway or gives it another secret; only hashes of it are kept.
A revoked gateway stays revoked.
"""

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import Body, Path
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok, optional_time_text
from api.http.problems import bad_field, conflict
from api.request.access import Dispatcher
from api.request.paging import SortedQuery
from api.request.plain_resource import plain_routes
from api.request.resource import Resource, item_of
from db.core.connect import Connection
from db.core.table import db_now
from db.listener import gateway_sightings
from db.resources.gateways import Gateway, gateways
from db.resources.trackers import secret_hash

_GatewayPath = Annotated[fields.GatewayId, Path(alias="id")]
_SECRET_BYTES = 32
_Name = Annotated[fields.Name, Field(examples=["Traccar in Zurich"])]

GatewayKind = Literal["traccar", "chirpstack", "tts", "generic"]
_PATH = "^(/([^/~]|~[01]){1,64}){1,8}$"
_PATTERN = "^[!-~]([ -~]{0,62}[!-~])?$"


_Path = Annotated[
    str,
    StringConstraints(max_length=200),
    fields.shaped(_PATH, 'must be a path in the message, such as "/position/lat"'),
    Field(examples=["/position/lat"], json_schema_extra={"pattern": _PATH}),
]

_WHOLE_OR_PATH = "^(/([^/~]|~[01]){1,64}){0,8}$"
_WholeOrPath = Annotated[
    str,
    StringConstraints(max_length=200),
    fields.shaped(_WHOLE_OR_PATH, 'must be a path in the message, such as "/positions", or ""'),
    Field(json_schema_extra={"pattern": _WHOLE_OR_PATH}),
]

_EXAMPLE: dict[str, Any] = {"device": "/id", "lat": "/gps/lat", "lon": "/gps/lon", "time": "/time"}


class GatewayMapping(fields.Body):
    """Where the values of a message stand: paths as JSON Pointers (RFC 6901), and units. What the
    gateway does not send is left out.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    device: _Path | None = Field(default=None, description="the id of the device", examples=["/id"])
    device_topic_level: Annotated[
        int | None,
        Field(ge=0, le=20, description="the level of the MQTT topic that is it instead, from 0"),
    ] = None
    lat: _Path = Field(description="degrees, WGS 84", examples=["/gps/lat"])
    lon: _Path = Field(description="degrees, WGS 84", examples=["/gps/lon"])
    time: _Path | None = Field(
        default=None,
        description="of the fix; left out: the time of receipt counts",
        examples=["/time"],
    )
    time_unit: Annotated[
        Literal["iso", "s", "ms"],
        Field(description="iso: a text; s, ms: a number of seconds or milliseconds since 1970"),
    ] = "iso"
    altitude_m: _Path | None = Field(default=None, description="metres", examples=["/gps/alt"])
    speed: _Path | None = Field(
        default=None, description="in `speed_unit`", examples=["/gps/speed"]
    )
    speed_unit: Literal["mps", "kmh", "knots", "mph"] = "mps"
    course_deg: _Path | None = Field(
        default=None, description="degrees from north", examples=["/gps/course"]
    )
    accuracy_m: _Path | None = Field(
        default=None, description="metres; 0 is not known", examples=["/gps/accuracy"]
    )
    battery_pct: _Path | None = Field(default=None, description="percent", examples=["/battery"])
    satellites: _Path | None = Field(default=None, description="a number", examples=["/gps/sats"])
    ignition: _Path | None = Field(
        default=None, description="true or false", examples=["/ignition"]
    )
    positions: _WholeOrPath | None = Field(
        default=None,
        description="an array of positions of one device, where the paths but `device` begin at"
        ' each; "": the message is it',
        examples=["/positions"],
    )
    attributes: _WholeOrPath | None = Field(
        default=None,
        description="an object whose members are kept as attributes, but for those through which"
        ' other paths lead; "": the position itself',
        examples=["/attributes"],
    )

    @model_validator(mode="after")
    def _names_a_device(self) -> Self:
        if (self.device is None) == (self.device_topic_level is None):
            says = "must have device or device_topic_level, and not both"
            raise PydanticCustomError("shape", "{says}", {"says": says})
        if self.positions is not None and self.time is None:
            says = "must have time, since positions of one message have one time of receipt"
            raise PydanticCustomError("shape", "{says}", {"says": says})
        return self


_Kind = Annotated[GatewayKind, Field(examples=["generic"])]
_MAPPING = Field(
    description="of kind generic alone: how its messages are read", examples=[_EXAMPLE]
)
_Mapping = Annotated[GatewayMapping | None, _MAPPING]
_GivenMapping = Annotated[GatewayMapping, _MAPPING]
_AutoRegister = Annotated[
    Annotated[
        str,
        StringConstraints(max_length=64),
        fields.shaped(_PATTERN, "must be 1 to 64 printable characters of ASCII"),
    ]
    | None,
    Field(
        description="ids of devices that are registered as they come, where `*` stands for any"
        " characters and `?` for one; null: none is",
        examples=["70B3D5*"],
    ),
]


class GatewayItem(BaseModel):
    """A gateway."""

    id: fields.GatewayId
    name: _Name
    kind: _Kind = Field(description="in whose form it forwards; tts: The Things Stack")
    mapping: _Mapping
    auto_register: _AutoRegister
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    last_seen_at: datetime | None = Field(
        default=None,
        description="when its last message came, within a few seconds, where `include` asks for"
        " it; null: it never sent one",
    )


class NewGatewayItem(GatewayItem):
    """A gateway with its secret: shown this once."""

    secret: Annotated[str, fields.text(100, "nM0ZkQ0v3yN3mGm8m6mF0w2g7i9b1c5d8e2f4a6h0jk")]


class NewGateway(fields.Body):
    """A new gateway."""

    name: _Name
    kind: _Kind
    mapping: _Mapping = None
    auto_register: _AutoRegister = None


class GatewayChange(fields.Body):
    """The fields to change. A gateway keeps its kind."""

    name: _Name = Field(default_factory=fields.absent)
    mapping: _GivenMapping = Field(default_factory=fields.absent)
    auto_register: _AutoRegister = None


class GatewayQuery(SortedQuery):
    """The filters of gateways, and what to show of them."""

    kind: GatewayKind | None = None
    revoked: Annotated[
        bool | None, Field(description="only those that are, or only those that are not")
    ] = None
    include: Literal["last_seen_at"] | None = None


def _columns(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the columns of a body: a mapping is kept as JSON, without what is left out."""
    mapping = given.get("mapping")
    if not isinstance(mapping, GatewayMapping):
        return given
    return {**given, "mapping": mapping.model_dump(exclude_none=True)}


def _check(gateway: Gateway) -> None:
    """Raise Problem (422) where kind and mapping do not go together."""
    if gateway.kind == "generic" and gateway.mapping is None:
        raise bad_field("/mapping", "a gateway of kind generic needs a mapping")
    if gateway.kind != "generic" and gateway.mapping is not None:
        raise bad_field("/mapping", f"messages of kind {gateway.kind} are known: leave it out")


async def _included(
    conn: Connection, _: str, rows: Sequence[Gateway]
) -> dict[UUID, dict[str, Any]]:
    seen = await gateway_sightings.of_gateways(conn, [row.id for row in rows])
    return {row.id: {"last_seen_at": optional_time_text(seen.get(row.id))} for row in rows}


_gateways = Resource(
    gateways, item_of(GatewayItem), columns=_columns, check=_check, included=_included
)
router = plain_routes(_gateways, GatewayItem, GatewayQuery, change=GatewayChange)


@router.post("", operation_id="createGateway", status_code=201, response_model=NewGatewayItem)
async def create_gateway(access: Dispatcher, body: Annotated[NewGateway, Body()]) -> Response:
    """Create a gateway; the answer has its secret."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    once = {"secret": secret}
    return await _gateways.create(access, body, once=once, secret_hash=secret_hash(secret))


@router.post("/{id}/rotate", operation_id="rotateGateway", response_model=NewGatewayItem)
async def rotate_gateway(access: Dispatcher, gateway_id: _GatewayPath) -> Response:
    """Rotate the secret; the one before is good for nothing."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with _gateways.locked(access, gateway_id) as (conn, gateway):
        if gateway.revoked_at is not None:
            detail = "The gateway is revoked for good: register another one."
            raise conflict("gateway_revoked", detail)
        gateway = await _gateways.write(conn, gateway, secret_hash=secret_hash(secret))
    return ok(_gateways.item(gateway), once={"secret": secret})


@router.post("/{id}/revoke", operation_id="revokeGateway", response_model=GatewayItem)
async def revoke_gateway(access: Dispatcher, gateway_id: _GatewayPath) -> Response:
    """Revoke a gateway: its secret is good for nothing any more."""
    async with _gateways.locked(access, gateway_id) as (conn, gateway):
        if gateway.revoked_at is None:
            at = await db_now(conn)
            gateway = await _gateways.write(conn, gateway._replace(revoked_at=at), at)
    return ok(_gateways.item(gateway))
