"""Reports: what assets and employees did, by day, and where they were for how long.

This is the report with a row for each thing and local day.
"""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import time_text
from api.request.access import Reader
from api.request.paging import ListOf
from api.request.route import TenantRoute
from api.resources.reports.answers import TYPES, Rows
from api.resources.reports.movement import (
    ThingItem,
    WorkedThrough,
    movement_report,
    thing_item,
)
from api.resources.reports.query import MovementQuery
from geofence.trips.days import DayFigures
from telemetry.times import to_datetime

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=TenantRoute)


class DayReportItem(ThingItem):
    """A day of a thing. Trips and stops are counted on the day on which they began."""

    day: date
    first_fix_at: datetime | None
    last_fix_at: datetime | None
    departed_at: datetime | None = Field(description="when the first trip of the day began")
    arrived_at: datetime | None = Field(description="when the last stop of the day began")
    distance_m: float = Field(ge=0, examples=[48210.5])
    driving_s: float = Field(ge=0, description="on trips", examples=[5400.0])
    stopped_s: float = Field(ge=0, description="at stops, idle_s included", examples=[27000.0])
    idle_s: float | None = Field(
        ge=0, description="at stops with the ignition on; null: it is not sent", examples=[600.0]
    )
    trips: fields.Count
    stops: fields.Count
    top_speed_mps: float | None = Field(ge=0, examples=[22.2])


@router.get(
    "/day",
    operation_id="listReportDay",
    response_model=ListOf[DayReportItem],
    responses=TYPES,
)
async def list_report_day(
    request: Request, access: Reader, query: Annotated[MovementQuery, Query()]
) -> Response:
    """List what things did on each day of which something is known, in order of name and day."""

    async def rows(all_worked: WorkedThrough) -> Rows:
        async for worked in all_worked:
            yield [
                thing_item(query, worked.thing) | {"day": span.day.isoformat()} | _figures(day)
                for span, day in zip(worked.spans, worked.days, strict=True)
                if day.has_any
            ]

    return await movement_report(request, access, query, "day", DayReportItem, rows)


def _figures(day: DayFigures) -> dict[str, Any]:
    return {
        "first_fix_at": _time(day.first_fix_us),
        "last_fix_at": _time(day.last_fix_us),
        "departed_at": _time(day.departed_us),
        "arrived_at": _time(day.arrived_us),
        "distance_m": round(day.distance_m, 1),
        "driving_s": day.driving_s,
        "stopped_s": day.stopped_s,
        "idle_s": day.idle_s,
        "trips": day.trips,
        "stops": day.stops,
        "top_speed_mps": day.top_speed_mps,
    }


def _time(time_us: int | None) -> str | None:
    return None if time_us is None else time_text(to_datetime(time_us))
