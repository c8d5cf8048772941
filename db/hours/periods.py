"""Timesheets of days that have none yet: each is made when the first punch of its days comes."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import columns, rows_of
from db.core.ids import new_id
from db.hours.punches import PunchTimes
from db.hours.rules import EmployeeKey
from operations.hours.local_days import Period
from operations.hours.timesheets import TimesheetRules, missing_periods, period_of

_AROUND = timedelta(days=40)  # a period is a month long at most, and begins within a shift of it
_KNOWN = """
SELECT timesheet.org_id, timesheet.employee_id, timesheet.first_day, timesheet.last_day
  FROM unnest(%b::uuid[], %b::uuid[], %b::date[], %b::date[])
       AS wanted (org_id, employee_id, since, until)
  JOIN timesheets AS timesheet
    ON timesheet.org_id = wanted.org_id AND timesheet.employee_id = wanted.employee_id
   AND daterange(timesheet.first_day, timesheet.last_day, '[]')
       && daterange(wanted.since, wanted.until, '[]')
"""
_ADD = """
INSERT INTO timesheets (org_id, id, employee_id, first_day, last_day)
SELECT * FROM unnest(%b::uuid[], %b::uuid[], %b::uuid[], %b::date[], %b::date[])
"""


class _Wanted(NamedTuple):
    org_id: UUID
    employee_id: UUID
    since: date
    until: date


class KnownTimesheets(NamedTuple):
    """The stored timesheets of employees that share a day with their span, both ends included."""

    spans: Mapping[EmployeeKey, Period]
    periods: Mapping[EmployeeKey, list[Period]]

    def has(self, employee: EmployeeKey, days: Period) -> bool:
        """Return whether all timesheets of these days are known."""
        span = self.spans.get(employee)
        return span is not None and span.first_day <= days[0] and days[1] <= span.last_day


async def timesheets_around(conn: Connection, times: Iterable[PunchTimes]) -> KnownTimesheets:
    """Return the timesheets that punches of these times mostly need. times: one or more."""
    wanted = [
        _Wanted(*one[:2], _day(one.since, -_AROUND), _day(one.until, _AROUND)) for one in times
    ]
    return await _read(conn, wanted)


def _day(at: datetime, apart: timedelta) -> date:
    """Return a day so far from a time, or the first or last that there is."""
    try:
        return (at + apart).date()
    except OverflowError:
        return date.min if apart < timedelta() else date.max


async def _read(conn: Connection, wanted: Collection[_Wanted]) -> KnownTimesheets:
    spans = {one[:2]: Period(one.since, one.until) for one in wanted}
    periods: dict[EmployeeKey, list[Period]] = {key: [] for key in spans}
    rows = await rows_of(conn, _KNOWN, columns(list(wanted)))
    for org_id, employee_id, first_day, last_day in rows:
        periods[org_id, employee_id].append(Period(first_day, last_day))
    return KnownTimesheets(spans, periods)


async def add_missing(
    conn: Connection,
    known: KnownTimesheets,
    days: Mapping[EmployeeKey, Collection[date]],
    rules: Mapping[EmployeeKey, TimesheetRules],
) -> None:
    """Make the timesheets that days of employees lack. The employees must be locked."""
    days = {key: found for key, found in days.items() if found}
    needed = {
        key: Period(period_of(min(found), rules[key])[0], period_of(max(found), rules[key])[1])
        for key, found in days.items()
    }
    beyond = [_Wanted(*key, *span) for key, span in needed.items() if not known.has(key, span)]
    periods = dict(known.periods)
    if beyond:
        periods |= (await _read(conn, beyond)).periods
    rows = [
        (org_id, new_id(), employee_id, period.first_day, period.last_day)
        for (org_id, employee_id), found in days.items()
        for period in missing_periods(
            found, periods[org_id, employee_id], rules[org_id, employee_id]
        )
    ]
    if rows:
        await conn.execute(_ADD, columns(rows))
