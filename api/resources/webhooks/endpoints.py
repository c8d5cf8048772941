"""Webhook endpoints: where events are sent. Theirs is a secret that is shown once."""

import base64
import os
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import Field
from starlette.responses import Response

from api.auth.caller import lets_through
from api.http import fields
from api.http.encoding import created, ok
from api.limits.plans import check_api_access
from api.request.access import Access, Admin, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.references import check_references
from api.request.resource import Item, Resource
from api.request.route import TenantRoute
from api.resources.webhooks.bodies import (
    SECRET_BYTES,
    EndpointChange,
    EndpointItem,
    NewEndpoint,
    NewEndpointItem,
    SecretRotation,
    State,
    check_headers_stay,
    check_url,
    checked_headers,
    columns_of,
    endpoint_item,
    masked_endpoint_item,
)
from db.core.table import db_now
from db.delivery.webhook_headers import seal_headers
from db.resources import webhook_endpoints as stored
from db.resources.quotas import check_room
from db.resources.webhook_endpoints import WebhookEndpoint, webhook_endpoints

router = APIRouter(
    prefix="/v1/webhook-endpoints", tags=["webhook-endpoints"], route_class=TenantRoute
)
EndpointPath = Annotated[fields.EndpointId, Path(alias="id")]


def _item_for(access: Access) -> Callable[[WebhookEndpoint], Item]:
    """Return what makes the JSON of endpoints: with whole URLs for callers who may change them."""
    caller = access.caller
    may_write = caller.role == "admin" and (
        caller.scopes is None or lets_through(caller.scopes, "webhook-endpoints:write")
    )
    return endpoint_item if may_write else masked_endpoint_item


endpoints = Resource(webhook_endpoints, endpoint_item, item_for=_item_for)


class EndpointQuery(SortedQuery):
    """The filters of endpoints."""

    state: State | None = None
    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


async def check_webhook_plan(access: Access) -> None:
    """Raise Problem (403) where the plan has no webhooks, whoever asks."""
    plan = await access.state.admission.plans.find(access.caller.org_id)
    check_api_access(plan, access.state.settings.operator_contact)


@router.get("", operation_id="listWebhookEndpoints", response_model=ListOf[EndpointItem])
async def list_endpoints(access: Reader, query: Annotated[EndpointQuery, Query()]) -> Response:
    """List endpoints, newest first."""
    return await endpoints.list(access, query)


@router.post(
    "", operation_id="createWebhookEndpoint", status_code=201, response_model=NewEndpointItem
)
async def create_endpoint(access: Admin, body: Annotated[NewEndpoint, Body()]) -> Response:
    """Create an endpoint; the answer has its secret. Whoever asks, the plan must have webhooks."""
    await check_webhook_plan(access)
    check_url(body.url, allow_loopback=access.state.settings.webhook_allow_loopback)
    headers = checked_headers(body.headers) or {}
    box, secret = access.state.secrets, _new_secret()
    async with access.transaction() as conn:
        await check_references(conn, body)
        await check_room(conn, webhook_endpoints.name)
        columns = columns_of({**dict(body), "headers": headers, "state": "active"})
        endpoint = endpoints.new(columns, await db_now(conn))
        await webhook_endpoints.insert(
            conn,
            endpoint,
            secret_encrypted=box.seal(secret.encode("ascii"), endpoint.id.bytes),
            headers_encrypted=seal_headers(box, endpoint.id, headers),
        )
    return created(endpoints.item(endpoint), router.prefix, once={"secret": secret})


@router.get("/{id}", operation_id="getWebhookEndpoint", response_model=EndpointItem)
async def get_endpoint(access: Reader, endpoint_id: EndpointPath) -> Response:
    """Return one endpoint."""
    return await endpoints.get(access, endpoint_id)


@router.patch("/{id}", operation_id="updateWebhookEndpoint", response_model=EndpointItem)
async def update_endpoint(
    access: Admin, endpoint_id: EndpointPath, body: Annotated[EndpointChange, Body()]
) -> Response:
    """Change the given fields. A disabled endpoint gets no events; what waits for it goes on when
    it is enabled again within three days. To enable it the plan must have webhooks.
    """
    if body.state == "active":
        await check_webhook_plan(access)
    check_url(body.url, allow_loopback=access.state.settings.webhook_allow_loopback)
    headers = checked_headers(body.headers)
    given = body.given() if headers is None else body.given() | {"headers": headers}
    hidden: dict[str, object] = {}
    if headers is not None:
        hidden["headers_encrypted"] = seal_headers(access.state.secrets, endpoint_id, headers)
    async with endpoints.locked(access, endpoint_id) as (conn, row):
        check_headers_stay(row, body.url, are_given=headers is not None)
        await check_references(conn, body)
        at = await db_now(conn)
        changed = row._replace(**columns_of(given))
        if changed.state == "active" and row.state != "active":
            await stored.forget_failures(conn, endpoint_id)
            changed = changed._replace(disabled_reason=None, disabled_at=None, failing_since=None)
        elif changed.state != row.state:
            changed = changed._replace(disabled_reason="user", disabled_at=at)
        if changed != row or hidden:
            changed = await endpoints.write(conn, changed, at, **hidden)
    return ok(endpoints.item(changed))


@router.delete("/{id}", operation_id="deleteWebhookEndpoint", status_code=204)
async def delete_endpoint(access: Admin, endpoint_id: EndpointPath) -> Response:
    """Delete an endpoint: nothing more is sent to it. It can be restored."""
    return await endpoints.delete(access, endpoint_id)


@router.post("/{id}/restore", operation_id="restoreWebhookEndpoint", response_model=EndpointItem)
async def restore_endpoint(access: Admin, endpoint_id: EndpointPath) -> Response:
    """Restore a deleted endpoint: it keeps its secret and gets the events from now on. The plan
    must have webhooks.
    """
    await check_webhook_plan(access)
    async with endpoints.locked(access, endpoint_id, deleted=True) as (conn, row):
        if row.deleted_at is not None:
            await stored.forget_failures(conn, endpoint_id)
            row = row._replace(deleted_at=None, failing_since=None)
            row = await endpoints.write(conn, row)
    return ok(endpoints.item(row))


@router.post("/{id}/rotate", operation_id="rotateWebhookEndpoint", response_model=NewEndpointItem)
@router.post(
    "/{id}/rotate-secret",
    operation_id="rotateWebhookSecret",
    response_model=NewEndpointItem,
    deprecated=True,  # the former path: until 1.0
)
async def rotate_endpoint(
    access: Admin, endpoint_id: EndpointPath, body: Annotated[SecretRotation, Body()]
) -> Response:
    """Rotate the secret: the answer has the new one. Until the one before expires, each request
    has a signature by both. Of several rotations only the last two sign.
    """
    secret = _new_secret()
    sealed = access.state.secrets.seal(secret.encode("ascii"), endpoint_id.bytes)
    async with endpoints.locked(access, endpoint_id) as (conn, _):
        until = await db_now(conn) + body.overlap if body.overlap else None
        await stored.rotate(conn, endpoint_id, sealed, until)
        row = await endpoints.found(conn, endpoint_id)
    return ok(endpoints.item(row), once={"secret": secret})


def _new_secret() -> str:
    return "whsec_" + base64.b64encode(os.urandom(SECRET_BYTES)).decode("ascii")
