"""Timesheets and their adjustments: one timesheet of an employee for each period."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import columns, rows_of
from db.core.listing import Conditions
from db.core.table import Table
from operations.hours.timesheet_states import KEEPING, State
from operations.hours.timesheets import DoubtPolicy


class TimesheetRow(NamedTuple):
    """One row.

    decided_by: who approved or rejected it. figures, rules: what was approved, and by which rules.
    The fields from `employee_name` on are the employee's and the organization's, as they are now.
    """

    id: UUID
    employee_id: UUID
    first_day: date
    last_day: date
    state: State
    submitted_by: UUID | None
    submitted_at: datetime | None
    decided_by: UUID | None
    decided_at: datetime | None
    locked_by: UUID | None
    locked_at: datetime | None
    figures: dict[str, Any] | None
    rules: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime
    employee_name: str
    employee_number: str | None
    user_id: UUID | None
    left_on: date | None
    timezone: str
    timesheet_rules: dict[str, Any]
    punch_policy: DoubtPolicy | None
    organization_name: str
    decider: str | None


def _since(conditions: Conditions, day: date) -> None:
    conditions.add("timesheets.last_day >= %(since)s", since=day)


def _until(conditions: Conditions, day: date) -> None:
    conditions.add("timesheets.first_day < %(until)s", until=day)


def _state(conditions: Conditions, state: str) -> None:
    conditions.add("timesheets.state = %(state)s", state=state)


timesheets = Table(
    "timesheets",
    TimesheetRow,
    jsonb=["figures", "rules"],
    fixed=["employee_id", "first_day", "last_day"],
    computed={
        "employee_name": "employees.name",
        "employee_number": "employees.external_id",
        "user_id": "employees.user_id",
        "left_on": "employees.left_on",
        "timezone": "coalesce(employees.timezone, organizations.timezone)",
        "timesheet_rules": "organizations.timesheet_rules",
        "punch_policy": "organizations.punch_policy",
        "organization_name": "organizations.name",
        "decider": "coalesce(users.name, users.email)",
    },
    joins="JOIN employees ON employees.org_id = timesheets.org_id"
    " AND employees.id = timesheets.employee_id"
    " JOIN organizations ON organizations.org_id = timesheets.org_id"
    " LEFT JOIN users ON users.org_id = timesheets.org_id AND users.id = timesheets.decided_by",
    filters={"since": _since, "until": _until, "approval_status": _state},
)


class AdjustmentRow(NamedTuple):
    """One row. is_own: whoever made it was the employee. actor: their name."""

    id: UUID
    day: date
    seconds: int
    reason: str
    created_by: UUID
    created_at: datetime
    is_own: bool
    actor: str


class AdjustedDays(NamedTuple):
    """Days of an employee, from `since` to `until`, both included."""

    employee_id: UUID
    since: date
    until: date


_ADJUSTMENTS = """
SELECT wanted.place, adjustment.id, adjustment.day, adjustment.seconds, adjustment.reason,
       adjustment.created_by, adjustment.created_at, adjustment.is_own,
       coalesce(users.name, users.email)
  FROM unnest(%s::uuid[], %s::date[], %s::date[])
       WITH ORDINALITY AS wanted (employee_id, since, until, place)
  JOIN timesheets AS timesheet ON timesheet.employee_id = wanted.employee_id
  JOIN timesheet_adjustments AS adjustment
    ON adjustment.org_id = timesheet.org_id AND adjustment.timesheet_id = timesheet.id
   AND adjustment.day BETWEEN wanted.since AND wanted.until
  JOIN users ON users.org_id = adjustment.org_id AND users.id = adjustment.created_by
 ORDER BY adjustment.created_at, adjustment.id
"""


async def adjustments_of(
    conn: Connection, wanted: Sequence[AdjustedDays]
) -> list[list[AdjustmentRow]]:
    """Return the adjustments of these days, of each in the order in which they were made. Those of
    other timesheets are among them.
    """
    found: list[list[AdjustmentRow]] = [[] for _ in wanted]
    for place, *adjustment in await rows_of(conn, _ADJUSTMENTS, columns(wanted)):
        found[place - 1].append(AdjustmentRow(*adjustment))
    return found


async def insert_adjustment(
    conn: Connection, timesheet_id: UUID, adjustment: AdjustmentRow
) -> None:
    """Insert an adjustment of the tenant's timesheet."""
    await conn.execute(
        "INSERT INTO timesheet_adjustments"
        " (org_id, id, timesheet_id, day, seconds, reason, created_by, created_at,"
        " is_own) VALUES (current_org_id(), %s, %s, %s, %s, %s, %s, %s, %s)",
        (adjustment.id, timesheet_id, *adjustment[1:-1]),
    )


_APPROVED = """
SELECT first_day, last_day FROM timesheets
 WHERE org_id = current_org_id() AND employee_id = %s AND state = ANY (%s)
"""


async def approved_periods(conn: Connection, employee_id: UUID) -> list[tuple[date, date]]:
    """Return the first and last days of an employee's timesheets that are approved."""
    return await (await conn.execute(_APPROVED, (employee_id, list(KEEPING)))).fetchall()
