"""The hours of a timesheet, counted from the stored punches.

An approved timesheet keeps the figures and the rules of its approval. Its punches are counted by
these rules all the same, to tell whether later punches or reviews would change its hours.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from api.http.problems import conflict
from api.resources.shifts import flag_item, shift_item
from db.core.connect import Connection
from db.core.exchange import Exchange
from db.core.table import db_now
from db.hours.punches import PunchTimes, punches_around
from db.hours.rules import read_rules
from db.hours.shifts import shift_rows, stored_flag
from db.hours.timesheets import AdjustmentRow, TimesheetRow, adjustments_between
from operations.hours.local_days import Period, Span, whole_weeks, zone_of
from operations.hours.shifts import Attendance, CreditedPunch, Shift, shifts_of
from operations.hours.timesheets import (
    Adjustment,
    ShiftDay,
    Timesheet,
    TimesheetRules,
    days_of,
    span_to_read,
    timesheet,
)
from telemetry.times import to_us

MAX_PUNCHES = 5_000  # that a timesheet is counted from: some hundred and sixty a day
MAX_ADJUSTMENTS = 100


class CountedTimesheet(NamedTuple):
    """The hours as the punches are now.

    figures: as an answer shows them. punch_ids: of the period. adjustments: of this timesheet's
    days.
    """

    sheet: Timesheet
    figures: dict[str, Any]
    punch_ids: list[UUID]
    adjustments: list[AdjustmentRow]
    now: datetime
    has_ended: bool


def rules_in_use(row: TimesheetRow) -> dict[str, Any]:
    """Return the rules by which a timesheet is counted: those of its approval, or the present
    ones.
    """
    if row.rules is not None:
        return row.rules
    return {
        "timesheet_rules": row.timesheet_rules,
        "punch_policy": row.punch_policy,
        "timezone": row.timezone,
    }


async def counted(conn: Connection, org_id: UUID, row: TimesheetRow) -> CountedTimesheet:
    """Count a timesheet. Raises Problem (409) where it has too many punches."""
    used = rules_in_use(row)
    rules = read_rules(used["timesheet_rules"], used["punch_policy"])
    timezone: str = used["timezone"]
    period, zone = Period(row.first_day, row.last_day), zone_of(timezone)
    punches = await _punches(conn, org_id, row, span_to_read(period, rules, timezone))
    now = await db_now(conn)
    attendance = shifts_of(punches, rules.shifts, timezone, to_us(now))
    made = await adjustments_between(
        conn, row.employee_id, *whole_weeks(period, rules.first_weekday)
    )
    adjustments = [
        Adjustment(each.day, each.seconds, each.reason, each.created_by) for each in made
    ]
    sheet = timesheet(attendance, adjustments, period, rules, timezone)
    span = period.span(zone)
    shown = Attendance(
        tuple(shift for shift in attendance.shifts if _is_on(shift, span, rules)),
        tuple(each for each in attendance.loose_flags if span.start_s <= each.time_s < span.end_s),
    )
    return CountedTimesheet(
        sheet=sheet,
        figures=_figures(row.employee_id, sheet, shown, punches, rules, timezone),
        punch_ids=list(_of_period(shown, punches, span)),
        adjustments=[each for each in made if row.first_day <= each.day <= row.last_day],
        now=now,
        has_ended=span.end_s <= now.timestamp(),
    )


async def _punches(
    conn: Connection, org_id: UUID, row: TimesheetRow, span: Span
) -> list[CreditedPunch]:
    since, until = (datetime.fromtimestamp(time_s, UTC) for time_s in span)
    wanted = PunchTimes(org_id, row.employee_id, since, until)
    exchange = Exchange(conn)
    around = punches_around(exchange, [wanted], MAX_PUNCHES + 1)
    await exchange.send()
    found = around.value[org_id, row.employee_id]
    if len(found) > MAX_PUNCHES:
        detail = f"The timesheet has more than {MAX_PUNCHES} punches: it cannot be counted."
        raise conflict("too_many_punches", detail)
    return found


def _is_on(shift: Shift, span: Span, rules: TimesheetRules) -> bool:
    """Return whether a shift counts to days of a span: it began on one, or was cut at midnight."""
    if span.start_s <= shift.started_s < span.end_s:
        return True
    ended_s = shift.started_s if shift.ended_s is None else shift.ended_s
    return rules.cuts_at_midnight and shift.started_s < span.start_s < ended_s


def _of_period(shown: Attendance, punches: list[CreditedPunch], span: Span) -> Iterator[UUID]:
    """Yield the punches of the shifts, and all others that are credited to the days."""
    of_shifts = {punch for shift in shown.shifts for punch in shift.punches}
    for punch in punches:
        if punch.id in of_shifts or span.start_s <= punch.time_s < span.end_s:
            yield punch.id


def _figures(
    employee_id: UUID,
    sheet: Timesheet,
    shown: Attendance,
    punches: list[CreditedPunch],
    rules: TimesheetRules,
    timezone: str,
) -> dict[str, Any]:
    zone = zone_of(timezone)
    rows = shift_rows(employee_id, shown, punches)
    shifts = [
        shift_item(row) | {"days": [_day_item(each) for each in days_of(shift, rules, zone)]}
        for row, shift in zip(rows, shown.shifts, strict=True)
    ]
    return {
        "worked_s": sheet.worked_s,
        "adjusted_s": sheet.adjusted_s,
        **sheet.hours._asdict(),
        "days": [
            {
                "day": each.day.isoformat(),
                "worked_s": each.worked_s,
                "adjusted_s": each.adjusted_s,
                **each.hours._asdict(),
            }
            for each in sheet.days
        ],
        "shifts": shifts,
        "flags": [flag_item(stored_flag(flag)) for flag in sheet.flags],
        "loose_flags": [flag_item(stored_flag(flag)) for flag in shown.loose_flags],
    }


def _day_item(part: ShiftDay) -> dict[str, Any]:
    return part._asdict() | {"day": part.day.isoformat()}


def kept_figures(row: TimesheetRow, now: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the figures of an approval; None of a timesheet that is not approved. Approvals up to
    version 0.4.0 did not keep breaks and rounding by day: they are those of now, where the hours of
    the shift are the same, else not known.
    """
    if row.figures is None:
        return None
    counted = {_hours_of(shift): shift["days"] for shift in now["shifts"]}
    shifts = [
        shift | {"days": _with_breaks(shift["days"], counted.get(_hours_of(shift)))}
        for shift in row.figures["shifts"]
    ]
    return row.figures | {"shifts": shifts}


def _hours_of(shift: Mapping[str, Any]) -> tuple[Any, ...]:
    worked = [(each["day"], each["worked_s"]) for each in shift["days"] if each["worked_s"]]
    return shift["id"], shift["started_at"], shift["ended_at"], shift["break_s"], *worked


def _with_breaks(
    days: list[dict[str, Any]], counted: list[dict[str, Any]] | None
) -> list[dict[str, Any]]:
    if all("break_s" in each for each in days):
        return days
    return counted or [each | {"break_s": None, "rounding_s": None} for each in days]


def would_change(row: TimesheetRow, now: Mapping[str, Any]) -> bool | None:
    """Return whether the hours of an approved timesheet would be others now; None of one that is
    not approved.
    """
    return None if row.figures is None else row.figures["days"] != now["days"]
