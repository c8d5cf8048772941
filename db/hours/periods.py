"""Timesheets of days that have none yet: each is made when the first punch of its days comes."""

from collections.abc import Collection, Mapping
from datetime import date

from db.core.connect import Connection
from db.core.ids import new_id
from db.hours.rules import EmployeeKey
from operations.hours.local_days import Period
from operations.hours.timesheets import TimesheetRules, missing_periods, period_of

_KNOWN = """
SELECT timesheet.org_id, timesheet.employee_id, timesheet.first_day, timesheet.last_day
  FROM unnest(%s::uuid[], %s::uuid[], %s::date[], %s::date[])
       AS wanted (org_id, employee_id, since, until)
  JOIN timesheets AS timesheet
    ON timesheet.org_id = wanted.org_id AND timesheet.employee_id = wanted.employee_id
   AND daterange(timesheet.first_day, timesheet.last_day, '[]')
       && daterange(wanted.since, wanted.until, '[]')
"""
_ADD = """
INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day)
SELECT * FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::date[], %s::date[])
"""


async def add_missing(
    conn: Connection,
    days: Mapping[EmployeeKey, Collection[date]],
    rules: Mapping[EmployeeKey, TimesheetRules],
) -> None:
    """Make the timesheets that days of employees lack. The employees must be locked."""
    days = {key: found for key, found in days.items() if found}
    if not days:
        return
    known = await _known(conn, days, rules)
    missing = [
        (*key, period)
        for key, found in days.items()
        for period in missing_periods(found, known[key], rules[key])
    ]
    if missing:
        rows = [
            (org_id, new_id(), employee_id, period.first_day, period.last_day)
            for org_id, employee_id, period in missing
        ]
        await conn.execute(_ADD, [list(column) for column in zip(*rows, strict=True)])


async def _known(
    conn: Connection,
    days: Mapping[EmployeeKey, Collection[date]],
    rules: Mapping[EmployeeKey, TimesheetRules],
) -> dict[EmployeeKey, list[Period]]:
    """Return the timesheets in the periods of the days, by employee."""
    wanted = [
        (*key, period_of(min(found), rules[key])[0], period_of(max(found), rules[key])[1])
        for key, found in days.items()
    ]
    cursor = await conn.execute(_KNOWN, [list(column) for column in zip(*wanted, strict=True)])
    known: dict[EmployeeKey, list[Period]] = {key: [] for key in days}
    for org_id, employee_id, first_day, last_day in await cursor.fetchall():
        known[org_id, employee_id].append(Period(first_day, last_day))
    return known
