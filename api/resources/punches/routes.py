"""Punches: employees begin and end work and breaks, and say where.

A technician punches for themselves: for the employee whose `user_id` is the caller. A dispatcher or
an admin enters a punch for anybody, and says why. Every punch is kept, with the verdict on it
(`use_cases.punches.record`), whatever its position or its clock; the same punch again is the one
that is stored.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.responses import Response

from api.http import fields
from api.http.encoding import created, ok
from api.http.problems import Fault, Problem, bad_field, not_found
from api.request.access import Access, Dispatcher, Reader, Technician
from api.request.own_hours import readable_employee
from api.request.paging import ListOf, Page
from api.request.references import check_filters
from api.request.route import TenantRoute
from api.resources.punches.bodies import (
    PunchClaim,
    PunchDetail,
    PunchItem,
    PunchQuery,
    PunchReview,
    punch_detail,
    punch_item,
)
from db.core.connect import Connection
from db.core.listing import RowKey
from db.core.table import db_now
from db.punches import punch_list
from db.punches.amendments import earlier_verdicts
from db.punches.punch_list import PunchFilter, Review, StoredPunch
from db.punches.rows import Fate, NewPunch
from db.resources.employees import Employee, employees
from operations.errors import check_together
from telemetry.times import ANCIENT_BEFORE_US, to_us
from use_cases.punches.record import MAX_PUNCHES_PER_DAY, record
from use_cases.punches.review import record_review

router = APIRouter(prefix="/v1/punches", tags=["punches"], route_class=TenantRoute)
_PunchPath = Annotated[fields.PunchId, Path(alias="id")]
_DECISIONS: dict[str, Review] = {"accept": "accepted", "reject": "rejected"}
_DAY = timedelta(days=1)


@router.get("", operation_id="listPunches", response_model=ListOf[PunchItem])
async def list_punches(access: Reader, query: Annotated[PunchQuery, Query()]) -> Response:
    """List punches, the last claimed time first."""
    page = Page(access, query, "punches", RowKey)
    async with access.transaction() as conn:
        await check_filters(conn, query)
        wanted = PunchFilter(
            await readable_employee(conn, access, query.employee_id),
            query.since,
            query.until,
            query.verdict,
            query.reviewed,
            query.site_id,
        )
        found, total = await page.read(conn, punch_list.PUNCHES, wanted, query.order)
    return await page.response(
        found, total, key=lambda row: RowKey(row.claimed_at, row.id), item=punch_item
    )


@router.post("", operation_id="createPunch", status_code=201, response_model=PunchDetail)
async def create_punch(access: Technician, body: Annotated[PunchClaim, Body()]) -> Response:
    """Record a punch: one's own, or with a reason one of anybody. The same punch again is stored
    once.
    """
    async with access.transaction() as conn:
        employee = await employees.find(conn, body.employee_id, lock=True)
        if employee is None or employee.deleted_at is not None:
            fault = Fault("There is no such employee.", pointer="/employee_id")
            raise not_found("employee", fault=fault)
        entered_by = _entered_by(access, employee, body)
        _check(body)
        received_at = await db_now(conn)
        is_own = access.is_of_caller_or_maker(employee.user_id)
        punch = _new_punch(access, body, received_at, entered_by)
        punch = punch._replace(is_own_entry=entered_by is not None and is_own)
        (recorded,) = await record(conn, [punch])
        if recorded.fate is Fate.TOO_MANY:
            raise _too_many(received_at)
        detail = await _detail(conn, await _found(conn, recorded.id))
    return created(detail, router.prefix)


@router.get("/{id}", operation_id="getPunch", response_model=PunchDetail)
async def get_punch(access: Reader, punch_id: _PunchPath) -> Response:
    """Return one punch, with the verdicts that it had before."""
    async with access.transaction() as conn:
        punch = await _found(conn, punch_id)
        await readable_employee(conn, access, punch.employee_id)
        return ok(await _detail(conn, punch))


@router.post("/{id}/review", operation_id="reviewPunch", response_model=PunchDetail)
async def review_punch(
    access: Dispatcher, punch_id: _PunchPath, body: Annotated[PunchReview, Body()]
) -> Response:
    """Accept or reject a punch of somebody else. A later review takes the place of an earlier
    one.
    """
    async with access.transaction() as conn:
        punch = await _found(conn, punch_id)
        employee = await employees.get(conn, punch.employee_id, lock=True)
        access.check_not_own(employee.user_id, "reviews punches")
        punch = await _found(conn, punch_id)  # as it is now that nobody else writes it
        access.check_unchanged(await _detail(conn, punch))
        review, at = _DECISIONS[body.decision], await db_now(conn)
        org_id, by = access.caller.org_id, access.caller.user_id
        punch = await record_review(conn, org_id, punch, review, body.note, by, at)
        detail = await _detail(conn, punch)
    return ok(detail)


async def _found(conn: Connection, punch_id: UUID) -> StoredPunch:
    punch = await punch_list.find(conn, punch_id)
    if punch is None:
        raise not_found("punch")
    return punch


async def _detail(conn: Connection, punch: StoredPunch) -> dict[str, Any]:
    return punch_detail(punch, await earlier_verdicts(conn, punch.id))


def _entered_by(access: Access, employee: Employee, body: PunchClaim) -> UUID | None:
    """Return the user who enters a punch by hand; None for one's own punch. Raises Problem (403,
    422).
    """
    access.check_own(employee.user_id, "punches")
    if body.reason is not None:
        if access.caller.role == "technician":
            raise bad_field("/reason", "A punch of your own has no reason: write a note.")
        return access.caller.user_id
    if not access.is_own(employee.user_id):
        raise bad_field("/reason", "A punch that is entered for somebody else needs a reason.")
    return None


def _check(body: PunchClaim) -> None:
    """Raise Problem (422) for what no punch can be."""
    check_together(body, "lat", "lon")
    if to_us(body.time) < ANCIENT_BEFORE_US:
        raise bad_field("/time", "must not be before 2000-01-01T00:00:00Z")


def _new_punch(
    access: Access, body: PunchClaim, received_at: datetime, entered_by: UUID | None
) -> NewPunch:
    return NewPunch(
        org_id=access.caller.org_id,
        employee_id=body.employee_id,
        kind=body.kind,
        claimed_us=to_us(body.time),
        received_us=to_us(received_at),
        fix_time_us=None if body.fix_time is None else to_us(body.fix_time),
        lat=body.lat,
        lon=body.lon,
        accuracy_m=body.accuracy_m,
        mock=body.mock,
        note=body.note,
        entered_by=entered_by,
        entry_reason=body.reason,
    )


def _too_many(at: datetime) -> Problem:
    """Return a 429: the punch is not stored, and may be sent again on the next day (UTC)."""
    tomorrow = (at + _DAY).replace(hour=0, minute=0, second=0, microsecond=0)
    return Problem(
        429,
        "too_many_punches",
        f"The employee has {MAX_PUNCHES_PER_DAY} punches of today (UTC): send it again tomorrow.",
        headers={"Retry-After": str((tomorrow - at) // timedelta(seconds=1) + 1)},
    )
