"""GPS events: the stored fixes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, optional_id_text, raw_json, time_text
from api.http.problems import bad_parameter
from api.request import document_answers
from api.request.access import Access, Reader
from api.request.paging import ListOf, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.gps_areas import AreaQuery, WantedFixes, ZoneBy, wanted_fixes
from api.resources.gps_export import FORMS, PAGE_ROWS, Form, exported
from db.core.connect import Connection
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Cut, HistoryFix, HistoryKey
from telemetry.fix import Flag
from telemetry.ids import derived_id, format_id

router = APIRouter(prefix="/v1/gps-events", tags=["gps-events"], route_class=TenantRoute)
_FILE = {
    "type": "string",
    "maxLength": 1_000_000_000_000,  # no bound is checked: each row is one of the list
    "description": "all that match, the oldest first",
}
_OF_PAGES = ("limit", "offset", "cursor", "total")
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
    received_at: datetime
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


class GpsEventList(ListOf[GpsEventItem]):
    """The envelope of fixes."""

    zone_by: ZoneBy | None = Field(
        default=None, description="with zone_id: by what the fixes in it were found"
    )


class GpsEventQuery(AreaQuery):
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


@router.get(
    "",
    operation_id="listGpsEvents",
    response_model=GpsEventList,
    responses={
        200: {"content": {name: {"schema": _FILE} for name in FORMS}},
        406: {"description": "an export that there is not"},
    },
)
async def list_gps_events(
    request: Request, access: Reader, query: Annotated[GpsEventQuery, Query()]
) -> Response:
    """List fixes of trackers, of assets, of employees, in an area or a zone, or all; newest first.
    Viewers and technicians read none of other people's trackers. As a file, all of them: the
    oldest first unless `sort` is given.
    """
    forms: dict[str, Form | None] = {"application/json": None, **FORMS}
    document_answers.check_acceptable(request, list(forms))
    form = document_answers.wanted(request, forms)
    if form is not None:
        return await _export(request, access, query, form)
    page = Page(access, query, "gps-events", HistoryKey)
    cut = Cut(query.sort == "-time", page.after, page.fetch_limit, page.fetch_offset)
    async with access.transaction() as conn:
        wanted = await _wanted(conn, access, query)
        total = await wanted.total(conn, page)
        rows = await wanted.listing(conn, cut)
    envelope = page.envelope(rows, total, key=_key, item=_item)
    if query.zone_id is not None:
        envelope = envelope._replace(others={**envelope.others, "zone_by": wanted.zone_by})
    return await envelope.answer(query.fields)


async def _wanted(conn: Connection, access: Access, query: GpsEventQuery) -> WantedFixes:
    """Return what is asked for. Raises Problem (400, 404)."""
    await check_filters(conn, query)
    wanted = FixFilter(
        tracker_ids=query.tracker_id or (),
        asset_ids=query.asset_id or (),
        employee_ids=query.employee_id or (),
        since=query.since,
        until=query.until,
        hides_people_from=None if access.sees_all else access.caller.user_id,
    )
    return await wanted_fixes(conn, query, query.zone_id, wanted)


async def _export(request: Request, access: Access, query: GpsEventQuery, form: Form) -> Response:
    """Answer with a file. Raises Problem (400, 404, 429, 503)."""
    given = query.model_fields_set
    for name in _OF_PAGES:
        if name in given:
            raise bad_parameter(name, f"A file has no pages: leave out {name}.")
    names = query.fields.split(",") if query.fields is not None else list(GpsEventItem.model_fields)
    missing = [name for name in form.needs if name not in names]
    if missing:
        raise bad_parameter("fields", f"This form of file needs {missing[0]}.")
    async with access.transaction() as conn:
        wanted = await _wanted(conn, access, query)
    descending = "sort" in given and query.sort == "-time"
    return await exported(request, access, form, _pages(access, wanted, descending), names)


async def _pages(
    access: Access, wanted: WantedFixes, descending: bool
) -> AsyncIterator[list[dict[str, Any]]]:
    """Yield the rows page by page, each read in a transaction of its own."""
    after: HistoryKey | None = None
    while True:
        async with access.transaction() as conn:
            cut = Cut(descending, after, PAGE_ROWS, 0)
            rows = await wanted.listing(conn, cut)
        if rows:
            yield [_item(row) for row in rows]
            after = _key(rows[-1])
        if rows.goes_on_behind is not None:
            after = HistoryKey(*rows.goes_on_behind)
        if len(rows) < PAGE_ROWS and not rows.is_cut:
            return


def _key(fix: HistoryFix) -> HistoryKey:
    return HistoryKey(fix.time, fix.tracker_id, fix.seq)


def _item(fix: HistoryFix) -> dict[str, Any]:
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
    }


def _fix_id(fix: HistoryFix) -> str:
    """Derive an id from the identity of a fix: tracker, time and seq."""
    time_us = (fix.time - _EPOCH) // timedelta(microseconds=1)
    time_bytes = time_us.to_bytes(8, "big", signed=True)
    seq_bytes = fix.seq.to_bytes(4, "big", signed=True)
    return format_id("fix", derived_id(b"fix", fix.tracker_id.bytes, time_bytes, seq_bytes))
