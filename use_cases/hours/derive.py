"""Shifts of employees, derived from their punches and written where they differ.

    await derive(conn, [PunchTimes(org_id, employee_id, since, until)])

Whoever records or reviews punches calls `derive` in the same transaction, with the employees
locked. A shift without an `out` ends by rule when nobody punches. So an open shift is stored
together with what it becomes and when, and is read that way from then on: nothing has to run at
that time.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.hours.periods import add_missing, timesheets_around
from db.hours.punches import PunchTimes, last_pay_time, punches_around
from db.hours.rules import EmployeeKey, HourRules, rules_of_employees
from db.hours.shifts import ShiftRow, StoredFlag, write
from operations.hours.local_days import local_day, zone_of
from operations.hours.shifts import Attendance, CreditedPunch, Shift, ShiftFlag, shifts_of
from telemetry.ids import derived_id
from telemetry.times import to_datetime

_SECOND_US = 1_000_000
_LAPSING = ("break_s", "worked_s", "server_worked_s", "flags")


def shift_rows(
    employee_id: UUID, attendance: Attendance, punches: Iterable[CreditedPunch]
) -> list[ShiftRow]:
    """Return the rows of the shifts of an employee. punches: at least those of the shifts."""
    outs = {punch.id for punch in punches if punch.kind == "out"}
    return [_row(employee_id, shift, outs) for shift in attendance.shifts]


def _row(employee_id: UUID, shift: Shift, outs: set[UUID]) -> ShiftRow:
    last, ended_s = shift.punches[-1], shift.ended_s
    unpaid_s = sum(each.length_s for each in shift.breaks)
    return ShiftRow(
        id=derived_id(b"shift", shift.id.bytes),
        employee_id=employee_id,
        opened_by=shift.id,
        closed_by=last if last in outs else None,
        started_at=_at(shift.started_s),
        ended_at=None if ended_s is None else _at(ended_s),
        break_s=unpaid_s if ended_s is None else ended_s - shift.started_s - shift.worked_s,
        worked_s=shift.worked_s,
        server_worked_s=shift.server_worked_s,
        site_id=shift.site,
        asset_id=shift.asset,
        work_order_id=shift.work_order,
        verdicts={str(worth): count for worth, count in shift.verdicts.items()},
        flags=[stored_flag(flag) for flag in shift.flags],
    )


def stored_flag(flag: ShiftFlag) -> StoredFlag:
    """Return a flag as it is stored."""
    return StoredFlag(
        name=flag.name,
        punch_id=str(flag.punch),
        time_s=flag.time_s,
        is_settled=flag.is_settled,
    )


def _at(time_s: int) -> datetime:
    return to_datetime(time_s * _SECOND_US)


# Derivation ---------------------------------------------------------------------------------------


async def derive(conn: Connection, changed: Iterable[PunchTimes]) -> None:
    """Derive the shifts on which punches bear that were recorded or reviewed, and make the missing
    timesheets of their days. The employees must be locked.

    changed: for each employee the credited times of the punches, as one time that holds them all.
    """
    wanted = list(changed)
    if not wanted:
        return
    keys = [one[:2] for one in wanted]
    rules = await rules_of_employees(conn, keys)
    punches = await punches_around(conn, wanted)
    timesheets = await timesheets_around(conn, wanted)
    derived = {key: derive_from(key, punches[key], rules[key]) for key in keys}
    opening = {(key[0], row.opened_by) for key, one in derived.items() for row in one.rows}
    read = [(key[0], punch.id) for key, found in punches.items() for punch in found]
    rows = [row for key, one in derived.items() for row in one.stored(key[0])]
    await write(conn, [one for one in read if one not in opening], rows)
    days = {key: set(_days(one, rules[key])) for key, one in derived.items()}
    rules_of_days = {key: one.rules for key, one in rules.items()}
    await add_missing(conn, timesheets, days, rules_of_days)


async def derive_since(conn: Connection, employee: EmployeeKey, since: datetime) -> None:
    """Derive the shifts of an employee from a time on, whose rules are others since then. The
    employee must be locked.
    """
    last = await last_pay_time(conn, employee, since)
    await derive(conn, [PunchTimes(*employee, since, last)])


class Derived(NamedTuple):
    """The shifts of an employee. lapses_s, lapsed: of an open one, when it ends without another
    punch, and what it is then.
    """

    attendance: Attendance
    rows: list[ShiftRow]
    lapses_s: int | None
    lapsed: ShiftRow | None

    def stored(self, org_id: UUID) -> list[dict[str, Any]]:
        """Return the columns of each row. Of an open shift they say what becomes of it."""
        return [{"org_id": org_id, **row._asdict(), **self._then(row)} for row in self.rows]

    def _then(self, row: ShiftRow) -> dict[str, Any]:
        if row.ended_at is not None or self.lapses_s is None or self.lapsed is None:
            return {"lapses_at": None, "lapsed": None}
        lapsed = {name: getattr(self.lapsed, name) for name in _LAPSING}
        return {"lapses_at": _at(self.lapses_s), "lapsed": lapsed}


def derive_from(key: EmployeeKey, punches: Sequence[CreditedPunch], by: HourRules) -> Derived:
    """Return the shifts that punches of an employee make."""
    rules = by.rules.shifts
    attendance = shifts_of(punches, rules, by.timezone, by.now_us)
    rows = shift_rows(key[1], attendance, punches)
    if not rows or rows[-1].ended_at is not None:
        return Derived(attendance, rows, None, None)
    lapses_s = rules.latest_end_s(attendance.shifts[-1].started_s, zone_of(by.timezone))
    later = shifts_of(punches, rules, by.timezone, (lapses_s + 1) * _SECOND_US)
    return Derived(attendance, rows, lapses_s, shift_rows(key[1], later, punches)[-1])


def _days(derived: Derived, by: HourRules) -> Iterator[date]:
    """Yield the local days of the shifts, and those of punches outside of shifts."""
    zone = zone_of(by.timezone)
    for shift in derived.attendance.shifts:
        ended_s = shift.ended_s or derived.lapses_s or shift.started_s
        last = local_day(ended_s, zone).toordinal()
        for number in range(local_day(shift.started_s, zone).toordinal(), last + 1):
            yield date.fromordinal(number)
    yield from (local_day(flag.time_s, zone) for flag in derived.attendance.loose_flags)
