"""Reports: what assets and employees did, by day, and where they were for how long.

This is the report with a row for each thing and local day.
"""

import asyncio
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.track_map import track_map
from api.http import fields
from api.http.encoding import time_text
from api.request.access import Access, HistoryReader
from api.request.paging import ListOf
from api.request.route import TenantRoute
from api.resources.reports.answers import TYPES, Rows
from api.resources.reports.movement import (
    ThingItem,
    Worked,
    WorkedThrough,
    movement_report,
    thing_item,
)
from api.resources.reports.query import MovementQuery
from db.resources import reported
from db.resources.reported import ReportFilter
from db.resources.zones import some_shapes
from geofence.shapes.stored import read_stored
from geofence.shapes.types import Shape
from geofence.trips.days import DayFigures
from geofence.trips.history import Stop
from telemetry.times import to_datetime

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=TenantRoute)

_MOST_VISITS_ON_MAP = 50


class DayReportItem(ThingItem):
    """A day of a thing. Trips and stops are counted on the day on which they began."""

    day: fields.Day
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
    request: Request, access: HistoryReader, query: Annotated[MovementQuery, Query()]
) -> Response:
    """List what things did on each day of which something is known, in order of name and day."""

    shown: list[Worked] = []

    async def rows(all_worked: WorkedThrough) -> Rows:
        async for worked in all_worked:
            shown[:] = [*shown[:1], worked]  # two are too many for a map
            yield [
                thing_item(query, worked.thing) | {"day": span.day.isoformat()} | _figures(day)
                for span, day in zip(worked.spans, worked.days, strict=True)
                if day.has_any
            ]

    async def drawn() -> bytes:
        return await _map(access, query, shown[0]) if len(shown) == 1 else b""

    return await movement_report(request, access, query, "day", DayReportItem, rows, drawn)


async def _map(access: Access, query: MovementQuery, worked: Worked) -> bytes:
    """Return the map of a day of a thing, with the zones that it visited; b"" where there is none:
    of several days, or of one without a fix.
    """
    if len(worked.spans) > 1 or not worked.days[0].fixes:
        return b""
    (span,) = worked.spans
    zones: list[tuple[str, Shape]] = []
    if not query.is_of_employees:
        wanted = ReportFilter(
            since=to_datetime(span.begin_us),
            until=to_datetime(span.end_us),
            asset_ids=[worked.thing.id],
        )
        async with access.transaction() as conn:
            visits = await reported.visits(conn, wanted, _MOST_VISITS_ON_MAP)
            ids = list({visit.zone_id for visit in visits})
            names = await reported.zone_names(conn, ids)
            stored = await some_shapes(conn, ids) if ids else {}
        shapes = read_stored(list(stored.values()))
        zones = [(names[zone_id], shape) for zone_id, shape in zip(stored, shapes, strict=True)]
    first, end = np.searchsorted(worked.track.time_us, [span.begin_us, span.end_us]).tolist()
    stops = [(each.what.lat, each.what.lon) for each in worked.found if isinstance(each.what, Stop)]
    lat, lon = worked.track.lat[first:end], worked.track.lon[first:end]
    return await asyncio.to_thread(track_map, lat, lon, stops, zones)


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
