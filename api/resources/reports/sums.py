"""The reports that sum movement up: distance, and the use that is made of the time.

A thing with several tags counts for each of them where rows are grouped by tag.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, optional_id_text
from api.request.access import HistoryReader
from api.request.paging import ListOf
from api.request.route import TenantRoute
from api.resources.reports.answers import TYPES, Rows
from api.resources.reports.movement import WorkedThrough, movement_report
from api.resources.reports.query import MovementQuery
from db.resources.reported import ReportedThing
from geofence.trips.days import DayFigures

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=TenantRoute)

_GROUPS = "^({0})(,({0}))*$".format("thing|client|tag|day|week")
GroupBy = Annotated[
    str,
    fields.shaped(_GROUPS, "must be of thing, client, tag, day and week, with commas"),
    Field(
        max_length=60,
        description="a row for each thing (asset or employee), client of an asset, tag, day or"
        " week, with commas: sums over the rest",
        examples=["client,week"],
        json_schema_extra={"pattern": _GROUPS},
    ),
]


class SumQuery(MovementQuery):
    """The time, the things and the groups of a report."""

    group_by: GroupBy = "thing,day"


class GroupItem(BaseModel):
    """The group of a row: what it is not grouped by is null."""

    asset_id: fields.AssetId | None
    employee_id: fields.EmployeeId | None
    name: fields.Name | None
    client_id: fields.ClientId | None
    client_name: fields.Name | None
    tag: fields.Tag | None
    day: fields.Day | None
    week: fields.Day | None = Field(description="its Monday")


class DistanceReportItem(GroupItem):
    """The way of a group. The way between two fixes belongs to the day of the later one."""

    distance_m: float = Field(ge=0, examples=[48210.5])
    driving_s: float = Field(ge=0, examples=[5400.0])
    trips: fields.Count = Field(description="that began then")


class UtilizationReportItem(GroupItem):
    """The use that a group makes of its time. Shares are of time_s."""

    time_s: float = Field(ge=0, description="of all things and days together", examples=[86400.0])
    driving_s: float = Field(ge=0, examples=[5400.0])
    idle_s: float | None = Field(
        ge=0, description="at stops with the ignition on; null: it is not sent", examples=[600.0]
    )
    parked_s: float = Field(ge=0, description="at stops otherwise", examples=[27000.0])
    unknown_s: float = Field(ge=0, description="neither on a trip nor at a stop", examples=[0.0])
    driving_share: float = Field(ge=0, le=1, examples=[0.0625])
    idle_share: float | None = Field(ge=0, le=1, examples=[0.007])
    parked_share: float = Field(ge=0, le=1, examples=[0.3125])


@dataclass(frozen=True, slots=True)
class _Group:
    thing: ReportedThing | None
    client: tuple[Any, str] | None
    tag: str | None
    day: date | None
    week: date | None

    def order(self) -> tuple[Any, ...]:
        """Return by what rows are in order: a thing comes in its order of name."""
        client = ("", "") if self.client is None else (self.client[1], str(self.client[0]))
        return client, self.tag or "", self.day or self.week or date.min

    def item(self, query: MovementQuery) -> dict[str, Any]:
        thing, client = self.thing, self.client
        thing_id = None if thing is None else thing.id
        is_employee = query.is_of_employees
        return {
            "asset_id": None if is_employee else optional_id_text("ast", thing_id),
            "employee_id": optional_id_text("emp", thing_id) if is_employee else None,
            "name": None if thing is None else thing.name,
            "client_id": None if client is None else id_text("cli", client[0]),
            "client_name": None if client is None else client[1],
            "tag": self.tag,
            "day": None if self.day is None else self.day.isoformat(),
            "week": None if self.week is None else self.week.isoformat(),
        }


@dataclass(slots=True)
class _Sum:
    """rank: the number of the first thing that is in it."""

    rank: int
    time_s: float = 0.0
    distance_m: float = 0.0
    driving_s: float = 0.0
    stopped_s: float = 0.0
    idle_s: float | None = None
    trips: int = 0

    def add(self, day: DayFigures, time_s: float) -> None:
        self.time_s += time_s
        self.distance_m += day.distance_m
        self.driving_s += day.driving_s
        self.stopped_s += day.stopped_s
        self.trips += day.trips
        if day.idle_s is not None:
            self.idle_s = (self.idle_s or 0.0) + day.idle_s


@router.get(
    "/distance",
    operation_id="listReportDistance",
    response_model=ListOf[DistanceReportItem],
    responses=TYPES,
)
async def list_report_distance(
    request: Request, access: HistoryReader, query: Annotated[SumQuery, Query()]
) -> Response:
    """List how far things went: by thing and day, or by other groups."""
    rows = _rows(query, _distance)
    return await movement_report(request, access, query, "distance", DistanceReportItem, rows)


@router.get(
    "/utilization",
    operation_id="listReportUtilization",
    response_model=ListOf[UtilizationReportItem],
    responses=TYPES,
)
async def list_report_utilization(
    request: Request, access: HistoryReader, query: Annotated[SumQuery, Query()]
) -> Response:
    """List for how long things drove, idled and were parked: by thing and day, or by other groups.
    Days of which nothing is known count, too.
    """
    rows = _rows(query, _utilization)
    return await movement_report(request, access, query, "utilization", UtilizationReportItem, rows)


def _rows(
    query: SumQuery, figures: Callable[[_Sum], dict[str, Any]]
) -> Callable[[WorkedThrough], Rows]:
    async def rows(all_worked: WorkedThrough) -> Rows:
        by = query.group_by.split(",")
        sums: dict[_Group, _Sum] = {}
        ranks: dict[Any, int] = {}
        async for worked in all_worked:
            thing = worked.thing
            rank = ranks.setdefault(thing.id, len(ranks))
            for span, day in zip(worked.spans, worked.days, strict=True):
                for group in _groups(by, thing, span.day):
                    known = sums.setdefault(group, _Sum(rank))
                    known.add(day, (span.end_us - span.begin_us) / 1_000_000)
        order = sorted(sums, key=lambda group: (_rank(by, sums[group]), *group.order()))
        yield [group.item(query) | figures(sums[group]) for group in order]

    return rows


def _rank(by: Sequence[str], known: _Sum) -> int:
    return known.rank if "thing" in by else 0


def _groups(by: Sequence[str], thing: ReportedThing, day: date) -> list[_Group]:
    """Return the groups of a thing and day: one, or one for each tag."""
    client = None
    if "client" in by and thing.client_id is not None:
        client = (thing.client_id, thing.client_name or "")
    return [
        _Group(
            thing=thing._replace(tags=()) if "thing" in by else None,
            client=client,
            tag=tag,
            day=day if "day" in by else None,
            week=week_of(day) if "week" in by else None,
        )
        for tag in ((thing.tags or (None,)) if "tag" in by else (None,))
    ]


def week_of(day: date) -> date:
    """Return the Monday of the week of a day."""
    return day - timedelta(days=day.weekday())


def _distance(known: _Sum) -> dict[str, Any]:
    return {
        "distance_m": round(known.distance_m, 1),
        "driving_s": known.driving_s,
        "trips": known.trips,
    }


def _utilization(known: _Sum) -> dict[str, Any]:
    idle_s, time_s = known.idle_s, known.time_s
    parked_s = known.stopped_s - (idle_s or 0.0)
    return {
        "time_s": time_s,
        "driving_s": known.driving_s,
        "idle_s": idle_s,
        "parked_s": parked_s,
        "unknown_s": max(0.0, round(time_s - known.driving_s - known.stopped_s, 6)),
        "driving_share": round(known.driving_s / time_s, 4),
        "idle_share": None if idle_s is None else round(idle_s / time_s, 4),
        "parked_share": round(parked_s / time_s, 4),
    }
