"""Bodies of timesheets, what comes in and what is shown."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, model_validator

from api.http import fields
from api.http.problems import bad_parameter
from api.request.paging import SortedQuery
from api.request.resource import item_of
from api.resources.punches import PunchItem
from api.resources.shifts import FlagItem, Seconds, ShiftItem
from api.resources.timesheets.counting import MAX_ADJUSTMENTS, MAX_PUNCHES
from db.hours.timesheets import TimesheetRow
from operations.hours.timesheet_states import TIMESHEETS, State, Verb
from operations.hours.timesheets import MAX_ADJUSTMENT_S, MAX_REASON_LENGTH

MAX_TOGETHER = 100  # timesheets that are submitted or approved by one request
MAX_WITH_HOURS = 100  # of a page whose hours are counted
_MAX_DAYS = 31
_FIGURES = ("worked_s", "adjusted_s", "regular_s", "overtime_s", "double_s")
_Signed = Annotated[int, Field(ge=-(2**31), le=2**31 - 1, examples=[-900])]
_Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_REASON_LENGTH),
    AfterValidator(fields.storable),
    Field(
        examples=["Loading before the shift."],
        json_schema_extra={"pattern": r"^[^\u0000]*[^\s\u0000][^\u0000]*$"},
    ),
]
_Day = Annotated[fields.Day, Field(examples=["2026-03-02"])]
Spreadsheet = Annotated[
    bool, Field(description="a CSV begins with a byte order mark, by which spreadsheets know UTF-8")
]


class TimesheetItem(BaseModel):
    """A timesheet. In a list it has its hours from the approval on, and before where `include` asks
    for them.
    """

    id: fields.TimesheetId
    employee_id: fields.EmployeeId
    employee_name: fields.Name
    employee_number: Annotated[fields.ExternalId, Field(examples=["E-204"])] | None
    first_day: _Day
    last_day: _Day
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
    adjusted_s: _Signed | None = Field(description="added by adjustments, or taken off")
    regular_s: Seconds | None = Field(description="of both together: regular hours")
    overtime_s: Seconds | None
    double_s: Seconds | None = Field(description="double time")
    created_at: datetime
    updated_at: datetime


class DayItem(BaseModel):
    """A local day of a timesheet."""

    day: _Day
    worked_s: Seconds
    adjusted_s: _Signed
    regular_s: Seconds
    overtime_s: Seconds
    double_s: Seconds


class ShiftDayItem(BaseModel):
    """The part of a shift that counts to a day."""

    day: _Day
    worked_s: Seconds = Field(description="rounded by the rules")
    break_s: Seconds | None = Field(
        description="punched and automatic, as it was; null: approved by version 0.4.0 or earlier,"
        " and the shift is another now"
    )
    rounding_s: _Signed | None = Field(
        description="the part of worked_s that comes from rounding punches; null: as break_s"
    )


class TimesheetShiftItem(ShiftItem):
    """A shift of a timesheet, with the days that it counts to."""

    days: Annotated[list[ShiftDayItem], Field(max_length=_MAX_DAYS)]


class AdjustmentItem(BaseModel):
    """Seconds that somebody added to a day, or took off where they are negative."""

    id: fields.AdjustmentId
    day: _Day
    seconds: _Signed
    reason: _Reason
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


class TimesheetChange(fields.Body):
    """The status to bring a timesheet to."""

    approval_status: State


class TimesheetIds(fields.Body):
    """The timesheets to say a verb to."""

    timesheet_ids: Annotated[list[fields.TimesheetId], Field(min_length=1, max_length=MAX_TOGETHER)]


class TimesheetFault(BaseModel):
    """The reason why a verb was not said to a timesheet, as the verb alone would answer."""

    status: Annotated[int, Field(ge=400, le=499, examples=[409])]
    code: Annotated[str, fields.text(100, "period_not_over")]
    detail: Annotated[str, fields.text(2_000, "The period lasts until the end of 2026-03-08.")]
    punch_ids: Annotated[list[fields.PunchId], Field(max_length=MAX_PUNCHES)] | None = Field(
        description="the punches that stand in the way of an approval"
    )


class TimesheetResult(BaseModel):
    """The result of a verb for one timesheet."""

    timesheet_id: fields.TimesheetId
    approval_status: State | None = Field(description="that it has now; null: as before")
    error: TimesheetFault | None = Field(description="null: it was done")


class TimesheetResults(BaseModel):
    """The results of a verb, in the order of the request."""

    data: Annotated[list[TimesheetResult], Field(min_length=1, max_length=MAX_TOGETHER)]


class NewAdjustment(fields.Body):
    """Seconds to add to a day, or to take off where they are negative."""

    day: _Day
    seconds: Annotated[
        int, Field(ge=-MAX_ADJUSTMENT_S, le=MAX_ADJUSTMENT_S, examples=[900]), fields.WHOLE
    ] = Field(description="not 0")
    reason: _Reason


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

adjustment_item = item_of(
    AdjustmentItem, day=lambda row: row.day.isoformat(), own=lambda row: row.is_own
)
"""Return an AdjustmentItem."""
