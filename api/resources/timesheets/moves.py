"""Timesheets are submitted, approved, rejected, locked and reopened."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from fastapi import APIRouter, Body
from starlette.responses import Response

from api.http import fields
from api.http.encoding import id_text, ok
from api.http.problems import Problem, conflict, forbidden
from api.request.access import Access, Admin, Dispatcher, Technician
from api.request.own_hours import readable_employee
from api.request.route import TenantRoute
from api.resources.timesheets.counting import CountedTimesheet, counted, rules_in_use
from api.resources.timesheets.detail import TimesheetDetail, found_timesheet, timesheet_detail
from api.resources.timesheets.listing import TimesheetPath
from db.core.connect import Connection
from db.core.ids import new_id
from db.history import events
from db.history.events import Event
from db.hours.timesheets import TimesheetRow, timesheets
from geofence.event_data.timesheets import TIMESHEET_APPROVED, ApprovedTimesheet
from operations.hours.timesheet_states import TIMESHEETS, State, Verb
from operations.hours.timesheets import ApprovalBlockedError
from telemetry.ids import format_id

router = APIRouter(prefix="/v1/timesheets", tags=["timesheets"], route_class=TenantRoute)
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


class TimesheetChange(fields.Body):
    """The status to bring a timesheet to."""

    approval_status: State


@router.patch("/{id}", operation_id="updateTimesheet", response_model=TimesheetDetail)
async def update_timesheet(
    access: Technician, timesheet_id: TimesheetPath, body: Annotated[TimesheetChange, Body()]
) -> Response:
    """Bring a timesheet to another status, as its verb does."""
    return await _changed(access, timesheet_id, body)


@router.post("/{id}/submit", operation_id="submitTimesheet", response_model=TimesheetDetail)
async def submit_timesheet(access: Technician, timesheet_id: TimesheetPath) -> Response:
    """Submit a timesheet for approval, once its period has ended."""
    return await _changed(access, timesheet_id, "submit")


@router.post("/{id}/approve", operation_id="approveTimesheet", response_model=TimesheetDetail)
async def approve_timesheet(access: Dispatcher, timesheet_id: TimesheetPath) -> Response:
    """Approve the hours of somebody else. They are kept from now on."""
    return await _changed(access, timesheet_id, "approve")


@router.post("/{id}/reject", operation_id="rejectTimesheet", response_model=TimesheetDetail)
async def reject_timesheet(access: Dispatcher, timesheet_id: TimesheetPath) -> Response:
    """Reject a timesheet: it can be corrected and submitted again."""
    return await _changed(access, timesheet_id, "reject")


@router.post("/{id}/lock", operation_id="lockTimesheet", response_model=TimesheetDetail)
async def lock_timesheet(access: Admin, timesheet_id: TimesheetPath) -> Response:
    """Lock an approved timesheet, as when it is paid: only an admin can reopen it."""
    return await _changed(access, timesheet_id, "lock")


@router.post("/{id}/reopen", operation_id="reopenTimesheet", response_model=TimesheetDetail)
async def reopen_timesheet(access: Technician, timesheet_id: TimesheetPath) -> Response:
    """Reopen a timesheet: its hours follow its punches again."""
    return await _changed(access, timesheet_id, "reopen")


async def _changed(access: Access, timesheet_id: UUID, wanted: Verb | TimesheetChange) -> Response:
    """Bring a timesheet to another state, and answer with it. Raises Problem (403, 404, 409, 412),
    IllegalMoveError.
    """
    org_id = access.caller.org_id
    async with access.transaction() as conn:
        row = await found_timesheet(conn, timesheet_id, lock=True)
        await readable_employee(conn, access, row.employee_id)
        verb = _verb(row, wanted)
        if verb is not None:
            check_may(access, row, verb)
        count = await counted(conn, org_id, row)
        detail = await timesheet_detail(conn, row, count)
        access.check_unchanged(detail)
        if verb is not None:
            await move(conn, access, row, verb, count)
            row = await found_timesheet(conn, timesheet_id)
            detail = await timesheet_detail(conn, row, await counted(conn, org_id, row))
    return ok(detail)


def _verb(row: TimesheetRow, wanted: Verb | TimesheetChange) -> Verb | None:
    """Return the verb that leads to the wanted status; None where the timesheet has it."""
    if not isinstance(wanted, TimesheetChange):
        return wanted
    if wanted.approval_status == row.state:
        return None
    return TIMESHEETS.verb_between(row.state, wanted.approval_status)


def check_may(access: Access, row: TimesheetRow, verb: Verb) -> None:
    """Raise Problem (403) where the caller may not say the verb."""
    role, is_own = access.caller.role, access.is_own(row.user_id)
    if not TIMESHEETS.may_move(row.state, verb, role, is_own=is_own):
        whose = "their own" if is_own else "this"
        raise forbidden(f"The role {role} may not {verb} {whose} timesheet.")
    if verb == "approve":
        access.check_not_own(row.user_id, "approves hours")


async def move(
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
