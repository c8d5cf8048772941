"""Webhook endpoints: where events are sent. Theirs is a secret that is shown once."""

import base64
import os
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Body, Path, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created
from api.http.problems import bad_field
from api.limits.plans import check_api_access
from api.openapi.event_types import StoredPatterns, TypePatterns
from api.request.access import Admin, Reader
from api.request.paging import ListOf, SortedQuery
from api.request.resource import Resource, item_of
from api.request.route import TenantRoute
from db.delivery.webhook_urls import URL_LENGTH_MAX, WebhookUrlError, check_webhook_url
from db.resources.quotas import check_room
from db.resources.webhook_endpoints import webhook_endpoints

router = APIRouter(
    prefix="/v1/webhook-endpoints", tags=["webhook-endpoints"], route_class=TenantRoute
)
_EndpointPath = Annotated[fields.EndpointId, Path(alias="id")]
_SECRET_BYTES = 32


class EndpointItem(BaseModel):
    """An endpoint."""

    id: fields.EndpointId
    url: Annotated[str, fields.text(URL_LENGTH_MAX, "https://hooks.example.com/ops")]
    types: StoredPatterns
    description: Annotated[str, fields.text(500, "to the ERP")] | None
    created_at: datetime
    deleted_at: datetime | None


class NewEndpointItem(EndpointItem):
    """An endpoint with the secret that signs what it gets: shown this once."""

    secret: str = Field(
        description="whsec_ and base64",
        pattern="^whsec_[A-Za-z0-9+/=]+$",
        max_length=100,
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwq3J0p8xkq2A="],
    )


class NewEndpoint(fields.Body):
    """A new endpoint."""

    url: Annotated[
        str,
        StringConstraints(min_length=1, max_length=URL_LENGTH_MAX),
        AfterValidator(fields.storable),
        Field(examples=["https://hooks.example.com/ops"], json_schema_extra={"format": "uri"}),
    ]
    types: TypePatterns
    description: (
        Annotated[str, AfterValidator(fields.storable), fields.text(500, "to the ERP")] | None
    ) = None


class EndpointQuery(SortedQuery):
    """The filters of endpoints."""

    deleted: Annotated[bool, Field(description="those that are deleted, instead")] = False


_endpoints = Resource(webhook_endpoints, item_of(EndpointItem))


@router.get("", operation_id="listWebhookEndpoints", response_model=ListOf[EndpointItem])
async def list_endpoints(access: Reader, query: Annotated[EndpointQuery, Query()]) -> Response:
    """List endpoints, newest first."""
    return await _endpoints.list(access, query)


@router.post(
    "", operation_id="createWebhookEndpoint", status_code=201, response_model=NewEndpointItem
)
async def create_endpoint(access: Admin, body: Annotated[NewEndpoint, Body()]) -> Response:
    """Create an endpoint; the answer has its secret. Whoever asks, the plan must have webhooks."""
    check_api_access(await access.state.admission.plans.find(access.caller.org_id))
    try:
        check_webhook_url(body.url, allow_loopback=access.state.settings.webhook_allow_loopback)
    except WebhookUrlError as error:
        raise bad_field("/url", f"{error}.") from None
    endpoint = _endpoints.new(dict(body), datetime.now(UTC))
    secret = "whsec_" + base64.b64encode(os.urandom(_SECRET_BYTES)).decode("ascii")
    sealed = access.state.secrets.seal(secret.encode("ascii"), endpoint.id.bytes)
    async with access.transaction() as conn:
        await check_room(conn, "webhook_endpoints")
        await webhook_endpoints.insert(conn, endpoint, secret_encrypted=sealed)
    return created(_endpoints.item(endpoint), router.prefix, once={"secret": secret})


@router.get("/{id}", operation_id="getWebhookEndpoint", response_model=EndpointItem)
async def get_endpoint(access: Reader, endpoint_id: _EndpointPath) -> Response:
    """Return one endpoint."""
    return await _endpoints.get(access, endpoint_id)


@router.delete("/{id}", operation_id="deleteWebhookEndpoint", status_code=204)
async def delete_endpoint(access: Admin, endpoint_id: _EndpointPath) -> Response:
    """Delete an endpoint: nothing more is sent to it. It can be restored."""
    return await _endpoints.delete(access, endpoint_id)


@router.post("/{id}/restore", operation_id="restoreWebhookEndpoint", response_model=EndpointItem)
async def restore_endpoint(access: Admin, endpoint_id: _EndpointPath) -> Response:
    """Restore a deleted endpoint: it keeps its secret and gets the events from now on. The plan
    must have webhooks.
    """
    check_api_access(await access.state.admission.plans.find(access.caller.org_id))
    return await _endpoints.restore(access, endpoint_id)
