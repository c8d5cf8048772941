"""Gateways: servers that forward the positions of many devices, registered with a secret each.

They send to the listener (`listener/http`). The secret is shown once, in the answer that creates
the gateway or gives it another secret; only hashes of it are kept. A revoked gateway stays revoked.
"""

import secrets
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Body, Path
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok
from api.http.problems import conflict
from api.request.access import Dispatcher
from api.request.paging import SortedQuery
from api.request.plain_resource import plain_routes
from api.request.resource import Resource, item_of
from db.core.table import db_now
from db.resources.gateways import gateways
from db.resources.trackers import secret_hash

_GatewayPath = Annotated[fields.GatewayId, Path(alias="id")]
_SECRET_BYTES = 32
_Name = Annotated[fields.Name, Field(examples=["Traccar in Zurich"])]

GatewayKind = Literal["traccar", "chirpstack", "tts"]


class GatewayItem(BaseModel):
    """A gateway."""

    id: fields.GatewayId
    name: _Name
    kind: GatewayKind = Field(description="in whose form it forwards; tts: The Things Stack")
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class NewGatewayItem(GatewayItem):
    """A gateway with its secret: shown this once."""

    secret: Annotated[str, fields.text(100, "nM0ZkQ0v3yN3mGm8m6mF0w2g7i9b1c5d8e2f4a6h0jk")]


class NewGateway(fields.Body):
    """A new gateway."""

    name: _Name
    kind: GatewayKind


class GatewayChange(fields.Body):
    """The fields to change. A gateway keeps its kind."""

    name: _Name = Field(default_factory=fields.absent)


class GatewayQuery(SortedQuery):
    """The filters of gateways."""

    kind: GatewayKind | None = None
    revoked: Annotated[
        bool | None, Field(description="only those that are, or only those that are not")
    ] = None


_gateways = Resource(gateways, item_of(GatewayItem))
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
