"""Schedules of reports by mail: when a day, a week or a month is over, users get a link to its
report.

A letter has no figures: who opens the link signs in, and sees what they may see then. An admin
chooses the recipients; a dispatcher adds and removes themselves alone, since users are an admin's
to list. `opsc deliver` writes the letters (`webhooks.scheduled_reports`).
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Body, Path
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)
from starlette.responses import Response

from api.http import fields
from api.http.encoding import accepted, created, id_text, no_content, ok
from api.http.problems import bad_field, conflict, forbidden
from api.request.access import Access, Dispatcher
from api.request.paging import SortedQuery
from api.request.plain_resource import plain_routes
from api.request.references import check_references
from api.request.resource import Resource, item_of
from api.resources.reports.query import MovementQuery, ReportQuery
from api.resources.reports.stays import PresenceQuery
from api.resources.reports.sums import SumQuery
from db.core.connect import Connection
from db.core.table import db_now
from db.delivery import mail_outbox, report_runs
from db.resources import organizations
from db.resources import report_schedules as stored
from db.resources.quotas import check_room, count_letter
from db.resources.report_schedules import ReportSchedule, report_schedules
from operations.report_schedules import last_due, next_due, timing_of

ReportName = Literal["day", "trips", "stops", "visits", "distance", "utilization", "presence"]
QUERIES: Mapping[ReportName, type[ReportQuery]] = {
    "day": MovementQuery,
    "trips": MovementQuery,
    "stops": MovementQuery,
    "visits": ReportQuery,
    "distance": SumQuery,
    "utilization": SumQuery,
    "presence": PresenceQuery,
}
"""What each report is asked for."""
_MOST_RECIPIENTS = 20
_MOST_FILTER_CHARACTERS = 700  # of a link, which is one line of a letter
_TIME = "^([01][0-9]|2[0-3]):[0-5][0-9]$"
_TIMING = frozenset({"cadence", "weekday", "month_day", "local_time", "time_zone", "enabled"})


def _text(value: object) -> object:
    if value is not None and not isinstance(value, str):
        raise ValueError("must be a text, with commas where it is several")
    return value


_IsText = BeforeValidator(_text)
_FILTERS: dict[str, Any] = {"tag": "crane", "group_by": "thing,week"}
_SCHEDULE: dict[str, Any] = {
    "name": "Cranes of the week",
    "report": "distance",
    "filters": _FILTERS,
    "cadence": "weekly",
    "local_time": "06:30",
}


class ReportFilters(fields.Body):
    """Filters of a report, as its query has them. Those that are left out let all through."""

    model_config = ConfigDict(json_schema_extra={"examples": [_FILTERS]})

    asset_id: Annotated[fields.AssetIds, _IsText] | None = None
    client_id: Annotated[fields.ClientIds, _IsText] | None = None
    zone_id: Annotated[fields.ZoneIds, _IsText] | None = None
    tag: Annotated[fields.AnyTags, _IsText] | None = None
    of: Literal["asset", "employee"] | None = None
    employee_id: Annotated[fields.EmployeeIds, _IsText] | None = None
    group_by: (
        Annotated[
            str,
            StringConstraints(max_length=60),
            fields.shaped("^[a-z]+(,[a-z]+)*$", "must be words with commas, like client,week"),
            Field(examples=["client,week"], json_schema_extra={"pattern": "^[a-z]+(,[a-z]+)*$"}),
        ]
        | None
    ) = None

    def texts(self) -> dict[str, str]:
        """Return those that are given, as they stand in a URL."""
        return {name: _written(name, value) for name, value in self if value is not None}


def _written(name: str, value: Any) -> str:
    kind = fields.kind_in(ReportFilters.model_fields[name])
    if kind is not None:
        return ",".join(id_text(kind.prefix, row_id) for row_id in value)
    return value if isinstance(value, str) else ",".join(value)


_Name = Annotated[fields.Name, Field(examples=["Cranes of the week"])]
_Report = Annotated[ReportName, Field(examples=["distance"])]
_Cadence = Annotated[
    Literal["daily", "weekly", "monthly"],
    Field(description="about the day, the week (Monday to Sunday) or the month before"),
]
_Weekday = Annotated[
    int, Field(ge=1, le=7, description="of weekly ones; 1 is Monday", examples=[1]), fields.WHOLE
]
_MonthDay = Annotated[
    int,
    Field(ge=1, le=31, description="of monthly ones; at most the last of a month", examples=[1]),
    fields.WHOLE,
]
_LocalTime = Annotated[
    str,
    StringConstraints(max_length=5),
    fields.shaped(_TIME, "must be a time of day, like 06:30"),
    Field(examples=["06:30"], json_schema_extra={"pattern": _TIME}),
]
_Recipients = Annotated[
    list[fields.UserId],
    Field(min_length=1, max_length=_MOST_RECIPIENTS, description="users of the organization"),
]


class ReportScheduleItem(BaseModel):
    """A schedule, and what became of it."""

    id: fields.ReportScheduleId
    name: _Name
    report: _Report
    filters: ReportFilters
    cadence: _Cadence
    weekday: _Weekday
    month_day: _MonthDay
    local_time: _LocalTime
    time_zone: fields.TimeZone = Field(description="of the days and of local_time")
    recipient_ids: _Recipients
    enabled: bool
    next_run_at: datetime | None = Field(description="null: it is switched off")
    last_run_at: datetime | None
    period_from: fields.Day | None = Field(description="of the report that was mailed last")
    period_to: fields.Day | None
    left_out: list[fields.UserId] = Field(
        max_length=_MOST_RECIPIENTS,
        description="the recipients that did not get it: they are not active, or their role may not"
        " read it",
    )
    last_error: Annotated[str, fields.text(500, "the mail server did not answer")] | None = Field(
        description="why a letter of it could not be sent; null: all went well"
    )
    created_at: datetime
    updated_at: datetime


class NewReportSchedule(fields.Body):
    """A new schedule."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCHEDULE]})

    name: _Name
    report: _Report
    filters: ReportFilters = Field(default_factory=ReportFilters)
    cadence: _Cadence
    weekday: _Weekday = 1
    month_day: _MonthDay = 1
    local_time: _LocalTime = "06:00"
    time_zone: fields.TimeZone | None = Field(
        default=None, description="the organization's unless given"
    )
    recipient_ids: _Recipients | None = Field(
        default=None, description="users of the organization; the caller unless given"
    )
    enabled: bool = True


