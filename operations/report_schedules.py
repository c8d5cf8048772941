"""When a report is mailed, and about which days: those of the period that has just ended.

A daily report is about the day before, a weekly one about the week from Monday to Sunday before,
a monthly one about the calendar month before. All days are those of the schedule's time zone.
Instants are whole seconds since 1970-01-01T00:00:00Z.
"""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import NamedTuple, Protocol
from zoneinfo import ZoneInfo

from operations.hours.local_days import (
    WEEK_DAYS,
    Period,
    day_end_s,
    day_start_s,
    local_day,
    month_of,
    week_of,
    zone_of,
)

_DAY = timedelta(days=1)


class Timing(NamedTuple):
    """When a report is mailed.

    cadence: daily, weekly or monthly. weekday: of a weekly one; 1 is Monday. month_day: of a
    monthly one; the last day of a month that has fewer. at: the local time of day.
    """

    cadence: str
    weekday: int
    month_day: int
    at: time
    zone: ZoneInfo


class Planned(Protocol):
    """The columns of a schedule that say when it runs. local_time: HH:MM."""

    @property
    def cadence(self) -> str: ...
    @property
    def weekday(self) -> int: ...
    @property
    def month_day(self) -> int: ...
    @property
    def local_time(self) -> str: ...
    @property
    def time_zone(self) -> str: ...


def timing_of(planned: Planned) -> Timing:
    """Return when a schedule runs. Raises RuleError where the time zone is not known here."""
    return Timing(
        planned.cadence,
        planned.weekday,
        planned.month_day,
        time.fromisoformat(planned.local_time),
        zone_of(planned.time_zone),
    )


class Due(NamedTuple):
    """An instant at which a report is mailed, and the days that the report is about."""

    time_s: int
    period: Period


def last_due(timing: Timing, now_s: int) -> Due:
    """Return the newest one that is not later than now."""
    return max(due for due in _around(timing, now_s) if due.time_s <= now_s)


def next_due(timing: Timing, now_s: int) -> Due:
    """Return the first one behind now."""
    return min(due for due in _around(timing, now_s) if due.time_s > now_s)


def _around(timing: Timing, now_s: int) -> Iterator[Due]:
    """Yield at least the last one and the next one."""
    today = local_day(now_s, timing.zone)
    for number in (-2, -1, 0, 1, 2):
        day, period = _day_and_period(timing, today, number)
        yield Due(_instant_s(timing, day), period)


def _day_and_period(timing: Timing, today: date, number: int) -> tuple[date, Period]:
    """Return the day, and the period before it, that is `number` days, weeks or months away."""
    if timing.cadence == "daily":
        day = today + number * _DAY
        return day, Period(day - _DAY, day - _DAY)
    if timing.cadence == "weekly":
        week = week_of(today + number * WEEK_DAYS * _DAY, 0)
        before = week_of(week.first_day - _DAY, 0)
        return week.first_day + (timing.weekday - 1) * _DAY, before
    month = month_of(today)
    for _ in range(abs(number)):
        month = month_of(month.last_day + _DAY if number > 0 else month.first_day - _DAY)
    day = min(month.first_day + (timing.month_day - 1) * _DAY, month.last_day)
    return day, month_of(month.first_day - _DAY)


def _instant_s(timing: Timing, day: date) -> int:
    """Return when a day's time of day is reached: the first time where the clocks show it twice;
    where they never show it, as long after the jump as it lies in the gap. It is always on the day.
    """
    shown_s = int(datetime.combine(day, timing.at, timing.zone).timestamp())
    start_s, end_s = day_start_s(day, timing.zone), day_end_s(day, timing.zone)
    return max(start_s, min(shown_s, end_s - 1))
