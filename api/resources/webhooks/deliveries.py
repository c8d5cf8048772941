"""Deliveries: an event on its way to an endpoint, each attempt, and sending again."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted, id_text, ok, optional_time_text, time_text
from api.http.problems import conflict, not_found
from api.openapi.event_types import EventType, TypePattern
from api.request.access import Admin, Reader
from api.request.paging import ListOf, ListQuery, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.webhooks.endpoints import check_webhook_plan
from db.core.connect import Connection
from db.delivery import delivery_list
from db.delivery.delivery_list import DeliveryFilter, DeliveryKey, ListedAttempt, ListedDelivery
from db.delivery.webhook_deliveries import State
from db.resources.webhook_endpoints import webhook_endpoints
from telemetry.ids import format_id

router = APIRouter(
    prefix="/v1/webhook-deliveries", tags=["webhook-deliveries"], route_class=TenantRoute
)
_DeliveryPath = Annotated[fields.DeliveryId, Path(alias="id")]


class DeliveryItem(BaseModel):
    """An event for an endpoint."""

    id: fields.DeliveryId
    endpoint_id: fields.EndpointId
    event_id: fields.EventId
    type: EventType
    test: bool = Field(description="the event is an example, and no seq counts it")
    seq: fields.Count | None = Field(description="of the event; null for a test")
    state: State
    attempt_count: fields.Count = Field(description="since it was made, or sent again")
    next_attempt_at: datetime | None = Field(description="null: it is delivered, or has failed")
    last_status: Annotated[int, Field(ge=100, le=999, examples=[503])] | None
    last_error: Annotated[str, fields.text(500, "no answer")] | None
    delivered_at: datetime | None
    created_at: datetime


class AttemptItem(BaseModel):
    """One attempt."""

    attempted_at: datetime
    status: Annotated[int, Field(ge=100, le=999, examples=[503])] | None = Field(
        description="of the answer; null: there was none"
    )
    duration_ms: fields.Count | None = Field(description="until the answer; null: there was none")
    error: Annotated[str, fields.text(500, "no answer")] | None
    response_headers: dict[str, Annotated[str, fields.text(200, "text/plain")]] | None = Field(
        description="the first 20; what may be a secret is masked",
        max_length=20,
        examples=[{"content-type": "text/plain"}],
    )
    response_body: Annotated[str, fields.text(1_024, "try later")] | None = Field(
        description="the first 1,024 characters; what may be a secret is masked. null, as the"
        " headers, for viewers and technicians"
    )
    next_attempt_at: datetime | None = Field(description="null: none followed from this one")


class DeliveryWithAttempts(DeliveryItem):
    """The same with its attempts."""

    attempts: list[AttemptItem] = Field(
        description="the newest that are kept, the oldest of them first",
        max_length=delivery_list.ATTEMPTS_SHOWN,
    )


class DeliveryQuery(ListQuery):
    """Deliveries that were made in [from, to)."""

    endpoint_id: fields.EndpointId | None = None
    event_id: fields.EventId | None = None
    type: Annotated[TypePattern | None, Field(description="a type, asset.* or *")] = None
    state: Literal["pending", "delivered", "failed"] | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None


@router.get("", operation_id="listWebhookDeliveries", response_model=ListOf[DeliveryItem])
async def list_deliveries(access: Reader, query: Annotated[DeliveryQuery, Query()]) -> Response:
    """List deliveries, the newest first."""
    page = Page(access, query, "webhook-deliveries", DeliveryKey)
    wanted = DeliveryFilter(
        query.endpoint_id, query.event_id, query.type, query.state, query.since, query.until
    )
    async with access.transaction() as conn:
        await check_filters(conn, query)
        total = await page.counted(conn, delivery_list.count, wanted)
        rows = await delivery_list.listing(
            conn, wanted, after=page.after, limit=page.fetch_limit, offset=page.fetch_offset
        )
    return await page.response(rows, total, key=lambda row: DeliveryKey(row.id), item=delivery_item)


@router.get("/{id}", operation_id="getWebhookDelivery", response_model=DeliveryWithAttempts)
async def get_delivery(access: Reader, delivery_id: _DeliveryPath) -> Response:
    """Return one delivery with its attempts."""
    async with access.transaction() as conn:
        row = await found_delivery(conn, delivery_id)
        return ok(await _whole(conn, row, with_responses=access.sees_all))


@router.post(
    "/{id}/resend",
    operation_id="resendWebhookDelivery",
    status_code=202,
    response_model=DeliveryItem,
)
async def resend_delivery(access: Admin, delivery_id: _DeliveryPath) -> Response:
    """Send a delivery once more, under the same `webhook-id`, whatever became of it. The endpoint
    must be active, and the plan must have webhooks.
    """
    await check_webhook_plan(access)
    async with access.transaction() as conn:
        row = await found_delivery(conn, delivery_id, lock=True)
        access.check_unchanged(await _whole(conn, row))
        endpoint = await webhook_endpoints.find(conn, row.endpoint_id)
        if endpoint is None or endpoint.deleted_at is not None or endpoint.state != "active":
            raise conflict(
                "endpoint_not_active",
                "The webhook endpoint is disabled or deleted: enable or restore it first.",
            )
        await delivery_list.resend(conn, delivery_id)
        row = await found_delivery(conn, delivery_id)
    return accepted(delivery_item(row))


async def found_delivery(
    conn: Connection, delivery_id: UUID, *, lock: bool = False
) -> ListedDelivery:
    """Return the tenant's delivery of this id. Raises Problem (404)."""
    row = await delivery_list.find(conn, delivery_id, lock=lock)
    if row is None:
        raise not_found("delivery")
    return row


def delivery_item(row: ListedDelivery) -> dict[str, Any]:
    """Return the JSON of a delivery."""
    return {
        "id": format_id("dlv", row.id),
        "endpoint_id": id_text("whe", row.endpoint_id),
        "event_id": format_id("evt", row.event_id),
        "type": row.type,
        "test": row.is_test,
        "seq": None if row.is_test else row.seq,
        "state": row.state,
        "attempt_count": row.attempts,
        "next_attempt_at": optional_time_text(row.next_attempt_at),
        "last_status": row.last_status,
        "last_error": row.last_error,
        "delivered_at": optional_time_text(row.delivered_at),
        "created_at": time_text(row.created_at),
    }


async def _whole(
    conn: Connection, row: ListedDelivery, *, with_responses: bool = True
) -> dict[str, Any]:
    """Return a DeliveryWithAttempts. with_responses: False leaves out what the receiver answered,
    which may be the event.
    """
    attempts = await delivery_list.attempts(conn, row)
    if not with_responses:
        attempts = [each._replace(response_headers=None, response_body=None) for each in attempts]
    return delivery_item(row) | {"attempts": [_attempt_item(each) for each in attempts]}


def _attempt_item(row: ListedAttempt) -> dict[str, Any]:
    headers = row.response_headers
    return {
        "attempted_at": time_text(row.attempted_at),
        "status": row.status,
        "duration_ms": row.duration_ms,
        "error": row.error,
        "response_headers": None if headers is None else msgspec.Raw(headers.encode()),
        "response_body": row.response_body,
        "next_attempt_at": optional_time_text(row.next_attempt_at),
    }
