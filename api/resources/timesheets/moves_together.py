"""Many timesheets are submitted or approved by one request."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body
from pydantic import BaseModel, Field
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok
from api.http.errors import REFUSALS, problem_of
from api.http.problems import Problem
from api.request.access import Access, Dispatcher, Technician
from api.request.route import TenantRoute
from api.resources.timesheets.counting import MAX_PUNCHES, counted
from api.resources.timesheets.detail import found_timesheet
from api.resources.timesheets.moves import check_may, move
from operations.hours.timesheet_states import TIMESHEETS, State, Verb

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)
MAX_TOGETHER = 100  # timesheets that are submitted or approved by one request


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


@router.post("/submit", operation_id="submitTimesheets", response_model=TimesheetResults)
async def submit_timesheets(access: Technician, body: Annotated[TimesheetIds, Body()]) -> Response:
    """Submit timesheets for approval, each by itself: what is wrong with one does not hold up the
    others.
    """
    return await _all_moved(access, body, "submit")


@router.post("/approve", operation_id="approveTimesheets", response_model=TimesheetResults)
async def approve_timesheets(access: Dispatcher, body: Annotated[TimesheetIds, Body()]) -> Response:
    """Approve timesheets, each by itself: what is wrong with one does not hold up the others."""
    return await _all_moved(access, body, "approve")


async def _all_moved(access: Access, body: TimesheetIds, verb: Verb) -> Response:
    """Say a verb to timesheets, each in a transaction of its own, or with an Idempotency-Key in a
    part of one, and answer with the results. They are locked in the order of their ids, so two such
    requests wait for each other only once.
    """
    results: dict[UUID, dict[str, Any]] = {}
    for timesheet_id in sorted(set(body.timesheet_ids)):
        state = problem = None
        try:
            state = await _moved(access, timesheet_id, verb)
        except REFUSALS as error:
            problem = problem_of(error)
            if problem is None or problem.status >= 500:
                raise
        results[timesheet_id] = {
            "timesheet_id": id_text("tms", timesheet_id),
            "approval_status": state,
            "error": None if problem is None else _fault(problem),
        }
    return ok({"data": [results[each] for each in body.timesheet_ids]})


def _fault(problem: Problem) -> dict[str, Any]:
    return {
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "punch_ids": problem.more.get("punch_ids"),
    }


async def _moved(access: Access, timesheet_id: UUID, verb: Verb) -> State:
    """Bring a timesheet to the state that a verb leads to, and return the state. Raises Problem
    (403, 404, 409), IllegalMoveError.
    """
    async with access.transaction() as conn:
        row = await found_timesheet(conn, timesheet_id, lock=True)
        check_may(access, row, verb)
        count = await counted(conn, access.caller.org_id, row)
        await move(conn, access, row, verb, count)
    return TIMESHEETS.move(row.state, verb)
