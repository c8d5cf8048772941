"""Leaving: the last day of an employee, and what ends with it.

`left_on` is a day in the employee's time zone. At its end, or at once where `active: false` says
so, they are given no more work orders, their trackers are nobody's, and the user who signs in as
them ends with all keys and sessions. Punches that are credited to a later time are stored, and
flagged: no hours follow from them. An admin alone ends the rights of an admin or a dispatcher, and
nobody their own.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from api.http.problems import bad_field, conflict, forbidden
from api.request.access import Access
from api.resources.users import end_credentials
from db.core.connect import Connection
from db.core.table import db_now
from db.core.wakeups import Channel
from db.hours.shifts import derive_since
from db.identity import users
from db.resources import organizations, trackers
from db.resources.employees import Employee
from operations.hours.local_days import day_end_s, local_day, zone_of

FIELDS = frozenset({"active", "left_on", "user_id"})
"""The fields of a body on which it depends how long somebody is employed, or whose rights that
ends.
"""


async def days_of(conn: Connection, timezone: str | None) -> "EmployeeDays":
    """Return the days of an employee. timezone: their own; None: the organization's."""
    if timezone is None:
        timezone = (await organizations.find(conn)).timezone
    return EmployeeDays(timezone, await db_now(conn))


class EmployeeDays:
    """The days in the time zone of an employee."""

    def __init__(self, timezone: str, now: datetime) -> None:
        self._zone = zone_of(timezone)
        self.today = local_day(int(now.timestamp()), self._zone)

    def end(self, day: date) -> datetime:
        """Return the first instant behind a day."""
        return datetime.fromtimestamp(day_end_s(day, self._zone), UTC)


def changes(given: Mapping[str, Any], before: Employee | None, today: date) -> dict[str, Any]:
    """Return `active` and `left_on` as they follow from the fields of a body. before: None for
    somebody new. Raises Problem (422) where the fields contradict each other.
    """
    if "left_on" in given:
        left_on: date | None = given["left_on"]
        stays = left_on is None or left_on >= today
        active = given.get("active", stays)
        if active and not stays:
            raise bad_field("/active", f"must be false: they left on {left_on}")
        if not active and (left_on is None or left_on > today):
            raise bad_field("/left_on", "must be a day that has come where active is false")
        return {"left_on": left_on, "active": active}
    if "active" not in given or (before and given["active"] == before.is_employed):
        return {}
    if given["active"]:
        return {"left_on": None, "active": True}
    is_over = before and before.left_on and before.left_on < today
    return {"left_on": before.left_on if before and is_over else today, "active": False}


async def follow(
    conn: Connection,
    access: Access,
    before: Employee,
    changed: Employee,
    *,
    days: EmployeeDays,
    revision: int,
    at: datetime,
) -> None:
    """End what ends with an employment that was written as changed, or let it go on. revision, at:
    of the change. Raises Problem (403, 409).
    """
    await _follow_user(conn, access, before, changed, days, at)
    if before.is_employed and not changed.is_employed:
        await trackers.end_assignments_of_employee(
            conn, employee_id=changed.id, assigned_to=at, revision=revision
        )
    if before.left_on != changed.left_on:
        ends = [days.end(day) for day in (before.left_on, changed.left_on) if day is not None]
        await derive_since(conn, (access.caller.org_id, changed.id), min(ends))


async def _follow_user(
    conn: Connection,
    access: Access,
    before: Employee,
    changed: Employee,
    days: EmployeeDays,
    at: datetime,
) -> None:
    """Let the rights of the linked user end with the employment, or not any more."""
    was_until, until = _until(before, days, at), _until(changed, days, at)
    if (before.user_id, was_until) == (changed.user_id, until):
        return
    if before.user_id not in (None, changed.user_id) and was_until is not None:
        await users.set_deactivated_at(conn, before.user_id, None)
    if changed.user_id is None or was_until is until is None:
        return
    if access.is_of_caller_or_maker(changed.user_id):
        raise forbidden("Nobody says when they leave themselves: ask another admin.")
    user = await users.table.get(conn, changed.user_id)
    if user.role in ("dispatcher", "admin") and access.caller.role != "admin":
        raise forbidden(f"The employee signs in as {user.role}: an admin says when they leave.")
    if until is not None and await users.hold_admins(conn) == {user.id}:
        detail = "They sign in as the last active admin: make another user an admin first."
        raise conflict("last_admin", detail)
    if await users.set_deactivated_at(conn, user.id, until):
        conn.note(Channel.RIGHTS, access.caller.org_id)
        if until is not None and until <= at:
            await end_credentials(conn, user.id)


def _until(employee: Employee, days: EmployeeDays, at: datetime) -> datetime | None:
    """Return when somebody's employment ends, `at` where it has; None: they stay."""
    if not employee.active:
        return at
    return None if employee.left_on is None else max(days.end(employee.left_on), at)
