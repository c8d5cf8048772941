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
from db.core.exchange import Exchange
from db.hours.punches import lock_all_punches, punches_around
from db.hours.rules import rules_of_employees
from db.hours.shifts import SHIFTS, ShiftFilter, ShiftRow, write
from db.hours.timesheets import approved_periods
from operations.hours.local_days import Period, local_day, zone_of
from telemetry.times import to_us
from use_cases.hours.derive import derive_from

_ALL = 2**31


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
    exchange = Exchange(conn)
    asked_rules = rules_of_employees(exchange, [key])
    around = punches_around(exchange, [times])
    await exchange.send()
    rules = asked_rules.value[key]
    found = derive_from(key, around.value[key], rules)
    mine = ShiftFilter(times.employee_id)
    listed = await SHIFTS.listing(conn, mine, after=None, limit=_ALL, offset=0)
    stored = {row.opened_by: row for row in listed}
    worked_out = {row.opened_by: row for row in found.rows}
    approved = {
        day
        for first, last in await approved_periods(conn, times.employee_id)
        for day in Period(first, last).days()
    }
    zone = zone_of(rules.timezone)
    differences: list[ShiftDifference] = []
    rows = sorted((stored | worked_out).values(), key=lambda row: (row.started_at, row.id))
    for punch_id in (row.opened_by for row in rows):
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
        write(exchange, stale, [r for r in found.stored(times.org_id) if r["opened_by"] in ids])
        await exchange.send()
    return ShiftCheck(len(stored), differences)


def _days(row: ShiftRow, zone: ZoneInfo) -> Iterator[date]:
    """Return the local days of a shift."""
    ended_at = row.ended_at or row.started_at
    first, last = (local_day(to_us(at) // 1_000_000, zone) for at in (row.started_at, ended_at))
    return Period(first, last).days()
