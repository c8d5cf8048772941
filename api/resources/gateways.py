"""Gateways: servers that forward the positions of many devices, registered with a secret each.

Registering is all that there is so far: nothing takes in what a gateway forwards yet. The secret is
shown once, in the answer that creates the gateway or gives it another secret; only hashes of it are
kept. A revoked gateway stays revoked.
"""

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, id_text, ok, optional_time_text, time_text
from api.http.problems import conflict, not_found
from api.request.access import Dispatcher, Reader
from api.request.paging import ListOf, Page, SortedQuery, Total
from api.request.route import TenantRoute
from db.core.connect import Connection
from db.core.ids import new_id
from db.core.table import instant
from db.resources.gateways import Gateway, GatewayFilter, gateways
from db.resources.trackers import secret_hash

router = APIRouter(prefix="/v1/gateways", tags=["gateways"], route_class=TenantRoute)
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


@router.get("", operation_id="listGateways", response_model=ListOf[GatewayItem])
async def list_gateways(access: Reader, query: Annotated[GatewayQuery, Query()]) -> Response:
    """List gateways, newest first."""
    page = Page(access, query, "gateways", query.order.key_type)
    wanted = GatewayFilter(query.kind, query.revoked)
    async with access.transaction() as conn:
        total = page.total or Total(await gateways.count(conn, wanted.conditions()))
        rows = await gateways.listing(
            conn,
            wanted.conditions(),
            order=query.order,
            after=page.after,
            limit=page.fetch_limit,
            offset=page.fetch_offset,
        )
    return page.response(rows, total, key=query.order.key, item=_item)


@router.post("", operation_id="createGateway", status_code=201, response_model=NewGatewayItem)
async def create_gateway(access: Dispatcher, body: Annotated[NewGateway, Body()]) -> Response:
    """Create a gateway; the answer has its secret."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with access.transaction() as conn:
        at = await instant(conn)
        gateway = Gateway(new_id(), body.name, body.kind, None, at, at)
        await gateways.insert(conn, gateway, secret_hash=secret_hash(secret))
    return created(_item(gateway), router.prefix, once={"secret": secret})


@router.get("/{id}", operation_id="getGateway", response_model=GatewayItem)
async def get_gateway(access: Reader, gateway_id: _GatewayPath) -> Response:
    """Return one gateway."""
    async with access.transaction() as conn:
        return ok(_item(await _found(conn, gateway_id)))


@router.patch("/{id}", operation_id="updateGateway", response_model=GatewayItem)
async def update_gateway(
    access: Dispatcher, gateway_id: _GatewayPath, body: Annotated[GatewayChange, Body()]
) -> Response:
    """Change the fields that are given."""
    async with access.transaction() as conn:
        gateway = await _found(conn, gateway_id, lock=True)
        access.check_unchanged(_item(gateway))
        changed = gateway._replace(**body.given())
        if changed != gateway:
            changed = changed._replace(updated_at=await instant(conn))
            await gateways.update(conn, changed)
    return ok(_item(changed))


@router.post("/{id}/rotate", operation_id="rotateGateway", response_model=NewGatewayItem)
async def rotate_gateway(access: Dispatcher, gateway_id: _GatewayPath) -> Response:
    """Rotate the secret; the one before is good for nothing."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    async with access.transaction() as conn:
        gateway = await _found(conn, gateway_id, lock=True)
        access.check_unchanged(_item(gateway))
        if gateway.revoked_at is not None:
            detail = "The gateway is revoked for good: register another one."
            raise conflict("gateway_revoked", detail)
        gateway = gateway._replace(updated_at=await instant(conn))
        await gateways.update(conn, gateway, secret_hash=secret_hash(secret))
    return ok(_item(gateway), once={"secret": secret})


@router.post("/{id}/revoke", operation_id="revokeGateway", response_model=GatewayItem)
async def revoke_gateway(access: Dispatcher, gateway_id: _GatewayPath) -> Response:
    """Revoke a gateway: its secret is good for nothing any more."""
    async with access.transaction() as conn:
        gateway = await _found(conn, gateway_id, lock=True)
        access.check_unchanged(_item(gateway))
        if gateway.revoked_at is None:
            at = await instant(conn)
            gateway = gateway._replace(revoked_at=at, updated_at=at)
            await gateways.update(conn, gateway)
    return ok(_item(gateway))


async def _found(conn: Connection, gateway_id: UUID, *, lock: bool = False) -> Gateway:
    gateway = await gateways.find(conn, gateway_id, lock=lock)
    if gateway is None:
        raise not_found("gateway")
    return gateway


def _item(gateway: Gateway) -> dict[str, Any]:
    return {
        "id": id_text("gtw", gateway.id),
        "name": gateway.name,
        "kind": gateway.kind,
        "revoked_at": optional_time_text(gateway.revoked_at),
        "created_at": time_text(gateway.created_at),
        "updated_at": time_text(gateway.updated_at),
    }
