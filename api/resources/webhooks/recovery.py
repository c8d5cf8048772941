"""Webhook endpoints at work: tests, the recovery of what failed, and statistics."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted, ok, time_text
from api.http.problems import bad_parameter, conflict
from api.openapi.event_types import EVENT_KINDS
from api.request.access import Admin, Reader
from api.request.paging import MAX_COUNTED
from api.request.route import TenantRoute
from api.resources.webhooks.bodies import EndpointTest, Recovery, RecoveryItem
from api.resources.webhooks.deliveries import DeliveryItem, delivery_item, found_delivery
from api.resources.webhooks.endpoints import EndpointPath, check_webhook_plan, endpoints
from db.core.table import db_now
from db.delivery import delivery_list, endpoint_hours
from db.delivery.delivery_list import DeliveryFilter
from db.delivery.endpoint_hours import EndpointHour, percentile_ms
from db.resources.quotas import WEBHOOK_TESTS, QuotaExceeded
from db.resources.webhook_endpoints import WebhookEndpoint

router = APIRouter(
    prefix="/v1/webhook-endpoints", tags=["webhook-endpoints"], route_class=TenantRoute
)
_RECOVERED = 10_000  # deliveries of a request
_WAITING_COUNTED = 100_000  # where a count of those that wait stops

_FIRST = datetime(2020, 1, 1, tzinfo=UTC)  # no attempt is older
_DAY = timedelta(hours=24)
_WINDOW = timedelta(days=31)
_HOURS = 31 * 24 + 1


class FigureItem(BaseModel):
    """Attempts, and how soon they were answered. Tests do not count."""

    attempts: fields.Count
    accepted: fields.Count
    success_rate: Annotated[float, Field(ge=0, le=1, examples=[0.998])] | None = Field(
        description="the share of accepted attempts; null: there was none"
    )
    p50_ms: Annotated[float, Field(ge=0, le=1e6, examples=[41.0])] | None = Field(
        description="half of the answers came sooner; exact to an eighth; null: none came"
    )
    p99_ms: Annotated[float, Field(ge=0, le=1e6, examples=[180.0])] | None = Field(
        description="99 of 100 answers came sooner; the same"
    )


class HourItem(FigureItem):
    """The attempts that began in one hour."""

    hour: datetime


class StatisticsItem(FigureItem):
    """An endpoint's attempts in a window, and by the hour; and what waits for it now."""

    pending: fields.Count = Field(
        description=f"deliveries that wait now, without tests; counted up to {_WAITING_COUNTED:,}"
    )
    oldest_due_at: datetime | None = Field(
        description="since when the first of these has been due; null: none is"
    )
    hours: list[HourItem] = Field(
        description="those with attempts, the oldest first", max_length=_HOURS
    )


class StatisticsQuery(fields.Query):
    """Whole hours that begin in [from, to): up to 31 days."""

    since: Annotated[
        fields.Time | None,
        Field(alias="from", description="24 hours before the end unless given"),
    ] = None
    until: Annotated[fields.Time | None, Field(alias="to", description="now unless given")] = None


@router.get(
    "/{id}/statistics", operation_id="getWebhookEndpointStatistics", response_model=StatisticsItem
)
async def get_statistics(
    access: Reader, endpoint_id: EndpointPath, query: Annotated[StatisticsQuery, Query()]
) -> Response:
    """Show how an endpoint answers, and what waits for it. Attempts of the last ten seconds may be
    missing.
    """
    async with access.transaction() as conn:
        await endpoints.found(conn, endpoint_id)
        until = max(query.until or await db_now(conn), _FIRST)
        since = max(query.since or until - _DAY, _FIRST)
        if since > until:
            raise bad_parameter("from", "must not be later than to: swap them")
        if until - since > _WINDOW:
            raise bad_parameter("from", "must not be more than 31 days before to.")
        hours = await endpoint_hours.between(conn, endpoint_id, since, until)
        waiting = await delivery_list.waiting(conn, endpoint_id, _WAITING_COUNTED)
    by_hour = [{"hour": time_text(each.hour)} | _figures([each]) for each in hours]
    waits = {
        "pending": waiting.pending,
        "oldest_due_at": waiting.oldest_due_at and time_text(waiting.oldest_due_at),
    }
    return ok(_figures(hours) | waits | {"hours": by_hour})


def _figures(hours: Sequence[EndpointHour]) -> dict[str, Any]:
    attempts = sum(each.attempts for each in hours)
    accepted_attempts = sum(each.accepted for each in hours)
    durations = [sum(numbers) for numbers in zip(*(each.durations for each in hours), strict=True)]
    return {
        "attempts": attempts,
        "accepted": accepted_attempts,
        "success_rate": round(accepted_attempts / attempts, 6) if attempts else None,
        "p50_ms": _rounded(percentile_ms(durations, 0.5)),
        "p99_ms": _rounded(percentile_ms(durations, 0.99)),
    }


def _rounded(duration_ms: float | None) -> float | None:
    return None if duration_ms is None else round(duration_ms, 1)


@router.post(
    "/{id}/test", operation_id="testWebhookEndpoint", status_code=202, response_model=DeliveryItem
)
async def send_test(
    access: Admin, endpoint_id: EndpointPath, body: Annotated[EndpointTest, Body()]
) -> Response:
    """Send an example of a type to an active endpoint, whatever it subscribes to. The body has
    `"test": true` and a `seq` of 0; the event is in no list, and goes after a day. See what became
    of it by `GET /webhook-deliveries/{id}`.
    """
    await check_webhook_plan(access)
    kind = next(kind for kind in EVENT_KINDS if kind.name == body.type)
    async with access.transaction() as conn:
        _check_active(await endpoints.found(conn, endpoint_id))
        kept = await delivery_list.count_tests(conn, WEBHOOK_TESTS)
        if kept >= WEBHOOK_TESTS:
            raise QuotaExceeded("webhook_tests", WEBHOOK_TESTS, kept)
        data = msgspec.json.encode(kind.data_example()).decode()
        delivery_id = await delivery_list.insert_test(
            conn, endpoint_id, kind.name, data, await db_now(conn)
        )
        row = await found_delivery(conn, delivery_id)
    return accepted(delivery_item(row))


@router.post("/{id}/recover", operation_id="recoverWebhookEndpoint", response_model=RecoveryItem)
async def recover_endpoint(
    access: Admin, endpoint_id: EndpointPath, body: Annotated[Recovery, Body()]
) -> Response:
    """Send the failed deliveries of an active endpoint again, without its tests. Without `confirm`,
    only say how many there are.
    """
    await check_webhook_plan(access)
    wanted = DeliveryFilter(
        endpoint_id, state="failed", since=body.since, until=body.until, has_tests=False
    )
    async with access.transaction() as conn:
        await endpoints.found(conn, endpoint_id)
        failed = await delivery_list.count(conn, wanted, MAX_COUNTED)
        # Locked after counting, which takes long.
        endpoint = await endpoints.found(conn, endpoint_id, lock=body.confirm)
        access.check_unchanged(endpoints.item(endpoint))
        recovered = 0
        if body.confirm:
            _check_active(endpoint)
            recovered = await delivery_list.recover(conn, wanted, _RECOVERED)
    return ok({"failed": failed, "recovered": recovered})


def _check_active(endpoint: WebhookEndpoint) -> None:
    if endpoint.state != "active":
        raise conflict("endpoint_not_active", "The webhook endpoint is disabled: enable it first.")
