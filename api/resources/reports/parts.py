"""The reports with a row for each trip, or each stop, of several things."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import optional_time_text, time_text
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
from api.resources.trips.listing import ZonesAt, stop_item, trip_item, zones_of
from geofence.trips.history import FOUND, Found, Stop, Trip

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=TenantRoute)

_Zones = Annotated[str, fields.text(2_100, "Yard, North")]


class PartItem(ThingItem):
    started_at: datetime
    ended_at: datetime | None = Field(description="null while it goes on")
    duration_s: float = Field(ge=0, description="up to its last fix", examples=[1800.0])
    is_cut: bool = Field(description="it may be longer, as in the list")


class TripReportItem(PartItem):
    """A trip of a thing, as in the list of trips."""

    start_lat: fields.Latitude
    start_lon: fields.Longitude
    start_zones: _Zones | None = Field(description="names with commas, as end_zones")
    end_lat: fields.Latitude
    end_lon: fields.Longitude
    end_zones: _Zones | None
    distance_m: float = Field(ge=0, examples=[8123.5])
    odometer_m: float | None = Field(examples=[8200.0])
    top_speed_mps: float | None = Field(ge=0, examples=[22.2])
    mean_speed_mps: float | None = Field(ge=0, examples=[11.5])
    has_gap: bool
    is_carried: bool


class StopReportItem(PartItem):
    """A stop of a thing, as in the list of stops."""

    lat: fields.Latitude
    lon: fields.Longitude
    zones: _Zones | None = Field(description="names with commas")
    idle_s: float | None = Field(ge=0, examples=[120.0])


@router.get(
    "/trips",
    operation_id="listReportTrips",
    response_model=ListOf[TripReportItem],
    responses=TYPES,
)
async def list_report_trips(
    request: Request, access: HistoryReader, query: Annotated[MovementQuery, Query()]
) -> Response:
    """List the trips of several things that share an instant with the time, in order of name and
    time.
    """
    rows = _rows(access, query, Trip, trip_item)
    return await movement_report(request, access, query, "trips", TripReportItem, rows)


@router.get(
    "/stops",
    operation_id="listReportStops",
    response_model=ListOf[StopReportItem],
    responses=TYPES,
)
async def list_report_stops(
    request: Request, access: HistoryReader, query: Annotated[MovementQuery, Query()]
) -> Response:
    """List the stops of several things that share an instant with the time, in order of name and
    time.
    """
    rows = _rows(access, query, Stop, stop_item)
    return await movement_report(request, access, query, "stops", StopReportItem, rows)


def _rows(
    access: Access,
    query: MovementQuery,
    kind: type[FOUND],
    item: Callable[[Found[FOUND], ZonesAt], dict[str, Any]],
) -> Callable[[WorkedThrough], Rows]:
    async def rows(all_worked: WorkedThrough) -> Rows:
        async for worked in all_worked:
            found = [each for each in worked.found if isinstance(each.what, kind)]
            asset_id = None if query.is_of_employees else worked.thing.id
            zones = await zones_of(access.transaction, asset_id, found)
            yield [_common(query, worked, each) | _flat(item(each, zones)) for each in found]

    return rows


def _common(query: MovementQuery, worked: Worked, each: Found[Any]) -> dict[str, Any]:
    return thing_item(query, worked.thing) | {
        "started_at": time_text(each.started_at),
        "ended_at": optional_time_text(None if each.what.is_open else each.last_at),
        "duration_s": each.duration_s,
        "is_cut": each.is_cut,
    }


def _flat(item: dict[str, Any]) -> dict[str, Any]:
    """Return an item with the names of zones in place of the zones."""
    return {
        name: (", ".join(zone["name"] for zone in value) or None)
        if isinstance(value, list)
        else value
        for name, value in item.items()
    }
