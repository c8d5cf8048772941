"""Visits: the stays of assets in zones."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import LIST_FORMS, Shape
from api.http import fields
from api.http.encoding import id_text, ok, optional_id_text, optional_time_text, time_text
from api.http.problems import not_found
from api.request.access import HistoryReader, Reader
from api.request.document_answers import varying
from api.request.paging import ListOf, Page, order_of
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
from db.core.listing import Order, PageRows, RowKey
from db.core.standby import again_by_primary
from db.history import visits
from db.history.visits import ListedVisit, VisitFilter
from telemetry.ids import format_id

router = APIRouter(prefix="/v1/visits", tags=["visits"], route_class=TenantRoute)


# Where no fix tells of an end: from the way between two fixes, or because time went by.
Inferred = Literal["segment", "timer"]


class VisitItem(BaseModel):
    """One stay. While it lasts, `left_at` and what belongs to it are null."""

    id: fields.VisitId
    asset_id: fields.AssetId
    zone_id: fields.ZoneId
    zone_version: fields.Count
    tracker_id: fields.TrackerId = Field(description="whose fix began it")
    entered_at: datetime
    entry_lat: fields.Latitude
    entry_lon: fields.Longitude
    entry_cause: Literal["moved", "initial", "zone_changed", "reassigned"]
    entry_inferred: Inferred | None = Field(description="null: a fix inside began it")
    dwelled_at: datetime | None = Field(description="when it had lasted for dwell_seconds")
    overspeed_at: datetime | None = Field(
        description="when a fix inside first stated a speed above speed_limit_mps"
    )
    overspeed_mps: float | None = Field(ge=0, description="that speed", examples=[16.7])
    left_at: datetime | None
    duration_s: float | None = Field(
        ge=0, description="from entered_at to left_at", examples=[1800.5]
    )
    exit_lat: fields.Latitude | None
    exit_lon: fields.Longitude | None
    exit_cause: Literal["moved", "zone_changed", "reassigned", "silence"] | None
    exit_inferred: Inferred | None = Field(description="null: a fix outside ended it")
    exit_tracker_id: fields.TrackerId | None = Field(
        description="whose fix ended it; null too where it ended before that was kept"
    )
    revision: fields.Count = Field(description="1, and one more for each amendment")
    retracted: bool = Field(
        description="a late fix showed that it never was, or is part of another"
    )


class VisitQuery(FileQuery):
    """Visits that share an instant with [from, to)."""

    asset_id: fields.AssetId | None = None
    zone_id: fields.ZoneId | None = None
    since: Annotated[fields.Time | None, Field(alias="from")] = None
    until: Annotated[fields.Time | None, Field(alias="to")] = None
    retracted: Annotated[bool, Field(description="those that never were, instead")] = False
    open: Annotated[bool | None, Field(description="those that last, or those that ended")] = None
    sort: Annotated[
        Literal["-entered_at", "entered_at"], Field(description="-: the last ones first")
    ] = "-entered_at"

    @property
    def order(self) -> Order:
        return order_of(self.sort)


VISITS = Shape(columns_of(VisitItem), (("entry_lat", "entry_lon"),))


@router.get(
    "",
    operation_id="listVisits",
    response_model=ListOf[VisitItem],
    responses=file_types(LIST_FORMS),
)
async def list_visits(
    request: Request, access: HistoryReader, query: Annotated[VisitQuery, Query()]
) -> Response:
    """List visits, newest entry first; visits that were open at either edge of the window are
    included. As a file, all of them: the oldest first unless `sort` is given.
    """
    form = wanted_form(request, LIST_FORMS)
    if form is not None:
        shape = shape_wanted(query, VISITS, form)
        place = Place.of(access, in_order_of_file(query), "visits", RowKey)
        pages = await file_pages(Asker.of(access), query, place)
        goes_on = place.after is not None
        return await exported(request, access, "visits", form, pages, shape, goes_on=goes_on)
    page = Page(access, query, "visits", RowKey)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        rows, total = await page.read(conn, visits.VISITS, _wanted(query), query.order)
    return varying(await page.response(rows, total, key=_key, item=visit_item))


def _key(visit: ListedVisit) -> RowKey:
    return RowKey(visit.entered_at, visit.id)


def _wanted(query: VisitQuery) -> VisitFilter:
    return VisitFilter(
        query.asset_id, query.zone_id, query.since, query.until, query.retracted, query.open
    )


async def file_pages(asker: Asker, query: VisitQuery, place: Place[RowKey]) -> Pages:
    """Return the rows of a file. Raises Problem (404)."""
    async with asker.transaction() as conn:
        await check_filters(conn, query)
    return _pages(asker, _wanted(query), place, in_order_of_file(query).order)


async def _pages(asker: Asker, wanted: VisitFilter, place: Place[RowKey], order: Order) -> Pages:
    """Yield the rows page by page, each read in a transaction of its own."""
    after = place.after

    async def read() -> PageRows[ListedVisit]:
        async with asker.transaction() as conn:
            return await visits.VISITS.listing(
                conn, wanted, order=order, after=after, limit=PAGE_ROWS, offset=0
            )

    while True:
        rows = await again_by_primary(read)
        if rows:
            yield [place.row(_key(row), visit_item(row)) for row in rows]
            after = _key(rows[-1])
        if len(rows) < PAGE_ROWS and not rows.is_cut:
            return


@router.get("/{id}", operation_id="getVisit", response_model=VisitItem)
async def get_visit(
    access: Reader, visit_id: Annotated[fields.VisitId, Path(alias="id")]
) -> Response:
    """Return one visit."""
    async with access.transaction() as conn:
        visit = await visits.find(conn, visit_id)
    if visit is None:
        raise not_found("visit")
    return ok(visit_item(visit))


def _duration_s(visit: ListedVisit) -> float | None:
    return None if visit.left_at is None else (visit.left_at - visit.entered_at).total_seconds()


def visit_item(visit: ListedVisit) -> dict[str, Any]:
    """Return a VisitItem."""
    return {
        "id": format_id("vis", visit.id),
        "asset_id": id_text("ast", visit.asset_id),
        "zone_id": id_text("zon", visit.zone_id),
        "zone_version": visit.zone_version,
        "tracker_id": id_text("trk", visit.tracker_id),
        "entered_at": time_text(visit.entered_at),
        "entry_lat": visit.entry_lat,
        "entry_lon": visit.entry_lon,
        "entry_cause": visit.entry_cause,
        "entry_inferred": visit.entry_inferred,
        "dwelled_at": optional_time_text(visit.dwelled_at),
        "overspeed_at": optional_time_text(visit.overspeed_at),
        "overspeed_mps": visit.overspeed_mps,
        "left_at": optional_time_text(visit.left_at),
        "duration_s": _duration_s(visit),
        "exit_lat": visit.exit_lat,
        "exit_lon": visit.exit_lon,
        "exit_cause": visit.exit_cause,
        "exit_inferred": visit.exit_inferred,
        "exit_tracker_id": optional_id_text("trk", visit.exit_tracker_id),
        "revision": visit.revision,
        "retracted": visit.retracted,
    }
