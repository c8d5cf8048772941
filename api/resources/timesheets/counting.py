"""The hours of a timesheet, counted from the stored punches.

An approved timesheet keeps the figures and the rules of its approval. Its punches are counted by
these rules all the same, to tell whether later punches or reviews would change its hours.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from api.http.encoding import time_text
from api.http.problems import conflict
from api.resources.shifts import flag_item, shift_item
from db.core.connect import Connection
from db.core.table import db_now
from db.hours.punches import PunchTimes, punches_around
from db.hours.rules import read_rules, until_left
from db.hours.timesheets import AdjustedDays, AdjustmentRow, TimesheetRow, adjustments_of
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
from telemetry.ids import format_id
from telemetry.times import to_us
from use_cases.hours.derive import shift_rows, stored_flag

MAX_PUNCHES = 5_000  # that a timesheet is counted from: some hundred and sixty a day
MAX_LISTED_PUNCHES = 1_000  # of a timesheet whose hours a list counts
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


class _Terms(NamedTuple):
    """The rules and the days by which a timesheet is counted. read: the seconds of its punches."""

    rules: TimesheetRules
    timezone: str
    period: Period
    days: AdjustedDays
    read: Span


def _terms(row: TimesheetRow) -> _Terms:
    used = rules_in_use(row)
    timezone: str = used["timezone"]
    stored = read_rules(used["timesheet_rules"], used["punch_policy"])
    rules = until_left(stored, row.left_on, timezone)
    period = Period(row.first_day, row.last_day)
    days = AdjustedDays(row.employee_id, *whole_weeks(period, rules.first_weekday))
    return _Terms(rules, timezone, period, days, span_to_read(period, rules, timezone))


class _Stored(NamedTuple):
    """The punches and the adjustments that a timesheet is counted from."""

    punches: list[CreditedPunch]
    adjustments: list[AdjustmentRow]


async def _read(
    conn: Connection, org_id: UUID, wanted: Sequence[_Terms], most_punches: int
) -> list[_Stored]:
    """Read what timesheets are counted from. Of one with more punches than the most, one more is
    read.

    Punches are asked for by employee: one question for the first timesheets of all employees, one
    for their second ones, and so on.
    """
    seen = Counter[UUID]()
    rounds: list[list[PunchTimes]] = []
    places: list[int] = []
    for each in wanted:
        employee_id = each.days.employee_id
        places.append(seen[employee_id])
        seen[employee_id] += 1
        if places[-1] == len(rounds):
            rounds.append([])
        since, until = (datetime.fromtimestamp(time_s, UTC) for time_s in each.read)
        rounds[places[-1]].append(PunchTimes(org_id, employee_id, since, until))
    found = [await punches_around(conn, each, most_punches + 1) for each in rounds]
    made = await adjustments_of(conn, [each.days for each in wanted])
    return [
        _Stored(found[place][org_id, each.days.employee_id], adjustments)
        for each, place, adjustments in zip(wanted, places, made, strict=True)
    ]


def _sheet(terms: _Terms, stored: _Stored, now: datetime) -> tuple[Attendance, Timesheet]:
    attendance = shifts_of(stored.punches, terms.rules.shifts, terms.timezone, to_us(now))
    adjustments = [
        Adjustment(each.day, each.seconds, each.reason, each.created_by)
        for each in stored.adjustments
    ]
    sheet = timesheet(attendance, adjustments, terms.period, terms.rules, terms.timezone)
    return attendance, sheet


def _hours(sheet: Timesheet) -> dict[str, int]:
    return {
        "worked_s": sheet.worked_s,
        "adjusted_s": sheet.adjusted_s,
        **sheet.hours._asdict(),
    }


async def counted(conn: Connection, org_id: UUID, row: TimesheetRow) -> CountedTimesheet:
    """Count a timesheet. Raises Problem (409) where it has too many punches."""
    terms = _terms(row)
    (stored,) = await _read(conn, org_id, [terms], MAX_PUNCHES)
    if len(stored.punches) > MAX_PUNCHES:
        detail = f"The timesheet has more than {MAX_PUNCHES} punches: it cannot be counted."
        raise conflict("timesheet_too_large", detail)
    now = await db_now(conn)
    attendance, sheet = _sheet(terms, stored, now)
    span = terms.period.span(zone_of(terms.timezone))
    shown = Attendance(
        tuple(shift for shift in attendance.shifts if _is_on(shift, span, terms.rules)),
        tuple(each for each in attendance.loose_flags if span.start_s <= each.time_s < span.end_s),
    )
    adjustments = [each for each in stored.adjustments if row.first_day <= each.day <= row.last_day]
    figures = _figures(terms, sheet, shown, stored.punches)
    if terms.rules.doubts != "allow":
        figures["flags"] += [_own_adjustment(each) for each in adjustments if each.is_own]
    return CountedTimesheet(
        sheet=sheet,
        figures=figures,
        punch_ids=list(_of_period(shown, stored.punches, span)),
        adjustments=adjustments,
        now=now,
        has_ended=span.end_s <= now.timestamp(),
    )


async def with_hours(
    conn: Connection, org_id: UUID, rows: Sequence[TimesheetRow]
) -> list[TimesheetRow]:
    """Return timesheets of a list with their hours as the punches are now, but for those that keep
    the figures of their approval, and those with more than MAX_LISTED_PUNCHES.
    """
    places = [place for place, row in enumerate(rows) if row.figures is None]
    if not places:
        return list(rows)
    terms = [_terms(rows[place]) for place in places]
    found = await _read(conn, org_id, terms, MAX_LISTED_PUNCHES)
    now = await db_now(conn)
    shown = list(rows)
    for place, each, stored in zip(places, terms, found, strict=True):
        if len(stored.punches) <= MAX_LISTED_PUNCHES:
            shown[place] = rows[place]._replace(figures=_hours(_sheet(each, stored, now)[1]))
            await asyncio.sleep(0)  # others take their turn: a page may take a second
    return shown


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
    terms: _Terms, sheet: Timesheet, shown: Attendance, punches: list[CreditedPunch]
) -> dict[str, Any]:
    rules, zone = terms.rules, zone_of(terms.timezone)
    rows = shift_rows(terms.days.employee_id, shown, punches)
    shifts = [
        shift_item(row) | {"days": [_day_item(each) for each in days_of(shift, rules, zone)]}
        for row, shift in zip(rows, shown.shifts, strict=True)
    ]
    return {
        **_hours(sheet),
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


def _own_adjustment(adjustment: AdjustmentRow) -> dict[str, Any]:
    """Return the FlagItem of an adjustment of one's own hours: whoever approves them sees it."""
    return {
        "name": "own_adjustment",
        "punch_id": None,
        "adjustment_id": format_id("adj", adjustment.id),
        "time": time_text(adjustment.created_at),
        "settled": False,
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
