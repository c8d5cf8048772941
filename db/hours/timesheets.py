"""Timesheets and their adjustments: one timesheet of an employee for each period."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table
from operations.hours.timesheet_states import State
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
    """One row. actor: the name of who made it."""

    id: UUID
    day: date
    seconds: int
    reason: str
    created_by: UUID
    created_at: datetime
    actor: str


_ADJUSTMENTS = """
SELECT adjustment.id, adjustment.day, adjustment.seconds, adjustment.reason, adjustment.created_by,
       adjustment.created_at, coalesce(users.name, users.email)
  FROM timesheet_adjustments AS adjustment
  JOIN users ON users.org_id = adjustment.org_id AND users.id = adjustment.created_by
"""
_BESIDE = """
  JOIN timesheets AS timesheet
    ON timesheet.org_id = adjustment.org_id AND timesheet.id = adjustment.timesheet_id
 WHERE timesheet.employee_id = %(employee_id)s AND adjustment.day BETWEEN %(since)s AND %(until)s
 ORDER BY adjustment.created_at, adjustment.id
"""


async def adjustments_between(
    conn: Connection, employee_id: UUID, since: date, until: date
) -> list[AdjustmentRow]:
    """Return the adjustments of an employee's days, from `since` to `until`, both included, in the
    order in which they were made. Those of other timesheets are among them.
    """
    values: Mapping[str, object] = {"employee_id": employee_id, "since": since, "until": until}
    async with conn.cursor(row_factory=args_row(AdjustmentRow)) as cursor:
        await cursor.execute(_ADJUSTMENTS + _BESIDE, values)
        return await cursor.fetchall()


async def insert_adjustment(
    conn: Connection, timesheet_id: UUID, adjustment: AdjustmentRow
) -> None:
    """Insert an adjustment of the tenant's timesheet."""
    await conn.execute(
        "INSERT INTO timesheet_adjustments"
        " (org_id, id, timesheet_id, day, seconds, reason, created_by, created_at)"
        " VALUES (current_org_id(), %s, %s, %s, %s, %s, %s, %s)",
        (adjustment.id, timesheet_id, *adjustment[1:-1]),
    )
