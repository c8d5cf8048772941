"""What an organization has in the archive, and what could not get there."""

from datetime import date, datetime, timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import ok, optional_time_text
from api.request.access import Admin
from api.request.route import TenantRoute
from db.archive import archived_days
from db.archive.archived_days import Summary

router = APIRouter(
    prefix="/v1/organization/archive", tags=["organization"], route_class=TenantRoute
)


class ArchiveItem(BaseModel):
    """The archive of an organization. Days are those of UTC; without an archive there are none."""

    days: fields.Count = Field(description="that are in the archive")
    fixes: fields.Count
    bytes: fields.Count
    first_day: fields.Day | None
    last_day: fields.Day | None
    live_from: fields.Day | None = Field(
        description="from this day on all fixes are in the database; null: all are"
    )
    archived_at: datetime | None = Field(description="when the newest day was moved")
    failed_days: fields.Count = Field(description="that the last pass could not move")
    failed_day: fields.Day | None = Field(description="the newest of these")
    failed_at: datetime | None = Field(description="when the last pass failed")


@router.get("", operation_id="getOrganizationArchive", response_model=ArchiveItem)
async def get_archive(access: Admin) -> Response:
    """Show what is in the archive, and the days that could not be moved there."""
    async with access.transaction() as conn:
        return ok(_item(await archived_days.summary(conn)))


def _item(known: Summary) -> dict[str, Any]:
    last = known.last_day
    return {
        "days": known.days,
        "fixes": known.fixes,
        "bytes": known.bytes,
        "first_day": _day(known.first_day),
        "last_day": _day(last),
        "live_from": None if last is None else _day(last + timedelta(days=1)),
        "archived_at": optional_time_text(known.archived_at),
        "failed_days": known.failed_days,
        "failed_day": _day(known.failed_day),
        "failed_at": optional_time_text(known.failed_at),
    }


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
