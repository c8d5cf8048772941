"""Local days: where the days of a time zone begin, and the periods that are paid together.

A day begins when its midnight is first reached. Where the clocks jump over midnight, the day begins
with the jump. So days follow each other without a gap, and have 23, 24 or 25 hours, or what else
the zone makes of them. Instants are whole seconds since 1970-01-01T00:00:00Z.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

from operations.errors import RuleError

PeriodLength = Literal["week", "two_weeks", "month"]
WEEK_DAYS = 7
_DAY = timedelta(days=1)


class Span(NamedTuple):
    """The seconds from start_s up to, and without, end_s."""

    start_s: int
    end_s: int

    @property
    def length_s(self) -> int:
        """The elapsed seconds."""
        return self.end_s - self.start_s


class Period(NamedTuple):
    """The days from the first to the last, both included."""

    first_day: date
    last_day: date

    def days(self) -> Iterator[date]:
        """Yield each day, in order."""
        for number in range(self.first_day.toordinal(), self.last_day.toordinal() + 1):
            yield date.fromordinal(number)

    def span(self, zone: ZoneInfo) -> Span:
        """Return the seconds of the period in a time zone."""
        return Span(day_start_s(self.first_day, zone), day_start_s(self.last_day + _DAY, zone))


def zone_of(timezone: str) -> ZoneInfo:
    """Return the time zone of an IANA name. Raises RuleError for any other text."""
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        problem = f"{timezone!r}; it must be an IANA name such as Europe/Zurich"
        raise RuleError("timezone", problem) from None


def day_start_s(day: date, zone: ZoneInfo) -> int:
    """Return the first instant of a local day."""
    midnight = datetime.combine(day, time(), zone)
    first, last = (int(midnight.replace(fold=fold).timestamp()) for fold in (0, 1))
    if first <= last:
        return first
    # The clocks jump over midnight, at some second between the two readings.
    seconds = range(last, first + 1)
    return seconds[bisect_left(seconds, day, key=lambda second: _shown_day(second, zone))]


def day_end_s(day: date, zone: ZoneInfo) -> int:
    """Return the first instant behind a local day."""
    return day_start_s(day + _DAY, zone)


def local_day(time_s: int, zone: ZoneInfo) -> date:
    """Return the local day that holds an instant."""
    day = _shown_day(time_s, zone)
    # Clocks that are put back from after midnight show the day before once more.
    return day + _DAY if time_s >= day_start_s(day + _DAY, zone) else day


def _shown_day(time_s: int, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(time_s, zone).date()


def cut_at_midnight(span: Span, zone: ZoneInfo) -> Iterator[tuple[date, Span]]:
    """Yield the part of a span on each local day that it touches, in order."""
    day, start_s = local_day(span.start_s, zone), span.start_s
    while start_s < span.end_s:
        end_s = min(span.end_s, day_start_s(day + _DAY, zone))
        if start_s < end_s:  # a zone may skip a whole day
            yield day, Span(start_s, end_s)
        day, start_s = day + _DAY, end_s


def week_of(day: date, first_weekday: int) -> Period:
    """Return the week that holds a day. first_weekday: 0 is Monday."""
    first = day - timedelta(days=(day.weekday() - first_weekday) % WEEK_DAYS)
    return Period(first, first + timedelta(days=WEEK_DAYS - 1))


def whole_weeks(period: Period, first_weekday: int) -> Period:
    """Return a period made longer at both ends, to whole weeks."""
    first = week_of(period.first_day, first_weekday).first_day
    return Period(first, week_of(period.last_day, first_weekday).last_day)


def two_weeks_of(day: date, anchor: date) -> Period:
    """Return the two weeks that hold a day. anchor: the first day of any such two weeks."""
    first = day - timedelta(days=(day - anchor).days % (2 * WEEK_DAYS))
    return Period(first, first + timedelta(days=2 * WEEK_DAYS - 1))


def month_of(day: date) -> Period:
    """Return the calendar month that holds a day."""
    next_month = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    return Period(day.replace(day=1), next_month - _DAY)
