"""The reports about stays in zones, by the stored visits: each visit, and the hours on site.

A visit that lasts counts up to now. Presence is the time in which an asset was in any zone of the
group: where two zones of a client overlap, it counts once. A zone is a client's where it is the
geofence of one of the client's sites; that of several counts for each of them.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import product
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.documents.file_forms import Form
from api.http import fields
from api.http.encoding import id_text, optional_id_text, optional_time_text, time_text
from api.http.problems import bad_parameter
from api.request.access import Access, HistoryReader
from api.request.paging import ListOf
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.exports import PAGE_ROWS, columns_of
from api.resources.reports.answers import TYPES, Report, Row, Rows, answered, wanted_form
from api.resources.reports.query import ReportQuery, Window, filter_of, microseconds, window_of
from api.resources.reports.sums import week_of
from db.core.standby import again_by_primary
from db.resources import reported
from db.resources.reported import ReportedThing, ReportedVisit

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=TenantRoute)

MOST_VISITS = 100_000

_GROUPS = "^({0})(,({0}))*$".format("zone|client|asset|tag|day|week")
_Group = tuple[Any, ...]  # what it is grouped by, in the order of _NAMES; None for the others
_NAMES = ("zone", "client", "asset", "tag", "day", "week")


class PresenceQuery(ReportQuery):
    """The time, the things and the groups of a report."""

    group_by: Annotated[
        str,
        fields.shaped(_GROUPS, "must be of zone, client, asset, tag, day and week, with commas"),
        Field(
            max_length=60,
            description="a row for each zone, client of a zone's site, asset, tag, day or week,"
            " with commas: sums over the rest",
            examples=["client,day"],
            json_schema_extra={"pattern": _GROUPS},
        ),
    ] = "zone,client,asset"


class VisitReportItem(BaseModel):
    """A visit, as far as it lies within the time."""

    visit_id: fields.VisitId
    asset_id: fields.AssetId
    asset_name: fields.Name
    zone_id: fields.ZoneId
    zone_name: fields.Name
    client_names: Annotated[str, fields.text(2_100, "Acme")] | None = Field(
        description="of the sites whose geofence the zone is, with commas"
    )
    entered_at: datetime
    left_at: datetime | None
    dwelled_at: datetime | None
    within_s: float = Field(ge=0, description="within the time, up to now", examples=[1800.0])


class PresenceReportItem(BaseModel):
    """How long the assets of a group were in its zones: what it is not grouped by is null."""

    zone_id: fields.ZoneId | None
    zone_name: fields.Name | None
    client_id: fields.ClientId | None
    client_name: fields.Name | None
    asset_id: fields.AssetId | None
    asset_name: fields.Name | None
    tag: fields.Tag | None
    day: fields.Day | None
    week: fields.Day | None = Field(description="its Monday")
    presence_s: float = Field(
        ge=0, description="of each asset once at a time, all assets together", examples=[28800.0]
    )
    visits: fields.Count = Field(description="that lie in it, at least in part")
    assets: fields.Count


@dataclass(frozen=True, slots=True)
class _Stays:
    """Visits, and the names of what they name."""

    visits: Sequence[ReportedVisit]
    assets: Mapping[UUID, ReportedThing]
    zones: Mapping[UUID, str]
    clients: Mapping[UUID, Sequence[tuple[UUID, str]]]  # of a zone


@router.get(
    "/visits",
    operation_id="listReportVisits",
    response_model=ListOf[VisitReportItem],
    responses=TYPES,
)
async def list_report_visits(
    request: Request, access: HistoryReader, query: Annotated[ReportQuery, Query()]
) -> Response:
    """List visits with names, and how long each was within the time; the oldest first."""
    return await _answered(request, access, query, "visits", VisitReportItem, _visit_rows)


@router.get(
    "/presence",
    operation_id="listReportPresence",
    response_model=ListOf[PresenceReportItem],
    responses=TYPES,
)
async def list_report_presence(
    request: Request, access: HistoryReader, query: Annotated[PresenceQuery, Query()]
) -> Response:
    """List how long assets were on site: by zone, client and asset, or by other groups."""

    def rows(stays: _Stays, window: Window) -> list[Row]:
        return _presence_rows(query.group_by.split(","), stays, window)

    return await _answered(request, access, query, "presence", PresenceReportItem, rows)


async def _answered(
    request: Request,
    access: Access,
    query: ReportQuery,
    name: str,
    row: type[BaseModel],
    rows: Callable[[_Stays, Window], list[Row]],
) -> Response:
    form = wanted_form(request)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        window = await window_of(conn, query, is_file=isinstance(form, Form))

    async def made() -> Rows:
        stays = await again_by_primary(partial(_stays, access, query, window))
        all_rows = rows(stays, window)
        for begin in range(0, len(all_rows), PAGE_ROWS):
            yield all_rows[begin : begin + PAGE_ROWS]

    return await answered(request, access, query, form, Report(name, window, columns_of(row), made))


async def _stays(access: Access, query: ReportQuery, window: Window) -> _Stays:
    """Return what a report is about. Raises Problem (400) where it is too much."""
    async with access.transaction() as conn:
        wanted = filter_of(access, query, window)
        visits = await reported.visits(conn, wanted, MOST_VISITS + 1)
        if len(visits) > MOST_VISITS:
            message = f"There are more than {MOST_VISITS:,} visits: ask for a shorter time."
            raise bad_parameter("to", message)
        assets = await reported.assets_of(conn, {visit.asset_id for visit in visits})
        zone_ids = {visit.zone_id for visit in visits}
        zones = await reported.zone_names(conn, zone_ids)
        clients: defaultdict[UUID, list[tuple[UUID, str]]] = defaultdict(list)
        for each in await reported.clients_of_zones(conn, zone_ids):
            if query.client_id is None or each.client_id in query.client_id:
                clients[each.zone_id].append((each.client_id, each.client_name))
    return _Stays(visits, assets, zones, clients)


def _visit_rows(stays: _Stays, window: Window) -> list[Row]:
    return [
        {
            "visit_id": id_text("vis", visit.id),
            "asset_id": id_text("ast", visit.asset_id),
            "asset_name": stays.assets[visit.asset_id].name,
            "zone_id": id_text("zon", visit.zone_id),
            "zone_name": stays.zones[visit.zone_id],
            "client_names": ", ".join(name for _, name in stays.clients.get(visit.zone_id, ()))
            or None,
            "entered_at": time_text(visit.entered_at),
            "left_at": optional_time_text(visit.left_at),
            "dwelled_at": optional_time_text(visit.dwelled_at),
            "within_s": (end_us - begin_us) / 1_000_000,
        }
        for visit in stays.visits
        for begin_us, end_us in [_within(visit, window)]
    ]


def _within(visit: ReportedVisit, window: Window) -> tuple[int, int]:
    """Return the part of a visit that lies within the time, in microseconds since 1970."""
    begin = max(visit.entered_at, window.since)
    end = window.until if visit.left_at is None else min(visit.left_at, window.until)
    return microseconds(begin), microseconds(end)


@dataclass(slots=True)
class _Presence:
    """visits: their ids. spans_us: by asset."""

    visits: set[UUID]
    spans_us: defaultdict[UUID, list[tuple[int, int]]]


def _presence_rows(by: Sequence[str], stays: _Stays, window: Window) -> list[Row]:
    groups: dict[_Group, _Presence] = {}
    for visit in stays.visits:
        for day, *span_us in _by_day(_within(visit, window), window):
            for group in _groups(by, stays, visit, day):
                known = groups.setdefault(group, _Presence(set(), defaultdict(list)))
                known.visits.add(visit.id)
                known.spans_us[visit.asset_id].append((span_us[0], span_us[1]))
    rows = [_group_item(group, stays) | _presence(known) for group, known in groups.items()]
    return sorted(rows, key=_order)


def _order(row: Row) -> tuple[str, ...]:
    names = ("client_name", "zone_name", "asset_name", "tag", "day", "week", "zone_id", "asset_id")
    return tuple(row[name] or "" for name in names)


def _by_day(span_us: tuple[int, int], window: Window) -> Iterator[tuple[date, int, int]]:
    """Yield the part of a stay on each local day that it touches."""
    begin_us, end_us = span_us
    begins_us = [span.begin_us for span in window.spans]
    for span in window.spans[max(0, bisect_right(begins_us, begin_us) - 1) :]:
        if span.begin_us >= end_us and span.begin_us > begin_us:
            return
        yield span.day, max(begin_us, span.begin_us), min(end_us, span.end_us)


def _groups(by: Sequence[str], stays: _Stays, visit: ReportedVisit, day: date) -> Iterable[_Group]:
    """Yield the groups of a visit on a day: several where it has several clients or tags."""
    values: Mapping[str, Sequence[Any]] = {
        "zone": [visit.zone_id],
        "client": stays.clients.get(visit.zone_id) or [None],
        "asset": [visit.asset_id],
        "tag": stays.assets[visit.asset_id].tags or [None],
        "day": [day],
        "week": [week_of(day)],
    }
    return product(*(values[name] if name in by else [None] for name in _NAMES))


def _group_item(group: _Group, stays: _Stays) -> dict[str, Any]:
    zone_id, client, asset_id, tag, day, week = group
    client_id, client_name = client or (None, None)
    return {
        "zone_id": optional_id_text("zon", zone_id),
        "zone_name": None if zone_id is None else stays.zones[zone_id],
        "client_id": optional_id_text("cli", client_id),
        "client_name": client_name,
        "asset_id": optional_id_text("ast", asset_id),
        "asset_name": None if asset_id is None else stays.assets[asset_id].name,
        "tag": tag,
        "day": None if day is None else day.isoformat(),
        "week": None if week is None else week.isoformat(),
    }


def _presence(known: _Presence) -> dict[str, Any]:
    return {
        "presence_s": sum(map(union_us, known.spans_us.values())) / 1_000_000,
        "visits": len(known.visits),
        "assets": len(known.spans_us),
    }


def union_us(spans_us: Sequence[tuple[int, int]]) -> int:
    """Return how long spans last together: what lies in several of them counts once."""
    total_us, reached_us = 0, -(2**63)
    for begin_us, end_us in sorted(spans_us):
        total_us += max(0, end_us - max(begin_us, reached_us))
        reached_us = max(reached_us, end_us)
    return total_us
