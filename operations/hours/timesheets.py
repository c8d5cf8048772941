"""Timesheets: the shifts of an employee and the rules of an organization in, days and totals out.

All numbers are whole seconds. Work is rounded (if at all), cut into local days, adjusted, and then
split into regular hours, overtime and double time by whole work weeks. So a caller gives all shifts
that touch the whole weeks of the period, as `span_to_read` says, not those of the period alone:
overtime by the week depends on the days before.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from operations.errors import RuleError, check_within
from operations.hours.local_days import (
    Period,
    PeriodLength,
    Span,
    cut_at_midnight,
    local_day,
    month_of,
    two_weeks_of,
    week_of,
    whole_weeks,
    zone_of,
)
from operations.hours.overtime import Hours, OvertimeRules, split_week
from operations.hours.shift_rules import ShiftRules, work_spans
from operations.hours.shifts import Attendance, Shift, ShiftFlag

ROUNDING_STEPS_S = (60, 300, 360, 600, 900)
MAX_ADJUSTMENT_S = 86_400
MAX_REASON_LENGTH = 500

_DAY = timedelta(days=1)

DoubtPolicy = Literal["flag", "allow", "block"]


class ApprovalBlockedError(Exception):
    """A timesheet that cannot be approved yet. flags: those that must be settled first."""

    def __init__(self, flags: Sequence[ShiftFlag]) -> None:
        super().__init__(f"{len(flags)} flags must be settled before the timesheet is approved")
        self.flags = tuple(flags)


@dataclass(frozen=True, slots=True)
class Rounding:
    """Rounding to the marks of a clock. Raises RuleError.

    step_s: between marks, one of ROUNDING_STEPS_S. grace_s: a time at most this far behind a mark
    goes back to it, and any other on to the next; None: half a step, which gives the nearest mark.
    each: `punch` rounds the beginning and end of shifts and breaks by the local clock, `day` the
    work of a day.
    """

    step_s: int
    grace_s: int | None = None
    each: Literal["punch", "day"] = "punch"

    def __post_init__(self) -> None:
        if self.step_s not in ROUNDING_STEPS_S:
            steps = ", ".join(map(str, ROUNDING_STEPS_S))
            raise RuleError("step_s", f"{self.step_s}; it must be one of {steps}")
        if self.grace_s is not None:
            check_within("grace_s", self.grace_s, 0, self.step_s - 1)

    def rounded_s(self, seconds: int) -> int:
        """Return a number of seconds, rounded."""
        grace_s = self.step_s // 2 if self.grace_s is None else self.grace_s
        past_s = seconds % self.step_s
        return seconds - past_s + (self.step_s if past_s > grace_s else 0)

    def rounded_instant_s(self, time_s: int, zone: ZoneInfo) -> int:
        """Return an instant, rounded by the clock of a time zone."""
        offset = datetime.fromtimestamp(time_s, zone).utcoffset()
        local_s = time_s + int(offset.total_seconds()) if offset else time_s
        return time_s + self.rounded_s(local_s) - local_s


@dataclass(frozen=True, slots=True)
class TimesheetRules:
    """The settings of an organization. Raises RuleError.

    first_weekday: of the work week, 0 is Monday. anchor: the first day of any period of two weeks;
    needed for these alone. cuts_at_midnight: a shift counts to each day that it touches; else all
    of it to the day on which it began. doubts: `flag` lists unsettled flags, `block` also refuses
    approval, `allow` does neither.
    """

    period: PeriodLength = "week"
    first_weekday: int = 0
    anchor: date | None = None
    cuts_at_midnight: bool = True
    overtime: OvertimeRules = field(default_factory=OvertimeRules)
    rounding: Rounding | None = None
    doubts: DoubtPolicy = "flag"
    shifts: ShiftRules = field(default_factory=ShiftRules)

    def __post_init__(self) -> None:
        check_within("first_weekday", self.first_weekday, 0, 6)
        if self.period == "two_weeks" and self.anchor is None:
            raise RuleError("anchor", "periods of two weeks need the first day of one of them")


@dataclass(frozen=True, slots=True)
class Adjustment:
    """Seconds that somebody adds to a day, or takes off. Punches stay as they are.

    seconds: negative takes off; not 0, at most a day. actor: the user who did it. Raises RuleError.
    """

    day: date
    seconds: int
    reason: str
    actor: UUID

    def __post_init__(self) -> None:
        if not 1 <= abs(self.seconds) <= MAX_ADJUSTMENT_S:
            problem = f"{self.seconds}; it must be 1 to {MAX_ADJUSTMENT_S}, or its negative"
            raise RuleError("seconds", problem)
        if not 1 <= len(self.reason.strip()) <= MAX_REASON_LENGTH:
            raise RuleError("reason", f"it must have 1 to {MAX_REASON_LENGTH} characters")


class TimesheetDay(NamedTuple):
    """One local day.

    worked_s: by the shifts, rounded by the rules. adjusted_s: added by adjustments, or taken off;
    no more than was worked. hours: both together, by how they are paid.
    """

    day: date
    worked_s: int
    adjusted_s: int
    hours: Hours


@dataclass(frozen=True, slots=True)
class Timesheet:
    """The hours of one employee in one period.

    days: every day of the period. flags: unsettled ones, as far as the policy lists them. blockers:
    those that stand in the way of approval; an open shift does so under any policy.
    """

    period: Period
    days: tuple[TimesheetDay, ...]
    flags: tuple[ShiftFlag, ...]
    blockers: tuple[ShiftFlag, ...]

    @property
    def worked_s(self) -> int:
        """The seconds worked, before adjustments."""
        return sum(day.worked_s for day in self.days)

    @property
    def adjusted_s(self) -> int:
        """The seconds that adjustments add, negative where they take off."""
        return sum(day.adjusted_s for day in self.days)

    @property
    def hours(self) -> Hours:
        """The sums of the days, by how they are paid."""
        return Hours(*(sum(kind) for kind in zip(*(day.hours for day in self.days), strict=True)))

    def check_approvable(self) -> None:
        """Raise ApprovalBlockedError where something stands in the way of approval."""
        if self.blockers:
            raise ApprovalBlockedError(self.blockers)


def period_of(day: date, rules: TimesheetRules) -> Period:
    """Return the period of an organization that holds a day."""
    if rules.period == "month":
        return month_of(day)
    if rules.period == "two_weeks" and rules.anchor is not None:
        return two_weeks_of(day, rules.anchor)
    return week_of(day, rules.first_weekday)


def missing_periods(
    days: Iterable[date], known: Iterable[Period], rules: TimesheetRules
) -> list[Period]:
    """Return the periods of the days that no known one holds, in order.

    They are cut where they would overlap a known one, which an organization has that changed its
    periods. known: at least those that overlap the periods of the days.
    """
    taken, missing = list(known), list[Period]()
    for day in sorted(set(days)):
        if not any(first <= day <= last for first, last in taken):
            first, last = period_of(day, rules)
            first = max([first, *(each.last_day + _DAY for each in taken if each.last_day < day)])
            last = min([last, *(each.first_day - _DAY for each in taken if each.first_day > day)])
            missing.append(Period(first, last))
            taken.append(missing[-1])
    return missing


def span_to_read(period: Period, rules: TimesheetRules, timezone: str) -> Span:
    """Return the seconds whose shifts `timesheet` needs: all that touch them, in part or whole."""
    return whole_weeks(period, rules.first_weekday).span(zone_of(timezone))


def timesheet(
    attendance: Attendance,
    adjustments: Iterable[Adjustment],
    period: Period,
    rules: TimesheetRules,
    timezone: str,
) -> Timesheet:
    """Return the timesheet of one employee.

    attendance: at least the shifts that touch `span_to_read`. adjustments: at least those of its
    days. More of either makes no difference. timezone: IANA name; raises RuleError for others.
    """
    zone = zone_of(timezone)
    parts = [(shift, list(parts_of(shift, rules, zone))) for shift in attendance.shifts]
    days = tuple(_days(parts, adjustments, period, rules))
    unsettled = tuple(_unsettled(attendance, parts, period, zone))
    still_open = tuple(flag for flag in unsettled if flag.name == "open")
    return Timesheet(
        period,
        days,
        flags=still_open if rules.doubts == "allow" else unsettled,
        blockers=unsettled if rules.doubts == "block" else still_open,
    )


_Parts = list[tuple[Shift, list[tuple[date, int]]]]


def parts_of(shift: Shift, rules: TimesheetRules, zone: ZoneInfo) -> Iterator[tuple[date, int]]:
    """Yield days and the seconds of a shift that count to each, some days several times."""
    work = _rounded_work(shift, rules, zone)
    for span in work:
        if rules.cuts_at_midnight:
            for day, part in cut_at_midnight(span, zone):
                yield day, part.length_s
        else:
            yield local_day(work[0].start_s, zone), span.length_s


class ShiftDay(NamedTuple):
    """The part of a shift that counts to a day.

    worked_s: rounded by the rules. break_s: punched and automatic breaks, as they were. rounding_s:
    the part of worked_s that comes from rounding the punches; negative where time is taken off.
    """

    day: date
    worked_s: int
    break_s: int
    rounding_s: int


def days_of(shift: Shift, rules: TimesheetRules, zone: ZoneInfo) -> list[ShiftDay]:
    """Return the days of a shift, in order; of an open one there are none yet."""
    if shift.ended_s is None:
        return []
    whole = Span(shift.started_s, shift.ended_s)
    rounded = Counter[date]()
    for day, seconds in parts_of(shift, rules, zone):
        rounded[day] += seconds
    if not rules.cuts_at_midnight:
        return [
            ShiftDay(day, seconds, whole.length_s - shift.worked_s, seconds - shift.worked_s)
            for day, seconds in rounded.items()
        ]
    lasted, worked = Counter[date](), Counter[date]()
    for counter, spans in ((lasted, (whole,)), (worked, shift.work)):
        for span in spans:
            for day, part in cut_at_midnight(span, zone):
                counter[day] += part.length_s
    return [
        ShiftDay(day, rounded[day], lasted[day] - worked[day], rounded[day] - worked[day])
        for day in sorted(rounded | lasted)
        if rounded[day] or lasted[day]
    ]


def _rounded_work(shift: Shift, rules: TimesheetRules, zone: ZoneInfo) -> tuple[Span, ...]:
    """Return the work of a shift, with its punches rounded if the rules say so."""
    rounding = rules.rounding
    if rounding is None or rounding.each != "punch" or shift.ended_s is None:
        return shift.work

    def rounded(start_s: int, end_s: int) -> Span:
        return Span(*(rounding.rounded_instant_s(time_s, zone) for time_s in (start_s, end_s)))

    breaks = [rounded(*each) for each in shift.breaks]
    return work_spans(rounded(shift.started_s, shift.ended_s), breaks, rules.shifts)


def _days(
    parts: _Parts, adjustments: Iterable[Adjustment], period: Period, rules: TimesheetRules
) -> Iterator[TimesheetDay]:
    """Yield the days of the period. Overtime is worked out by whole work weeks."""
    worked, adjusted = Counter[date](), Counter[date]()
    for day, seconds in (part for _, of_shift in parts for part in of_shift):
        worked[day] += seconds
    for adjustment in adjustments:
        adjusted[adjustment.day] += adjustment.seconds
    days = list(whole_weeks(period, rules.first_weekday).days())
    for start in range(0, len(days), 7):
        week = [
            _day_sums(day, worked[day], adjusted[day], rules) for day in days[start : start + 7]
        ]
        split = split_week([worked_s + more_s for _, worked_s, more_s in week], rules.overtime)
        for (day, worked_s, more_s), hours in zip(week, split, strict=True):
            if period.first_day <= day <= period.last_day:
                yield TimesheetDay(day, worked_s, more_s, hours)


def _day_sums(
    day: date, worked_s: int, adjusted_s: int, rules: TimesheetRules
) -> tuple[date, int, int]:
    """Return a day with its work, rounded if the rules say so, and its adjustment."""
    if rules.rounding and rules.rounding.each == "day":
        worked_s = rules.rounding.rounded_s(worked_s)
    return day, worked_s, max(adjusted_s, -worked_s)


def _unsettled(
    attendance: Attendance, parts: _Parts, period: Period, zone: ZoneInfo
) -> Iterator[ShiftFlag]:
    """Yield the unsettled flags of the shifts that bear on a period, and of its loose punches."""
    days, span = set(period.days()), period.span(zone)
    for shift, of_shift in parts:
        touches = span.start_s <= shift.started_s < span.end_s
        if touches or any(day in days for day, _ in of_shift):
            yield from (flag for flag in shift.flags if not flag.is_settled)
    for flag in attendance.loose_flags:
        if span.start_s <= flag.time_s < span.end_s and not flag.is_settled:
            yield flag
