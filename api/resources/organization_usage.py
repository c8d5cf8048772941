"""The usage of an organization's plan: this minute, and by the hour or the day."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok, time_text
from api.limits.plans import REQUESTS_PER_MINUTE
from api.request.access import Reader
from api.request.route import UngatedRoute
from db.core.connect import Connection
from db.core.table import db_now
from db.requests import request_minutes, request_usage
from db.requests.request_usage import Step, UsagePeriod
from db.resources import organizations, quotas
from db.resources.plans import PlanName

router = APIRouter(prefix="/v1/organization/usage", tags=["usage"], route_class=UngatedRoute)
_MAX_PERIODS = 1000
_FIRST = datetime(2000, 1, 1, tzinfo=UTC)
_LENGTH = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_PERIODS = {"hour": 24, "day": 30}  # unless asked for otherwise

QUOTA_NAMES: list[Any] = sorted((*quotas.ROWS, *quotas.A_DAY, quotas.ATTACHMENT_BYTES))
QuotaName = Annotated[str, Field(examples=["assets"], json_schema_extra={"enum": QUOTA_NAMES})]
PerMinute = Annotated[
    int | None,
    Field(ge=1, le=2**31 - 1, description="null: no limit", examples=[1000]),
]


class MinuteItem(BaseModel):
    """The minute that runs. What a process has reserved counts as let in."""

    requests: fields.Count = Field(description="let in or reserved so far", examples=[120])
    remaining: fields.Count = Field(examples=[880])
    ends_at: datetime


class PeriodItem(BaseModel):
    """An hour, or a day in UTC."""

    start: datetime
    requests: fields.Count = Field(description="let in", examples=[5120])
    refused: fields.Count = Field(description="over the limit: 429", examples=[0])


class QuotaItem(BaseModel):
    """A quota. Rows count with those that are deleted, since they are kept."""

    quota: QuotaName
    limit: fields.Count = Field(examples=[10_000])
    used: fields.Count = Field(
        description="of stock_movements_a_day: by the part in a warehouse that had the most",
        examples=[120],
    )


class UsageItem(BaseModel):
    """The requests of the organization's programs, and what it has of everything. Requests of the
    dashboard do not count.
    """

    plan: PlanName
    api_addon: bool
    api_access: bool = Field(description="by the plan or the add-on, programs may use the API")
    requests_per_minute: PerMinute
    minute: MinuteItem | None = Field(description="null: none runs, or there is no limit")
    step: Step
    data: list[PeriodItem] = Field(max_length=_MAX_PERIODS)
    quotas: list[QuotaItem] = Field(max_length=len(QUOTA_NAMES))


class UsageQuery(fields.Query):
    """Periods that begin in [from, to): the latest 1,000 of them."""

    step: Annotated[Step, Field(description="how long a period is")] = "hour"
    since: Annotated[
        fields.Time | None,
        Field(alias="from", description="24 hours, or 30 days, before the end unless given"),
    ] = None
    until: Annotated[fields.Time | None, Field(alias="to", description="now unless given")] = None


@router.get("", operation_id="getOrganizationUsage", response_model=UsageItem)
async def get_usage(access: Reader, query: Annotated[UsageQuery, Query()]) -> Response:
    """Show the plan and its quotas, the current minute, and the periods before, oldest first."""
    async with access.transaction() as conn:
        since, until = _window(query, await db_now(conn))
        organization = await organizations.find(conn)
        per_minute = REQUESTS_PER_MINUTE[organization.plan]
        minute = None if per_minute is None else await _minute(conn, per_minute)
        periods = await request_usage.history(conn, query.step, since, until)
        used = await quotas.usage(conn, access.state.settings.attachments_quota_bytes)
    return ok(
        {
            "plan": organization.plan,
            "api_addon": organization.api_addon,
            "api_access": organization.api_access,
            "requests_per_minute": per_minute,
            "minute": minute,
            "step": query.step,
            "data": [_item(period) for period in periods],
            "quotas": [quota._asdict() for quota in used],
        }
    )


def _window(query: UsageQuery, now: datetime) -> tuple[datetime, datetime]:
    until = now if query.until is None else max(min(query.until, now), _FIRST)
    length = _LENGTH[query.step]
    since = until - _PERIODS[query.step] * length if query.since is None else query.since
    return max(since, _FIRST, until - _MAX_PERIODS * length), until


async def _minute(conn: Connection, per_minute: int) -> dict[str, Any] | None:
    running = await request_minutes.running(conn)
    if running is None:
        return None
    return {
        "requests": running.taken,
        "remaining": max(per_minute - running.taken, 0),
        "ends_at": time_text(running.ends_at),
    }


def _item(period: UsagePeriod) -> dict[str, Any]:
    return {
        "start": time_text(period.start),
        "requests": period.requests,
        "refused": period.refused,
    }