class ReportScheduleChange(fields.Body):
    """The fields to change."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SCHEDULE]})

    name: _Name = Field(default_factory=fields.absent)
    report: _Report = Field(default_factory=fields.absent)
    filters: ReportFilters = Field(default_factory=fields.absent, description="all of them")
    cadence: _Cadence = Field(default_factory=fields.absent)
    weekday: _Weekday = Field(default_factory=fields.absent)
    month_day: _MonthDay = Field(default_factory=fields.absent)
    local_time: _LocalTime = Field(default_factory=fields.absent)
    time_zone: fields.TimeZone = Field(default_factory=fields.absent)
    recipient_ids: _Recipients = Field(default_factory=fields.absent)
    enabled: bool = Field(default_factory=fields.absent, examples=[True])


class ReportScheduleQuery(SortedQuery):
    """The filters of schedules."""

    report: ReportName | None = None
    enabled: bool | None = None


def _columns(given: Mapping[str, Any]) -> dict[str, Any]:
    columns = dict(given)
    if isinstance(filters := columns.get("filters"), ReportFilters):
        columns["filters"] = filters.texts()
    if "recipient_ids" in columns:
        columns["recipient_ids"] = list(dict.fromkeys(columns["recipient_ids"]))
    return columns


def _check(row: ReportSchedule) -> None:
    """Raise Problem (422) where the filters are not those of the report."""
    model = QUERIES[row.report]  # pyright: ignore[reportArgumentType]
    for name in row.filters:
        if name not in model.model_fields:
            problem = f"the report {row.report} has no {name}: leave it out"
            raise bad_field(f"/filters/{name}", problem)
    try:
        query = model.model_validate(row.filters)
    except ValidationError as error:
        fault = error.errors()[0]
        raise bad_field(f"/filters/{fault['loc'][0]}", fault["msg"]) from None
    if query.unfit is not None:
        problem = "a report of employees has none: leave it out"
        raise bad_field(f"/filters/{query.unfit}", problem)
    if len(urlencode(row.filters)) > _MOST_FILTER_CHARACTERS:
        problem = "are too long for a link, which has room for about 23 ids: use tags or clients"
        raise bad_field("/filters", problem)


_schedules = Resource(report_schedules, item_of(ReportScheduleItem), columns=_columns, check=_check)
router = plain_routes(_schedules, ReportScheduleItem, ReportScheduleQuery)
_SchedulePath = Annotated[fields.ReportScheduleId, Path(alias="id")]


@router.post(
    "", operation_id="createReportSchedule", status_code=201, response_model=ReportScheduleItem
)
async def create_report_schedule(
    access: Dispatcher, body: Annotated[NewReportSchedule, Body()]
) -> Response:
    """Create a schedule. A dispatcher may name themselves alone."""
    recipient_ids = body.recipient_ids or [access.caller.user_id]
    _check_recipients(access, (), recipient_ids)
    async with access.transaction() as conn:
        await check_references(conn, body)
        at = await check_room(conn, report_schedules.name)
        columns = _columns({**dict(body), "recipient_ids": recipient_ids, "left_out": []})
        if body.time_zone is None:
            columns["time_zone"] = (await organizations.find(conn)).timezone
        row = _schedules.new(columns, at)
        _check(row)
        row = row._replace(next_run_at=_next_run(row, at))
        await stored.insert(conn, row)
    return created(_schedules.item(row), router.prefix)


@router.patch("/{id}", operation_id="updateReportSchedule", response_model=ReportScheduleItem)
async def update_report_schedule(
    access: Dispatcher, schedule_id: _SchedulePath, body: Annotated[ReportScheduleChange, Body()]
) -> Response:
    """Change the fields that are given. A report that was mailed is not mailed again."""
    async with _schedules.locked(access, schedule_id) as (conn, row):
        await check_references(conn, body)
        changed = row._replace(**_columns(body.given()))
        _check_recipients(access, row.recipient_ids, changed.recipient_ids)
        _check(changed)
        if changed != row:
            at = await db_now(conn)
            changed = await _schedules.write(conn, changed, at)
            if any(getattr(changed, name) != getattr(row, name) for name in _TIMING):
                changed = changed._replace(next_run_at=_next_run(changed, at))
                await report_runs.run_next(conn, schedule_id, changed.next_run_at)
    return ok(_schedules.item(changed))


@router.delete("/{id}", operation_id="deleteReportSchedule", status_code=204)
async def delete_report_schedule(access: Dispatcher, schedule_id: _SchedulePath) -> Response:
    """Delete a schedule for good; to keep it, switch it off."""
    async with _schedules.locked(access, schedule_id) as (conn, _):
        await stored.delete(conn, schedule_id)
    return no_content()


@router.post(
    "/{id}/send",
    operation_id="sendReportSchedule",
    status_code=202,
    response_model=ReportScheduleItem,
)
async def send_report_schedule(access: Dispatcher, schedule_id: _SchedulePath) -> Response:
    """Mail the caller, and nobody else, the report of the newest period that is over."""
    async with _schedules.locked(access, schedule_id) as (conn, row):
        period = last_due(timing_of(row), _seconds(await db_now(conn))).period
        emails = await _emails(conn, schedule_id, access.caller.user_id)
        await count_letter(conn)
        await mail_outbox.add_reports(conn, schedule_id, period.first_day, period.last_day, emails)
    return accepted(_schedules.item(row))


async def _emails(conn: Connection, schedule_id: UUID, user_id: UUID) -> list[str]:
    found = await report_runs.recipients(conn, schedule_id, [user_id])
    if not found:
        raise conflict("no_letters", "A user of programs gets no letters: sign in as somebody.")
    return [recipient.email for recipient in found]


def _check_recipients(access: Access, before: Collection[UUID], after: Collection[UUID]) -> None:
    """Raise Problem (403) where a dispatcher adds or removes somebody else."""
    others = ({*before} ^ {*after}) - {access.caller.user_id}
    if access.caller.role != "admin" and others:
        raise forbidden("Only an admin adds and removes recipients other than oneself.")


def _next_run(row: ReportSchedule, now: datetime) -> datetime | None:
    if not row.enabled:
        return None
    return datetime.fromtimestamp(next_due(timing_of(row), _seconds(now)).time_s, UTC)


def _seconds(now: datetime) -> int:
    return int(now.timestamp())
