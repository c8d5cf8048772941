"""Leaving: the last day of an employee, and what ends with it.

`left_on` is a day in the employee's time zone. At its end, or at once where `active: false` says
so, they are given no more work orders, and the user who signs in as them ends with all keys and
sessions. Punches that are credited to a later time are stored, and flagged: no hours follow from
them. A change that finds somebody gone frees their trackers. An admin alone ends the rights of an
admin or a dispatcher, and nobody their own.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from api.http.problems import bad_field, conflict, forbidden
from api.request.access import Access
from api.resources.users import end_credentials
from db.core.connect import Connection
from db.core.registry_revision import bump
from db.core.table import db_now
from db.core.wakeups import Channel
from db.identity import users
from db.resources import organizations, trackers
from db.resources.employees import Employee
from operations.hours.local_days import day_end_s, local_day, zone_of
from use_cases.hours.derive import derive_since

FIELDS = frozenset({"active", "left_on", "user_id", "timezone"})
"""The fields of a body on which it depends until when somebody is employed, or whose rights end."""


class EmployeeDays:
    """The days in the time zone of an employee. now: the time of the database."""

    def __init__(self, timezone: str, now: datetime) -> None:
        self._zone = zone_of(timezone)
        self.now = now
        self.today = local_day(int(now.timestamp()), self._zone)

    def end(self, day: date | None) -> datetime | None:
        """Return the first instant behind a day; None for none."""
        if day is None:
            return None
        return datetime.fromtimestamp(day_end_s(day, self._zone), UTC)

    def until(self, employee: Employee) -> datetime | None:
        """Return when somebody's employment ends, now where it has; None: they stay, or nobody has
        said since when they are gone.
        """
        end = self.end(employee.left_on)
        if end is None:
            return None
        return max(end, self.now) if employee.active else self.now


async def days_of(
    conn: Connection, timezone: str | None, now: datetime | None = None
) -> EmployeeDays:
    """Return the days of an employee. timezone: their own; None: the organization's. now: that of
    other days, which are compared with these; None: the database is asked.
    """
    if timezone is None:
        timezone = (await organizations.find(conn)).timezone
    return EmployeeDays(timezone, now or await db_now(conn))


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
    if "active" not in given:
        return {}
    if given["active"]:
        return {"left_on": None, "active": True}
    if before is None:
        return {"left_on": today, "active": False}
    if not before.is_employed:
        return {}
    return {"left_on": today, "active": False}


async def follow(
    conn: Connection,
    access: Access,
    before: Employee,
    changed: Employee,
    *,
    days_before: EmployeeDays,
    days: EmployeeDays,
) -> None:
    """Let rights and hours follow an employment that was written as changed. days_before, days: of
    the employee before and then. Raises Problem (403, 409).
    """
    was_until, until = days_before.until(before), days.until(changed)
    if (before.user_id, was_until) != (changed.user_id, until):
        await _follow_user(conn, access, before.user_id, was_until, changed.user_id, until, days)
    ends = {days_before.end(before.left_on), days.end(changed.left_on)}
    if len(ends) > 1:
        since = min(end for end in ends if end is not None)
        await derive_since(conn, (access.caller.org_id, changed.id), since)


async def _follow_user(
    conn: Connection,
    access: Access,
    former: UUID | None,
    was_until: datetime | None,
    user_id: UUID | None,
    until: datetime | None,
    days: EmployeeDays,
) -> None:
    """Let the rights of the linked user end with the employment, or not any more. former: the user
    who was linked before.
    """
    is_judged = user_id is not None and not (was_until is None and until is None)
    if is_judged and access.is_of_caller_or_maker(user_id):
        raise forbidden("Nobody says when they leave themselves: ask another admin.")
    admins = await users.hold_admins(conn) if is_judged and until is not None else set[UUID]()
    if former not in (None, user_id) and was_until is not None:
        await users.set_deactivated_at(conn, former, None)
    if user_id is None or not is_judged:
        return
    user = await users.table.get(conn, user_id)
    if user.role in ("dispatcher", "admin") and access.caller.role != "admin":
        raise forbidden(f"The employee signs in as {user.role}: an admin says when they leave.")
    if admins == {user.id}:
        detail = "They sign in as the last active admin: make another user an admin first."
        raise conflict("last_admin", detail)
    if await users.set_deactivated_at(conn, user.id, until):
        conn.note(Channel.RIGHTS, access.caller.org_id)
        if until is not None and until <= days.now:
            await end_credentials(conn, user.id)


async def free_trackers(access: Access, employee: Employee) -> None:
    """Free the trackers of an employee who is gone, in a transaction of its own: while it lasts, it
    holds up ingest of all organizations.
    """
    if employee.is_employed:
        return
    async with access.transaction() as conn:
        if await trackers.has_any_of_employee(conn, employee.id):
            revision, at = await bump(conn)
            await trackers.end_assignments_of_employee(
                conn, employee_id=employee.id, assigned_to=at, revision=revision
            )
