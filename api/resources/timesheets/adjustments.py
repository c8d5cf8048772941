"""Seconds are added to the days of timesheets, or taken off."""

from typing import Annotated

from fastapi import APIRouter, Body
from pydantic import Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created
from api.http.problems import bad_field, conflict
from api.request.access import Dispatcher
from api.request.route import TenantRoute
from api.resources.timesheets.counting import MAX_ADJUSTMENTS, CountedTimesheet, counted
from api.resources.timesheets.detail import (
    AdjustmentReason,
    TimesheetDetail,
    found_timesheet,
    timesheet_detail,
)
from api.resources.timesheets.listing import TimesheetDay, TimesheetPath
from db.core.ids import new_id
from db.hours.timesheets import AdjustmentRow, TimesheetRow, insert_adjustment
from operations.hours.timesheet_states import check_adjustable
from operations.hours.timesheets import MAX_ADJUSTMENT_S

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)


class NewAdjustment(fields.Body):
    """Seconds to add to a day, or to take off where they are negative."""

    day: TimesheetDay
    seconds: Annotated[
        int, Field(ge=-MAX_ADJUSTMENT_S, le=MAX_ADJUSTMENT_S, examples=[900]), fields.WHOLE
    ] = Field(description="not 0")
    reason: AdjustmentReason


@router.post(
    "/{id}/adjustments",
    operation_id="createTimesheetAdjustment",
    status_code=201,
    response_model=TimesheetDetail,
)
async def create_adjustment(
    access: Dispatcher, timesheet_id: TimesheetPath, body: Annotated[NewAdjustment, Body()]
) -> Response:
    """Add seconds to a day, or take some off, and return the timesheet. Adjustments stay: another
    one takes one back.
    """
    org_id = access.caller.org_id
    async with access.transaction() as conn:
        row = await found_timesheet(conn, timesheet_id, lock=True)
        count = await counted(conn, org_id, row)
        access.check_unchanged(await timesheet_detail(conn, row, count))
        check_adjustable(row.state)
        _check_adjustment(row, count, body)
        adjustment = AdjustmentRow(
            id=new_id(),
            day=body.day,
            seconds=body.seconds,
            reason=body.reason,
            created_by=access.caller.user_id,
            created_at=count.now,
            is_own=access.is_of_caller_or_maker(row.user_id),
            actor="",
        )
        await insert_adjustment(conn, row.id, adjustment)
        detail = await timesheet_detail(conn, row, await counted(conn, org_id, row))
    return created(detail, router.prefix)


def _check_adjustment(row: TimesheetRow, count: CountedTimesheet, body: NewAdjustment) -> None:
    """Raise Problem (409, 422) for an adjustment that cannot be."""
    if len(count.adjustments) >= MAX_ADJUSTMENTS:
        detail = f"A timesheet has at most {MAX_ADJUSTMENTS} adjustments."
        raise conflict("too_many_adjustments", detail)
    if not row.first_day <= body.day <= row.last_day:
        raise bad_field("/day", f"must be from {row.first_day} to {row.last_day}")
    if body.seconds == 0:
        raise bad_field("/seconds", "must not be 0")
    worked_s = next(day.worked_s for day in count.sheet.days if day.day == body.day)
    before_s = sum(each.seconds for each in count.adjustments if each.day == body.day)
    if before_s + body.seconds > MAX_ADJUSTMENT_S:
        most_s = MAX_ADJUSTMENT_S - before_s
        raise bad_field("/seconds", f"adds up to more than a day: at most {most_s} may be added")
    if worked_s + before_s + body.seconds < 0:
        left_s = max(worked_s + before_s, 0)
        raise bad_field("/seconds", f"takes more than the day has: at most {left_s} may come off")
