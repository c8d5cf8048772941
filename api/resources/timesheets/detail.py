"""One timesheet: its days, shifts, punches and adjustments, as JSON, PDF or CSV."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import AfterValidator, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from api.documents.letterhead import NO_LETTERHEAD
from api.http import fields
from api.http.encoding import ok
from api.http.problems import not_found
from api.request.access import Reader
from api.request.document_answers import varying
from api.request.own_hours import readable_employee
from api.request.resource import item_of
from api.request.route import TenantRoute
from api.resources.organization_logo import letterhead_of
from api.resources.punches import PunchItem, punch_item
from api.resources.shifts import FlagItem, Seconds, ShiftItem
from api.resources.timesheets.counting import (
    MAX_ADJUSTMENTS,
    MAX_PUNCHES,
    CountedTimesheet,
    counted,
    kept_figures,
    would_change,
)
from api.resources.timesheets.documents import document_of, names_in
from api.resources.timesheets.export import FILE_TYPES, ExportQuery, exported, wanted_form
from api.resources.timesheets.listing import (
    SignedSeconds,
    TimesheetDay,
    TimesheetItem,
    TimesheetPath,
    timesheet_item,
)
from db.core.connect import Connection
from db.hours.timesheets import TimesheetRow, timesheets
from db.punches import punch_list
from db.resources import organizations
from operations.hours.timesheets import MAX_REASON_LENGTH

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)
_MAX_DAYS = 31
AdjustmentReason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_LENGTH),
    AfterValidator(fields.storable),
    Field(
        examples=["Loading before the shift."],
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
]


class DayItem(BaseModel):
    """A local day of a timesheet."""

    day: TimesheetDay
    worked_s: Seconds
    adjusted_s: SignedSeconds
    regular_s: Seconds
    overtime_s: Seconds
    double_s: Seconds


class ShiftDayItem(BaseModel):
    """The part of a shift that counts to a day."""

    day: TimesheetDay
    worked_s: Seconds = Field(description="rounded by the rules")
    break_s: Seconds | None = Field(
        description="punched and automatic, as it was; null: approved by version 0.4.0 or earlier,"
        " and the shift is another now"
    )
    rounding_s: SignedSeconds | None = Field(
        description="the part of worked_s that comes from rounding punches; null: as break_s"
    )


class TimesheetShiftItem(ShiftItem):
    """A shift of a timesheet, with the days that it counts to."""

    days: Annotated[list[ShiftDayItem], Field(max_length=_MAX_DAYS)]


class AdjustmentItem(BaseModel):
    """Seconds that somebody added to a day, or took off where they are negative."""

    id: fields.AdjustmentId
    day: TimesheetDay
    seconds: SignedSeconds
    reason: AdjustmentReason
    created_by: fields.UserId
    created_at: datetime
    own: bool = Field(description="whoever made it was the employee whose hours these are")


class TimesheetDetail(TimesheetItem):
    """A timesheet with everything on it. Once approved, it shows the figures of the approval."""

    changed_since_approval: bool | None = Field(
        description="punches or reviews that came later would change its hours; null: it is not"
        " approved"
    )
    days: Annotated[list[DayItem], Field(max_length=_MAX_DAYS)]
    shifts: Annotated[list[TimesheetShiftItem], Field(max_length=MAX_PUNCHES)]
    flags: Annotated[list[FlagItem], Field(max_length=4 * MAX_PUNCHES)] = Field(
        description="what somebody should look at"
    )
    loose_flags: Annotated[list[FlagItem], Field(max_length=MAX_PUNCHES)] = Field(
        description="of punches outside of shifts"
    )
    punches: Annotated[list[PunchItem], Field(max_length=MAX_PUNCHES)]
    adjustments: Annotated[list[AdjustmentItem], Field(max_length=MAX_ADJUSTMENTS)]


adjustment_item = item_of(
    AdjustmentItem, day=lambda row: row.day.isoformat(), own=lambda row: row.is_own
)
"""Return an AdjustmentItem."""


@router.get(
    "/{id}",
    operation_id="getTimesheet",
    response_model=TimesheetDetail,
    responses=FILE_TYPES,
)
async def get_timesheet(
    request: Request,
    access: Reader,
    timesheet_id: TimesheetPath,
    query: Annotated[ExportQuery, Query()],
) -> Response:
    """Return one timesheet with its days, shifts, punches and adjustments; as PDF or CSV for those
    who accept it.
    """
    form = wanted_form(request)
    async with access.transaction() as conn:
        row = await found_timesheet(conn, timesheet_id)
        await readable_employee(conn, access, row.employee_id)
        count = await counted(conn, access.caller.org_id, row)
        detail = await timesheet_detail(conn, row, count)
        names, letterhead = None, NO_LETTERHEAD
        if form != "json":
            names = await names_in(conn, detail)
            letterhead = await letterhead_of(conn, await organizations.find(conn))
    if form == "json" or names is None:
        return varying(ok(detail))
    document = document_of(row, detail, names, count.now)
    return await exported(access, document, form, query, letterhead)


async def found_timesheet(
    conn: Connection, timesheet_id: UUID, *, lock: bool = False
) -> TimesheetRow:
    row = await timesheets.find(conn, timesheet_id, lock=lock)
    if row is None:
        raise not_found("timesheet")
    return row


async def timesheet_detail(
    conn: Connection, row: TimesheetRow, count: CountedTimesheet
) -> dict[str, Any]:
    """Return a TimesheetDetail. Once approved, it has the figures of the approval."""
    punches = await punch_list.of_ids(conn, count.punch_ids)
    return {
        **timesheet_item(row),
        **(kept_figures(row, count.figures) or count.figures),
        "changed_since_approval": would_change(row, count.figures),
        "punches": [punch_item(punch) for punch in punches],
        "adjustments": [adjustment_item(each) for each in count.adjustments],
    }
