"""Days and times as a language writes them."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from languages.catalogue import say
from languages.language import Language


def full_day(language: Language, day: date) -> str:
    """Return a day as in "2 Mar 2026"."""
    return say(language, "full-day", day=day.day, month=day.month, year=day.year)


def day_of_week(language: Language, day: date) -> str:
    """Return a day as in "Mon 2 Mar"."""
    weekday = day.isoweekday()
    return say(language, "day-of-week", weekday=weekday, day=day.day, month=day.month)


def full_time(language: Language, at: datetime, zone: ZoneInfo) -> str:
    """Return a time as in "2 Mar 2026 08:01"."""
    local = local_time(at, zone)
    return say(language, "full-time", day=full_day(language, local.date()), time=f"{local:%H:%M}")


def local_time(at: datetime, zone: ZoneInfo) -> datetime:
    """Return a time in a zone; as UTC has it where the zone's day would be before year 1, or after
    9999.
    """
    try:
        return at.astimezone(zone)
    except OverflowError:
        return at
