"""Timesheets: the hours of an employee in a period, counted from punches, and their approval.

A timesheet is made when the first punch of its period comes. Its employee or a dispatcher submits
it, and somebody else approves it, which emits `timesheet.approved`. From then on it keeps its
figures and takes no adjustments, until somebody reopens it.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from api.documents.csv_text import MEDIA_TYPE, csv_bytes, for_reader
from api.http import fields
from api.http.problems import bad_parameter
from api.request.access import Reader
from api.request.document_answers import file_answer, varying
from api.request.own_hours import readable_employee
from api.request.paging import Envelope, ListOf, Page, SortedQuery
from api.request.references import check_filters
from api.request.resource import item_of
from api.request.route import TenantRoute
from api.resources.shifts import Seconds
from api.resources.timesheets.counting import with_hours
from api.resources.timesheets.export import LIST_TYPES, Spreadsheet, wanted_form
from db.hours.timesheets import TimesheetRow, timesheets
from operations.hours.timesheet_states import TIMESHEETS, State, Verb

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)
MAX_WITH_HOURS = 100  # of a page whose hours are counted
_FIGURES = ("worked_s", "adjusted_s", "regular_s", "overtime_s", "double_s")
TimesheetPath = Annotated[fields.TimesheetId, Path(alias="id")]
TimesheetDay = Annotated[fields.Day, Field(examples=["2026-03-02"])]
SignedSeconds = Annotated[int, Field(ge=-(2**31), le=2**31 - 1, examples=[-900])]


class TimesheetItem(BaseModel):
    """A timesheet. In a list it has its hours from the approval on, and before where `include` asks
    for them.
    """

    id: fields.TimesheetId
    employee_id: fields.EmployeeId
    employee_name: fields.Name
    employee_number: Annotated[fields.ExternalId, Field(examples=["E-204"])] | None
    first_day: TimesheetDay
    last_day: TimesheetDay
    timezone: fields.TimeZone = Field(description="where the days begin")
    approval_status: State
    legal_verbs: Annotated[list[Verb], Field(max_length=5)] = Field(
        description="those that lead to another status"
    )
    submitted_by: fields.UserId | None
    submitted_at: datetime | None
    decided_by: fields.UserId | None = Field(description="who approved or rejected it")
    decided_at: datetime | None
    locked_by: fields.UserId | None
    locked_at: datetime | None
    worked_s: Seconds | None = Field(description="by the shifts, rounded by the rules")
    adjusted_s: SignedSeconds | None = Field(description="added by adjustments, or taken off")
    regular_s: Seconds | None = Field(description="of both together: regular hours")
    overtime_s: Seconds | None
    double_s: Seconds | None = Field(description="double time")
    created_at: datetime
    updated_at: datetime


class TimesheetQuery(SortedQuery):
    """Timesheets with a day in [from, to)."""

    employee_id: fields.EmployeeId | None = None
    since: Annotated[fields.Day | None, Field(alias="from")] = None
    until: Annotated[fields.Day | None, Field(alias="to")] = None
    approval_status: State | None = None
    spreadsheet: Spreadsheet = False
    include: Annotated[
        Literal["hours"] | None,
        Field(
            description="hours: also of timesheets that are not approved, counted from their"
            f" punches now. `limit` is at most {MAX_WITH_HOURS} then"
        ),
    ] = None

    @model_validator(mode="after")
    def _counts_a_few(self) -> Self:
        """Raise Problem (400) for a page of more timesheets than are counted for one."""
        if self.include is not None and self.limit > MAX_WITH_HOURS:
            raise bad_parameter("limit", f"must be at most {MAX_WITH_HOURS} with include=hours")
        return self


def _figure(name: str) -> Callable[[TimesheetRow], int | None]:
    def figure(row: TimesheetRow) -> int | None:
        return None if row.figures is None else row.figures[name]

    return figure


def _timezone(row: TimesheetRow) -> str:
    return row.timezone if row.rules is None else row.rules["timezone"]


timesheet_item = item_of(
    TimesheetItem,
    first_day=lambda row: row.first_day.isoformat(),
    last_day=lambda row: row.last_day.isoformat(),
    timezone=_timezone,
    approval_status=lambda row: row.state,
    legal_verbs=lambda row: TIMESHEETS.legal_verbs(row.state),
    **{name: _figure(name) for name in _FIGURES},
)
"""Return a TimesheetItem."""


@router.get(
    "",
    operation_id="listTimesheets",
    response_model=ListOf[TimesheetItem],
    responses=LIST_TYPES,
)
async def list_timesheets(
    request: Request, access: Reader, query: Annotated[TimesheetQuery, Query()]
) -> Response:
    """List timesheets, newest first; as CSV for those who accept it."""
    page = Page(access, query, "timesheets", query.order.key_type)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        employee_id = await readable_employee(conn, access, query.employee_id)
        wanted = query.wanted() | ({} if employee_id is None else {"employee_id": employee_id})
        rows, total = await page.read(conn, timesheets, wanted, query.order)
        if query.include is not None:
            rows[:] = await with_hours(conn, access.caller.org_id, rows)
    envelope = page.envelope(rows, total, key=query.order.key, item=timesheet_item)
    return await _answer(request, envelope, spreadsheet=query.spreadsheet)


async def _answer(request: Request, envelope: Envelope, *, spreadsheet: bool) -> Response:
    """Answer with a page: 200 with the envelope, or with a CSV of its rows.

    The next page of a CSV is in a Link header.
    """
    chosen = request.query_params.get("fields")
    if wanted_form(request) != "csv":
        return varying(await envelope.answer(chosen))
    names = chosen.split(",") if chosen else list(TimesheetItem.model_fields)
    cells = [[_cell(row[name]) for name in names] for row in envelope.rows]
    content = for_reader(csv_bytes(names, cells), spreadsheet=spreadsheet)
    response = file_answer(content, MEDIA_TYPE)
    cursor = envelope.others["next_cursor"]
    if cursor is not None:
        following = request.url.remove_query_params("offset").include_query_params(cursor=cursor)
        response.headers["Link"] = f'<{following.path}?{following.query}>; rel="next"'
    return response


def _cell(value: Any) -> str | int | None:
    return " ".join(value) if isinstance(value, list | tuple) else value
