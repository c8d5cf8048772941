"""The check of stored shifts: worked out anew from all punches of an employee, by the rules of now.

What is stored differs where rules have changed since the punches came: those of the organization,
or those of this program.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from db.core.connect import Connection
from db.core.listing import RowKey
from db.hours.punches import lock_all_punches, punches_around
from db.hours.rules import rules_of_employees
from db.hours.shifts import SHIFTS, ShiftFilter, ShiftRow, write
from db.hours.timesheets import approved_periods
from operations.hours.local_days import Period, local_day, zone_of
from telemetry.times import to_us
from use_cases.hours.derive import derive_from

_AT_ONCE = 500


class ShiftDifference(NamedTuple):
    """A shift that is not what the punches make. None: there is none, stored or worked out.

    is_approved: a day of it is on an approved timesheet, so it stays as it is.
    """

    employee_id: UUID
    opened_by: UUID
    stored: ShiftRow | None
    worked_out: ShiftRow | None
    is_approved: bool


class ShiftCheck(NamedTuple):
    """The check of an employee. shifts: how many are stored."""

    shifts: int
    differences: Sequence[ShiftDifference]


async def check_shifts(conn: Connection, employee_id: UUID, *, writes: bool) -> ShiftCheck:
    """Compare the shifts of an employee who has punched with their punches, in a transaction of the
    tenant. Nobody punches meanwhile.

    writes: also write what differs, but for what is approved.
    """
    times = await lock_all_punches(conn, employee_id)
    key = (times.org_id, times.employee_id)
    rules = (await rules_of_employees(conn, [key]))[key]
    punches = await punches_around(conn, [times])
    found = derive_from(key, punches[key], rules)
    stored = {row.opened_by: row for row in await _stored(conn, times.employee_id)}
    worked_out = {row.opened_by: row for row in found.rows}
    approved = {
        day
        for first, last in await approved_periods(conn, times.employee_id)
        for day in Period(first, last).days()
    }
    zone = zone_of(rules.timezone)
    differences: list[ShiftDifference] = []
    both = sorted((stored | worked_out).values(), key=lambda row: (row.started_at, row.id))
    for punch_id in (row.opened_by for row in both):
        one, other = stored.get(punch_id), worked_out.get(punch_id)
        if one != other:
            is_approved = any(
                day in approved for row in (one, other) if row for day in _days(row, zone)
            )
            differences.append(
                ShiftDifference(times.employee_id, punch_id, one, other, is_approved)
            )
    if writes:
        ids = {each.opened_by for each in differences if not each.is_approved}
        stale = [(times.org_id, one) for one in ids if one not in worked_out]
        rows = [row for row in found.stored(times.org_id) if row["opened_by"] in ids]
        await write(conn, stale, rows)
    return ShiftCheck(len(stored), differences)


async def _stored(conn: Connection, employee_id: UUID) -> list[ShiftRow]:
    """Return all shifts of an employee."""
    found: list[ShiftRow] = []
    while True:
        after = RowKey(found[-1].started_at, found[-1].id) if found else None
        page = await SHIFTS.listing(
            conn, ShiftFilter(employee_id), after=after, limit=_AT_ONCE, offset=0
        )
        if not page:
            return found
        found += page


def _days(row: ShiftRow, zone: ZoneInfo) -> Iterator[date]:
    """Return the local days of a shift."""
    ended_at = row.ended_at or row.started_at
    first, last = (local_day(to_us(at) // 1_000_000, zone) for at in (row.started_at, ended_at))
    return Period(first, last).days()
