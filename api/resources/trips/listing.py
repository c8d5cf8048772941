"""Trips and stops of a machine, of a tracker, or of an employee's trackers.

They are worked out from the stored fixes when they are asked for, so they are right after late
fixes, of any past, and by any rules (docs/decisions/0044-trips-when-asked-for.md).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import LIST_FORMS, Shape
from api.http import fields
from api.http.encoding import id_text, optional_id_text, optional_time_text, time_text
from api.http.problems import bad_parameter
from api.request.access import Access, HistoryReader
from api.request.document_answers import varying
from api.request.paging import ListOf, Page, Total
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.exports import (
    PAGE_ROWS,
    Asker,
    FileQuery,
    Pages,
    Place,
    columns_of,
    exported,
    file_types,
    in_order_of_file,
    shape_wanted,
    wanted_form,
)
from archive.reading import Transactions
from archive.trips import EARLIEST, FixesOf, TooManyFixes, worked_out
from db.core.connect import Connection
from db.core.standby import again_by_primary
from db.core.table import db_now
from db.fixes.fix_filters import FixFilter
from db.history import visits
from db.history.visits import ZoneAt
from geofence.trips.history import FOUND, Found, Stop, Trip
from geofence.trips.track import TripRules

router = APIRouter(prefix="/v1", tags=["trips"], route_class=TenantRoute)

MOST_DAYS = 31
MOST_ZONES = 10  # told of a place
_USUAL = TripRules()
_A_DAY = timedelta(days=1)
ZonesAt: TypeAlias = Mapping[datetime, Sequence[ZoneAt]]


class TripZone(BaseModel):
    """A zone in which the machine was."""

    id: fields.ZoneId
    name: fields.Name = Field(description="as it was called then")


class _Item(BaseModel):
    asset_id: fields.AssetId | None = Field(description="as it was asked for, as the next two")
    tracker_id: fields.TrackerId | None
    employee_id: fields.EmployeeId | None
    started_at: datetime = Field(description="the time of its first fix")
    ended_at: datetime | None = Field(description="of its last fix; null while it goes on")
    duration_s: float = Field(ge=0, description="up to its last fix", examples=[1800.0])
    is_cut: bool = Field(
        description="it may be longer: there are too many fixes to look so far back, or ahead"
    )


_Zones = Annotated[list[TripZone], Field(max_length=MOST_ZONES)]


class TripItem(_Item):
    """The way from one stop to the next: both fixes at its ends belong to them, too."""

    start_lat: fields.Latitude
    start_lon: fields.Longitude
    start_zones: _Zones = Field(
        description=f"of a machine, by its visits, {MOST_ZONES} at most; as `end_zones`"
    )
    end_lat: fields.Latitude
    end_lon: fields.Longitude
    end_zones: _Zones
    distance_m: float = Field(
        ge=0, description="along the fixes that move by more than their accuracy", examples=[8123.5]
    )
    odometer_m: float | None = Field(
        description="what the attribute `odometer` counted, in metres", examples=[8200.0]
    )
    top_speed_mps: float | None = Field(ge=0, description="that a fix states", examples=[22.2])
    mean_speed_mps: float | None = Field(ge=0, examples=[11.5])
    has_gap: bool = Field(description="for longer than trip_gap_s there is no fix")
    is_carried: bool = Field(description="the ignition was off: on a ferry, or a tow truck")


class StopItem(_Item):
    """A stay at one place."""

    lat: fields.Latitude = Field(description="of its middle")
    lon: fields.Longitude
    zones: _Zones = Field(description="in which a machine was amid it, by its visits")
    idle_s: float | None = Field(
        ge=0, description="with the ignition on; null: it is not sent", examples=[120.0]
    )


class TripQuery(FileQuery):
    """What shares an instant with [from, to)."""

    asset_id: fields.AssetId | None = None
    tracker_id: fields.TrackerId | None = None
    employee_id: fields.EmployeeId | None = None
    since: Annotated[
        fields.Time | None, Field(alias="from", description="without it a day before to")
    ] = None
    until: Annotated[
        fields.Time | None,
        Field(alias="to", description=f"at most {MOST_DAYS} days later; without it now"),
    ] = None
    stop_radius_m: Annotated[float, Field(ge=10, le=1_000, description="a stop lies within it")] = (
        _USUAL.stop_radius_m
    )
    stop_after_s: Annotated[
        float, Field(ge=60, le=86_400, description="a shorter stay is no stop")
    ] = _USUAL.stop_after_s
    trip_min_m: Annotated[
        float, Field(ge=10, le=10_000, description="who gets less far away has not left a stop")
    ] = _USUAL.trip_min_m
    trip_gap_s: Annotated[
        float, Field(ge=60, le=86_400, description="a trip without a fix for longer `has_gap`")
    ] = _USUAL.trip_gap_s
    sort: Annotated[
        Literal["-started_at", "started_at"], Field(description="-: the last ones first")
    ] = "-started_at"


class _Key(NamedTuple):
    """The place of a row in the list: no two begin with the same fix."""

    first_us: int


TRIPS = Shape(columns_of(TripItem), (("start_lat", "start_lon"), ("end_lat", "end_lon")))
STOPS = Shape(columns_of(StopItem), (("lat", "lon"),))


@router.get(
    "/trips",
    operation_id="listTrips",
    response_model=ListOf[TripItem],
    responses=file_types(LIST_FORMS),
)
async def list_trips(
    request: Request, access: HistoryReader, query: Annotated[TripQuery, Query()]
) -> Response:
    """List the trips of a machine, of a tracker or of an employee's trackers, newest first. As a
    file, all of them: the oldest first unless `sort` is given.
    """
    return await _answered(request, access, query, Trip, trip_item, TRIPS)


@router.get(
    "/stops",
    operation_id="listStops",
    response_model=ListOf[StopItem],
    responses=file_types(LIST_FORMS),
)
async def list_stops(
    request: Request, access: HistoryReader, query: Annotated[TripQuery, Query()]
) -> Response:
    """List the stops of a machine, of a tracker or of an employee's trackers, newest first. As a
    file, all of them: the oldest first unless `sort` is given.
    """
    return await _answered(request, access, query, Stop, stop_item, STOPS)


async def _answered(
    request: Request,
    access: Access,
    query: TripQuery,
    kind: type[FOUND],
    item: Callable[[Found[FOUND], ZonesAt], dict[str, Any]],
    shape: Shape,
) -> Response:
    form = wanted_form(request, LIST_FORMS)
    name = f"{kind.__name__.lower()}s"
    if form is not None:
        shape = shape_wanted(query, shape, form)
        place = Place.of(access, in_order_of_file(query), name, _Key)
        pages = await _file_pages(Asker.of(access), query, place, kind, item)
        goes_on = place.after is not None
        return await exported(request, access, name, form, pages, shape, goes_on=goes_on)
    page = Page(access, query, name, _Key)
    found = await _found(Asker.of(access), query, kind)
    rows = _behind(found, page.after, descending=query.sort == "-started_at")
    rows = rows[page.fetch_offset : page.fetch_offset + page.fetch_limit]
    zones = await zones_of(access.transaction, query.asset_id, rows)
    answer = await page.response(
        rows,
        page.total or Total(len(found)),
        key=lambda row: _Key(row.first_us),
        item=lambda row: _common(query, row) | item(row, zones),
    )
    return varying(answer)


async def trip_pages(asker: Asker, query: TripQuery, place: Place[Any]) -> Pages:
    """Return the rows of a file. Raises Problem (400, 404)."""
    return await _file_pages(asker, query, place, Trip, trip_item)


async def stop_pages(asker: Asker, query: TripQuery, place: Place[Any]) -> Pages:
    """Return the rows of a file. Raises Problem (400, 404)."""
    return await _file_pages(asker, query, place, Stop, stop_item)


async def _file_pages(
    asker: Asker,
    query: TripQuery,
    place: Place[_Key],
    kind: type[FOUND],
    item: Callable[[Found[FOUND], ZonesAt], dict[str, Any]],
) -> Pages:
    found = await _found(asker, query, kind)
    descending = in_order_of_file(query).sort == "-started_at"
    rows = _behind(found, place.after, descending=descending)
    return _pages(asker, query, rows, place, item)


async def _found(asker: Asker, query: TripQuery, kind: type[FOUND]) -> list[Found[FOUND]]:
    """Return all in order of time. Raises Problem where there are too many fixes."""
    rules = _rules(query)
    async with asker.transaction() as conn:
        await check_filters(conn, query)
        wanted = await _wanted(conn, asker, query)
    fixes = FixesOf(asker.transaction, asker.archive)
    try:
        _, found = await worked_out(fixes, wanted, rules)
    except TooManyFixes as error:
        message = f"There are more than {error.most:,} fixes: ask for a shorter time."
        raise bad_parameter("to", message) from None
    return [one for one in found if isinstance(one.what, kind)]


async def _pages(
    asker: Asker,
    query: TripQuery,
    found: Sequence[Found[FOUND]],
    place: Place[_Key],
    item: Callable[[Found[FOUND], ZonesAt], dict[str, Any]],
) -> Pages:
    """Yield the rows page by page; the zones of each are read in a transaction of its own."""
    for begin in range(0, len(found), PAGE_ROWS):
        rows = found[begin : begin + PAGE_ROWS]
        zones = await zones_of(asker.transaction, query.asset_id, rows)
        yield [
            place.row(_Key(row.first_us), _common(query, row) | item(row, zones)) for row in rows
        ]


def _rules(query: TripQuery) -> TripRules:
    given = (query.stop_radius_m, query.stop_after_s, query.trip_min_m, query.trip_gap_s)
    try:
        return TripRules(*given)
    except ValueError as error:
        raise bad_parameter("trip_min_m", f"{error}.") from None


async def _wanted(conn: Connection, asker: Asker, query: TripQuery) -> FixFilter:
    """Return the filter of the fixes. Raises Problem where it is not about one thing, or the time
    is too long.
    """
    given = (query.asset_id, query.tracker_id, query.employee_id)
    if sum(each is not None for each in given) != 1:
        raise bad_parameter("asset_id", "Name one of asset_id, tracker_id and employee_id.")
    until = query.until or await db_now(conn)
    since = query.since or max(until, EARLIEST + _A_DAY) - _A_DAY
    if since >= until:
        raise bad_parameter("from", "from must be earlier than to.")
    if until - since > timedelta(days=MOST_DAYS):
        raise bad_parameter("to", f"to must be at most {MOST_DAYS} days later than from.")
    return FixFilter(
        tracker_ids=tuple(filter(None, [query.tracker_id])),
        asset_ids=tuple(filter(None, [query.asset_id])),
        employee_ids=tuple(filter(None, [query.employee_id])),
        since=since,
        until=until,
        hides_people_from=asker.hides_people_from,
    )


def _behind(
    found: Sequence[Found[FOUND]], after: _Key | None, *, descending: bool
) -> list[Found[FOUND]]:
    """Return the rows behind a place, in order."""
    rows = list(reversed(found)) if descending else list(found)
    if after is None:
        return rows
    return [
        row
        for row in rows
        if row.first_us != after.first_us and (row.first_us < after.first_us) == descending
    ]


async def zones_of(
    transaction: Transactions, asset_id: UUID | None, rows: Iterable[Found[Any]]
) -> ZonesAt:
    """Return the zones in which the machine was at the ends of trips and amid stops."""
    zones: dict[datetime, list[ZoneAt]] = {}
    times = sorted({at for row in rows for at in (row.started_at, row.middle, row.last_at)})
    if asset_id is None or not times:
        return zones

    async def read() -> list[ZoneAt]:
        async with transaction() as conn:
            return await visits.zones_at(conn, asset_id, times, MOST_ZONES)

    for zone in await again_by_primary(read):
        zones.setdefault(zone.at, []).append(zone)
    return zones


def _common(query: TripQuery, row: Found[Any]) -> dict[str, Any]:
    ended_at = None if row.what.is_open else row.last_at
    return {
        "asset_id": optional_id_text("ast", query.asset_id),
        "tracker_id": optional_id_text("trk", query.tracker_id),
        "employee_id": optional_id_text("emp", query.employee_id),
        "started_at": time_text(row.started_at),
        "ended_at": optional_time_text(ended_at),
        "duration_s": row.duration_s,
        "is_cut": row.is_cut,
    }


def trip_item(row: Found[Trip], zones: ZonesAt) -> dict[str, Any]:
    """Return what is special to a TripItem."""
    trip, track, duration_s = row.what, row.track, row.duration_s
    return {
        "start_lat": float(track.lat[trip.first]),
        "start_lon": float(track.lon[trip.first]),
        "start_zones": _zone_items(zones, row.started_at),
        "end_lat": float(track.lat[trip.last]),
        "end_lon": float(track.lon[trip.last]),
        "end_zones": _zone_items(zones, row.last_at),
        "distance_m": round(trip.distance_m, 1),
        "odometer_m": trip.odometer_m,
        "top_speed_mps": trip.top_speed_mps,
        "mean_speed_mps": round(trip.distance_m / duration_s, 2) if duration_s > 0 else None,
        "has_gap": trip.has_gap,
        "is_carried": trip.is_carried,
    }


def stop_item(row: Found[Stop], zones: ZonesAt) -> dict[str, Any]:
    """Return what is special to a StopItem."""
    stop = row.what
    return {
        "lat": round(stop.lat, 7),
        "lon": round(stop.lon, 7),
        "zones": _zone_items(zones, row.middle),
        "idle_s": stop.idle_s,
    }


def _zone_items(zones: ZonesAt, at: datetime) -> list[dict[str, Any]]:
    return [{"id": id_text("zon", zone.zone_id), "name": zone.name} for zone in zones.get(at, ())]
