"""GPS events: the stored fixes."""

from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import FIX_FORMS, Form, Shape
from api.http import fields
from api.http.encoding import id_text, optional_id_text, raw_json, time_text
from api.http.fields import DIGITS
from api.http.problems import bad_parameter
from api.request.access import Access, HistoryReader
from api.request.document_answers import varying
from api.request.paging import MAX_ROWS, ListOf, Page, Total
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.exports import (
    OF_PAGES,
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
from api.resources.gps_areas import AreaQuery, WantedFixes, ZoneBy, wanted_fixes
from archive.choosing import chosen
from db.archive import archived_days
from db.core.connect import Connection
from db.core.standby import again_by_primary
from db.fixes import feed
from db.fixes.feed import FeedKey
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import MOST_PLACES, Cut, HistoryFix, HistoryKey
from db.fixes.id_numbers import numbered
from db.fixes.places import Places, TooManyPlaces
from geofence.trips.thinning import kept_points
from telemetry.fix import Flag
from telemetry.ids import derived_id, format_id

router = APIRouter(prefix="/v1/gps-events", tags=["gps-events"], route_class=TenantRoute)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GpsEventItem(BaseModel):
    """A fix as it is stored. A value that the tracker did not know is null."""

    id: fields.FixId
    tracker_id: fields.TrackerId
    asset_id: fields.AssetId | None = Field(
        description="the asset that the tracker was on at `time`"
    )
    time: datetime
    seq: int = Field(ge=-(2**31), le=2**31 - 1, examples=[17])
    received_at: datetime = Field(
        description="when it was received; rises from batch to batch, also where the clock of the"
        " server was set back"
    )
    lat: fields.Latitude
    lon: fields.Longitude
    altitude_m: float | None = Field(examples=[441.0])
    speed_mps: float | None = Field(ge=0, examples=[13.9])
    course_deg: float | None = Field(ge=0, le=360, examples=[271.5])
    accuracy_m: float | None = Field(ge=0, examples=[4.2])
    satellites: int | None = Field(ge=0, le=2**15 - 1, examples=[11])
    battery_pct: float | None = Field(ge=0, le=100, examples=[87.0])
    ignition: bool | None
    attributes: dict[str, Any] = Field(examples=[{"hdop": 0.9}])
    suspect: bool
    rollover: bool
    unauthenticated: bool = Field(
        description="whether it came from a device that has no secret, but an IMEI alone"
    )
    uploaded: bool = Field(description="whether it is a point of an uploaded track")


class GpsEventList(ListOf[GpsEventItem]):
    """The envelope of fixes."""

    zone_by: ZoneBy | None = Field(
        default=None, description="with zone_id: by what the fixes in it were found"
    )


class GpsEventQuery(FileQuery, AreaQuery):
    """Fixes with `time` in [from, to)."""

    asset_id: Annotated[
        fields.AssetIds | None, Field(description="one, or several with commas, as the next two")
    ] = None
    tracker_id: fields.TrackerIds | None = None
    employee_id: Annotated[
        fields.EmployeeIds | None, Field(description="fixes of trackers while they were theirs")
    ] = None
    zone_id: Annotated[fields.ZoneId | None, Field(description="fixes in the zone")] = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    sort: Annotated[Literal["-time", "time"], Field(description="-: the last ones first")] = "-time"
    max_points: Annotated[
        int | None,
        Field(
            ge=2,
            le=MAX_ROWS,
            description="the most to show: those that tell most of the ways; stops and turns stay."
            f" There may be {MOST_PLACES:,} to choose from; all come on one page",
        ),
        DIGITS,
    ] = None
    received_after: Annotated[
        fields.Time | None,
        Field(
            description="what was received after then, the first ones first, for who asks again and"
            " again: first to the end by cursor, and then with the last received_at"
        ),
    ] = None


FIXES = Shape(columns_of(GpsEventItem), (("lat", "lon"),))


@router.get(
    "",
    operation_id="listGpsEvents",
    response_model=GpsEventList,
    responses=file_types(FIX_FORMS),
)
async def list_gps_events(
    request: Request, access: HistoryReader, query: Annotated[GpsEventQuery, Query()]
) -> Response:
    """List fixes of trackers, of assets, of employees, in an area or a zone, or all; newest first.
    Viewers and technicians read none of other people's trackers. As a file, all of them: the
    oldest first unless `sort` is given.
    """
    form = wanted_form(request, FIX_FORMS)
    if form is not None:
        return await _export(request, access, query, form)
    if query.max_points is not None:
        return varying(await _thinned(access, query, query.max_points))
    if query.received_after is not None:
        # Of what was received while a standby lagged, a later page would not tell.
        access = access.by_primary()
        return varying(await _received(access, query, query.received_after))
    page = Page(access, query, "gps-events", HistoryKey)
    cut = Cut(query.sort == "-time", page.after, page.fetch_limit, page.fetch_offset)
    async with access.transaction() as conn:
        wanted = await _wanted(conn, Asker.of(access), query)
    archive = access.state.archive
    total = await wanted.total(archive, access.transaction, page)
    rows = await wanted.listing(archive, access.transaction, cut)
    envelope = page.envelope(rows, total, key=lambda fix: fix.key, item=fix_item)
    if query.zone_id is not None:
        envelope = envelope._replace(others={**envelope.others, "zone_by": wanted.zone_by})
    return varying(await envelope.answer(query.fields))


async def _thinned(access: Access, query: GpsEventQuery, most: int) -> Response:
    """Answer with few of the fixes. Raises Problem (400, 404)."""
    _leave_out(query, "max_points has one page", *OF_PAGES, "received_after")

    def kept(places: Places) -> NDArray[np.int64]:
        _, track = numbered(places["tracker_id"])
        order = np.lexsort((places["seq"], places["time"], track))
        columns = (places[order][name] for name in ("time", "lon", "lat"))
        time, lon, lat = (column.astype(column.dtype.newbyteorder("=")) for column in columns)
        return order[kept_points(track[order], time, lon, lat, most)]

    async with access.transaction() as conn:
        wanted = await _wanted(conn, Asker.of(access), query)
    archive, descending = access.state.archive, query.sort == "-time"
    try:
        rows, number = await chosen(
            archive, access.transaction, wanted.parts, kept, descending=descending
        )
    except TooManyPlaces as error:
        message = f"There are more than {error.what}: ask for a shorter time."
        raise bad_parameter("max_points", message) from None
    except ValueError as error:
        raise bad_parameter("max_points", f"{error}.") from None
    if rows.is_cut:
        message = f"There is no room for so large ones: ask for {len(rows)} at most."
        raise bad_parameter("max_points", message)
    page = Page(access, query.model_copy(update={"limit": most}), "gps-events", HistoryKey)
    return await page.response(rows, Total(number), key=lambda fix: fix.key, item=fix_item)


async def _received(access: Access, query: GpsEventQuery, received_after: datetime) -> Response:
    """Answer with a page of what was received. Raises Problem (400, 404)."""
    areas = ("bbox", "near", "zone_id", "zone_by")
    _leave_out(query, "received_after has an order of its own", "sort", "offset", *areas)
    page = Page(access, query, "gps-events by receipt", FeedKey)
    async with access.transaction() as conn:
        (wanted,) = (await _wanted(conn, Asker.of(access), query)).parts
        total = page.total
        if total is None:
            rows_after = await feed.count(conn, wanted, received_after)
            total = Total.counted(rows_after, feed.MOST_COUNTED)
        rows = await feed.listing(conn, wanted, received_after, page.after, page.fetch_limit)
        # Afterwards: a day may just have moved.
        await _check_not_archived(
            conn, wanted, page.after.received_at if page.after else received_after
        )
    return await page.response(
        rows,
        total,
        key=lambda row: FeedKey(row.received_at, row.tracker_id, row.time, row.seq),
        item=fix_item,
    )


async def _check_not_archived(conn: Connection, wanted: FixFilter, place: datetime) -> None:
    """Raise Problem (400) where what was received behind a place may be archived."""
    extent = await archived_days.extent(conn, wanted)
    if extent is None or place >= (end := archived_days.day_interval(extent.last)[1]):
        return
    message = (
        f"Fixes of up to {extent.last} are archived, where they are not in the order of their"
        f" receipt: list them with from and to, and begin with {end:%Y-%m-%dT%H:%M:%SZ}."
    )
    raise bad_parameter("received_after", message)


def _leave_out(query: GpsEventQuery, why: str, *names: str) -> None:
    """Raise Problem (400) for a parameter that does not go with another one."""
    for name in names:
        if name in query.model_fields_set:
            raise bad_parameter(name, f"{why}: leave out {name}.")


async def _wanted(conn: Connection, asker: Asker, query: GpsEventQuery) -> WantedFixes:
    """Return what is asked for. Raises Problem (400, 404)."""
    await check_filters(conn, query)
    wanted = FixFilter(
        tracker_ids=query.tracker_id or (),
        asset_ids=query.asset_id or (),
        employee_ids=query.employee_id or (),
        since=query.since,
        until=query.until,
        hides_people_from=asker.hides_people_from,
    )
    return await wanted_fixes(conn, query, query.zone_id, wanted)


async def _export(request: Request, access: Access, query: GpsEventQuery, form: Form) -> Response:
    """Answer with a file. Raises Problem (400, 404, 429, 503)."""
    shape = shape_wanted(query, FIXES, form)
    _leave_out(query, "A file has all, by time", "max_points", "received_after")
    place = Place.of(access, in_order_of_file(query), "gps-events", HistoryKey)
    pages = await file_pages(Asker.of(access), query, place)
    goes_on = place.after is not None
    return await exported(request, access, "gps-events", form, pages, shape, goes_on=goes_on)


async def file_pages(asker: Asker, query: GpsEventQuery, place: Place[HistoryKey]) -> Pages:
    """Return the rows of a file. Raises Problem (400, 404)."""
    async with asker.transaction() as conn:
        wanted = await _wanted(conn, asker, query)
    return _pages(asker, wanted, place, descending=in_order_of_file(query).sort == "-time")


async def _pages(
    asker: Asker, wanted: WantedFixes, place: Place[HistoryKey], *, descending: bool
) -> Pages:
    """Yield the rows page by page. They are read in transactions of their own."""
    after = place.after
    while True:
        cut = Cut(descending, after, asker.read_rows, 0)
        rows = await again_by_primary(
            partial(wanted.listing, asker.archive, asker.transaction, cut)
        )
        for begin in range(0, len(rows), PAGE_ROWS):
            page = rows[begin : begin + PAGE_ROWS]
            yield [place.row(row.key, fix_item(row)) for row in page]
        if rows:
            after = rows[-1].key
        if rows.goes_on_behind is not None:
            after = HistoryKey(*rows.goes_on_behind)
        if len(rows) < asker.read_rows and not rows.is_cut:
            return


def fix_item(fix: HistoryFix) -> dict[str, Any]:
    """Return a GpsEventItem."""
    return {
        "id": _fix_id(fix),
        "tracker_id": id_text("trk", fix.tracker_id),
        "asset_id": optional_id_text("ast", fix.asset_id),
        "time": time_text(fix.time),
        "seq": fix.seq,
        "received_at": time_text(fix.received_at),
        "lat": fix.lat,
        "lon": fix.lon,
        "altitude_m": fix.altitude_m,
        "speed_mps": fix.speed_mps,
        "course_deg": fix.course_deg,
        "accuracy_m": fix.accuracy_m,
        "satellites": fix.satellites,
        "battery_pct": fix.battery_pct,
        "ignition": fix.ignition,
        "attributes": raw_json(fix.attributes or "{}"),
        "suspect": bool(fix.flags & Flag.SUSPECT),
        "rollover": bool(fix.flags & Flag.ROLLOVER),
        "unauthenticated": bool(fix.flags & Flag.UNAUTHENTICATED),
        "uploaded": bool(fix.flags & Flag.UPLOADED),
    }


def _fix_id(fix: HistoryFix) -> str:
    """Derive an id from the identity of a fix: tracker, time and seq."""
    time_us = (fix.time - _EPOCH) // timedelta(microseconds=1)
    time_bytes = time_us.to_bytes(8, "big", signed=True)
    seq_bytes = fix.seq.to_bytes(4, "big", signed=True)
    return format_id("fix", derived_id(b"fix", fix.tracker_id.bytes, time_bytes, seq_bytes))
