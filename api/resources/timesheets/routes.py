"""Timesheets: the hours of an employee in a period, counted from punches, and their approval.

A timesheet is made when the first punch of its period comes. Its employee or a dispatcher submits
it, and somebody else approves it, which emits `timesheet.approved`. From then on it keeps its
figures and takes no adjustments, until somebody reopens it.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from api.documents.letterhead import NO_LETTERHEAD
from api.http import fields
from api.http.encoding import created, id_text, ok
from api.http.errors import REFUSALS, problem_of
from api.http.problems import Problem, bad_field, conflict, forbidden, not_found
from api.request.access import Access, Admin, Dispatcher, Reader, Technician
from api.request.document_answers import varying
from api.request.own_hours import readable_employee
from api.request.paging import ListOf, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.organization_logo import letterhead_of
from api.resources.punches import punch_item
from api.resources.timesheets.bodies import (
    NewAdjustment,
    TimesheetChange,
    TimesheetDetail,
    TimesheetIds,
    TimesheetItem,
    TimesheetQuery,
    TimesheetResults,
    adjustment_item,
    timesheet_item,
)
from api.resources.timesheets.counting import (
    MAX_ADJUSTMENTS,
    CountedTimesheet,
    counted,
    kept_figures,
    rules_in_use,
    with_hours,
    would_change,
)
from api.resources.timesheets.documents import document_of, names_in
from api.resources.timesheets.export import (
    FILE_TYPES,
    LIST_TYPES,
    ExportQuery,
    exported,
    listed,
    wanted_form,
)
from db.core.connect import Connection
from db.core.ids import new_id
from db.history import events
from db.history.events import Event
from db.hours.timesheets import AdjustmentRow, TimesheetRow, insert_adjustment, timesheets
from db.punches import punch_list
from db.resources import organizations
from geofence.event_data.timesheets import TIMESHEET_APPROVED, ApprovedTimesheet
from operations.hours.timesheet_states import TIMESHEETS, State, Verb, check_adjustable
from operations.hours.timesheets import MAX_ADJUSTMENT_S, ApprovalBlockedError
from telemetry.ids import format_id

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)
_TimesheetPath = Annotated[fields.TimesheetId, Path(alias="id")]
_NOBODY: dict[str, Any] = {
    "submitted_by": None,
    "submitted_at": None,
    "decided_by": None,
    "decided_at": None,
    "locked_by": None,
    "locked_at": None,
    "figures": None,
    "rules": None,
}


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
    return await listed(request, envelope, spreadsheet=query.spreadsheet)


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


@router.get(
    "/{id}",
    operation_id="getTimesheet",
    response_model=TimesheetDetail,
    responses=FILE_TYPES,
)
async def get_timesheet(
    request: Request,
    access: Reader,
    timesheet_id: _TimesheetPath,
    query: Annotated[ExportQuery, Query()],
) -> Response:
    """Return one timesheet with its days, shifts, punches and adjustments; as PDF or CSV for those
    who accept it.
    """
    form = wanted_form(request)
    async with access.transaction() as conn:
        row = await _found(conn, timesheet_id)
        await readable_employee(conn, access, row.employee_id)
        count = await counted(conn, access.caller.org_id, row)
        detail = await _detail(conn, row, count)
        names, letterhead = None, NO_LETTERHEAD
        if form != "json":
            names = await names_in(conn, detail)
            letterhead = await letterhead_of(conn, await organizations.find(conn))
    if form == "json" or names is None:
        return varying(ok(detail))
    document = document_of(row, detail, names, count.now)
    return await exported(access, document, form, query, letterhead)


@router.patch("/{id}", operation_id="updateTimesheet", response_model=TimesheetDetail)
async def update_timesheet(
    access: Technician, timesheet_id: _TimesheetPath, body: Annotated[TimesheetChange, Body()]
) -> Response:
    """Bring a timesheet to another status, as its verb does."""
    return await _changed(access, timesheet_id, body)


@router.post("/{id}/submit", operation_id="submitTimesheet", response_model=TimesheetDetail)
async def submit_timesheet(access: Technician, timesheet_id: _TimesheetPath) -> Response:
    """Submit a timesheet for approval, once its period has ended."""
    return await _changed(access, timesheet_id, "submit")


@router.post("/{id}/approve", operation_id="approveTimesheet", response_model=TimesheetDetail)
async def approve_timesheet(access: Dispatcher, timesheet_id: _TimesheetPath) -> Response:
    """Approve the hours of somebody else. They are kept from now on."""
    return await _changed(access, timesheet_id, "approve")


@router.post("/{id}/reject", operation_id="rejectTimesheet", response_model=TimesheetDetail)
async def reject_timesheet(access: Dispatcher, timesheet_id: _TimesheetPath) -> Response:
    """Reject a timesheet: it can be corrected and submitted again."""
    return await _changed(access, timesheet_id, "reject")


@router.post("/{id}/lock", operation_id="lockTimesheet", response_model=TimesheetDetail)
async def lock_timesheet(access: Admin, timesheet_id: _TimesheetPath) -> Response:
    """Lock an approved timesheet, as when it is paid: only an admin can reopen it."""
    return await _changed(access, timesheet_id, "lock")


@router.post("/{id}/reopen", operation_id="reopenTimesheet", response_model=TimesheetDetail)
async def reopen_timesheet(access: Technician, timesheet_id: _TimesheetPath) -> Response:
    """Reopen a timesheet: its hours follow its punches again."""
    return await _changed(access, timesheet_id, "reopen")


@router.post(
    "/{id}/adjustments",
    operation_id="createTimesheetAdjustment",
    status_code=201,
    response_model=TimesheetDetail,
)
async def create_adjustment(
    access: Dispatcher, timesheet_id: _TimesheetPath, body: Annotated[NewAdjustment, Body()]
) -> Response:
    """Add seconds to a day, or take some off, and return the timesheet. Adjustments stay: another
    one takes one back.
    """
    org_id = access.caller.org_id
    async with access.transaction() as conn:
        row = await _found(conn, timesheet_id, lock=True)
        count = await counted(conn, org_id, row)
        access.check_unchanged(await _detail(conn, row, count))
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
        detail = await _detail(conn, row, await counted(conn, org_id, row))
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


# Moves --------------------------------------------------------------------------------------------


async def _changed(access: Access, timesheet_id: UUID, wanted: Verb | TimesheetChange) -> Response:
    """Bring a timesheet to another state, and answer with it. Raises Problem (403, 404, 409, 412),
    IllegalMoveError.
    """
    org_id = access.caller.org_id
    async with access.transaction() as conn:
        row = await _found(conn, timesheet_id, lock=True)
        await readable_employee(conn, access, row.employee_id)
        verb = _verb(row, wanted)
        if verb is not None:
            _check_may(access, row, verb)
        count = await counted(conn, org_id, row)
        detail = await _detail(conn, row, count)
        access.check_unchanged(detail)
        if verb is not None:
            await _move(conn, access, row, verb, count)
            row = await _found(conn, timesheet_id)
            detail = await _detail(conn, row, await counted(conn, org_id, row))
    return ok(detail)


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
        row = await _found(conn, timesheet_id, lock=True)
        _check_may(access, row, verb)
        count = await counted(conn, access.caller.org_id, row)
        await _move(conn, access, row, verb, count)
    return TIMESHEETS.move(row.state, verb)


def _verb(row: TimesheetRow, wanted: Verb | TimesheetChange) -> Verb | None:
    """Return the verb that leads to the wanted status; None where the timesheet has it."""
    if not isinstance(wanted, TimesheetChange):
        return wanted
    if wanted.approval_status == row.state:
        return None
    return TIMESHEETS.verb_between(row.state, wanted.approval_status)


def _check_may(access: Access, row: TimesheetRow, verb: Verb) -> None:
    """Raise Problem (403) where the caller may not say the verb."""
    role, is_own = access.caller.role, access.is_own(row.user_id)
    if not TIMESHEETS.may_move(row.state, verb, role, is_own=is_own):
        whose = "their own" if is_own else "this"
        raise forbidden(f"The role {role} may not {verb} {whose} timesheet.")
    if verb == "approve":
        access.check_not_own(row.user_id, "approves hours")


async def _move(
    conn: Connection, access: Access, row: TimesheetRow, verb: Verb, count: CountedTimesheet
) -> None:
    """Write the state that a verb leads to. Raises IllegalMoveError, Problem (409)."""
    then = TIMESHEETS.move(row.state, verb)
    by, at = access.caller.user_id, count.now
    changes: dict[str, Any] = {"state": then, "updated_at": at}
    if verb in ("submit", "approve"):
        _check_ended(row, count, verb)
    match verb:
        case "submit":
            changes |= _NOBODY | {"submitted_by": by, "submitted_at": at}
        case "approve":
            _check_approvable(count)
            changes |= {"decided_by": by, "decided_at": at}
            changes |= {"figures": count.figures, "rules": rules_in_use(row)}
        case "reject":
            changes |= {"decided_by": by, "decided_at": at}
        case "lock":
            changes |= {"locked_by": by, "locked_at": at}
        case "reopen":
            changes |= _NOBODY
    await timesheets.update(conn, row._replace(**changes))
    if verb == "approve":
        await events.insert(conn, [_approved(access, row, count)])


def _check_ended(row: TimesheetRow, count: CountedTimesheet, verb: Verb) -> None:
    if not count.has_ended:
        detail = f"The period lasts until the end of {row.last_day}: {verb} it then."
        raise conflict("period_not_over", detail)


def _check_approvable(count: CountedTimesheet) -> None:
    """Raise Problem (409), which names the punches that stand in the way."""
    try:
        count.sheet.check_approvable()
    except ApprovalBlockedError as error:
        punch_ids = list(dict.fromkeys(format_id("pun", flag.punch) for flag in error.flags))
        flags = ", ".join(sorted({flag.name for flag in error.flags}))
        detail = f"{len(punch_ids)} punches must be settled before the approval: {flags}."
        more = {"punch_ids": punch_ids}
        raise Problem(409, "approval_blocked", detail, more=more) from None


def _approved(access: Access, row: TimesheetRow, count: CountedTimesheet) -> Event:
    data = ApprovedTimesheet(
        timesheet_id=format_id("tms", row.id),
        employee_id=id_text("emp", row.employee_id),
        employee_name=row.employee_name,
        employee_number=row.employee_number,
        first_day=row.first_day.isoformat(),
        last_day=row.last_day.isoformat(),
        timezone=row.timezone,
        approved_by=id_text("usr", access.caller.user_id),
        worked_s=count.sheet.worked_s,
        adjusted_s=count.sheet.adjusted_s,
        **count.sheet.hours._asdict(),
    )
    text = msgspec.json.encode(data).decode()
    return Event(access.caller.org_id, new_id(), TIMESHEET_APPROVED, count.now, text)


# Rows ---------------------------------------------------------------------------------------------


async def _found(conn: Connection, timesheet_id: UUID, *, lock: bool = False) -> TimesheetRow:
    row = await timesheets.find(conn, timesheet_id, lock=lock)
    if row is None:
        raise not_found("timesheet")
    return row


async def _detail(conn: Connection, row: TimesheetRow, count: CountedTimesheet) -> dict[str, Any]:
    """Return a TimesheetDetail. Once approved, it has the figures of the approval."""
    punches = await punch_list.of_ids(conn, count.punch_ids)
    return {
        **timesheet_item(row),
        **(kept_figures(row, count.figures) or count.figures),
        "changed_since_approval": would_change(row, count.figures),
        "punches": [punch_item(punch) for punch in punches],
        "adjustments": [adjustment_item(each) for each in count.adjustments],
    }
