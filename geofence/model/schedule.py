"""Weekly hours in the time zone of a place: is it open at an instant, and when does it open.

A window goes from one local wall time to another on the days of the week that it names; where it
ends no later than it begins, it ends on the next day. The schedule is open wherever one of its
windows is: windows that touch or overlap start once.

Where the clocks are changed, a window goes from the first time that its beginning is reached to the
last time that its end is. So a wall time that is skipped counts as the moment of the jump, one that
happens twice begins a window the first time and ends one the second time, and a window that is
skipped as a whole does not open.

Instants are microseconds since 1970-01-01T00:00:00Z, of the years 2 to 9998. A window holds its
beginning and not its end. The rules of the time zones are those of the machine, or else of the
package `tzdata`.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import cast
from zoneinfo import ZoneInfo, available_timezones

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_WINDOWS = 50
MAX_SPAN_DAYS = 92  # of one call of opens_between: some thousands of starts at the most

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  (a wall time)
_UTC_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND, _SECOND, _DAY = timedelta(microseconds=1), timedelta(seconds=1), timedelta(days=1)
_DAY_MINUTES = 24 * 60
_WALL_TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class ScheduleError(ValueError):
    """JSON that is not a schedule. The fault lies with who wrote it.

    problem: one sentence: what is wrong, and what would be right. pointer: JSON pointer to it.
    """

    def __init__(self, problem: str, pointer: str = "") -> None:
        super().__init__(f"{pointer}: {problem}" if pointer else problem)
        self.problem = problem
        self.pointer = pointer


@dataclass(frozen=True, slots=True)
class Window:
    """Hours of some days of the week.

    days: 0 is Monday, ascending. from_minute, to_minute: wall time in minutes after midnight, to
    1,440; where `to_minute` is not above `from_minute` the window ends on the next day.
    """

    days: tuple[int, ...]
    from_minute: int
    to_minute: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """The weekly hours and dates that `parse_schedule` returns. timezone: a name of the IANA
    database.
    """

    timezone: str
    windows: tuple[Window, ...]


def is_open(schedule: Schedule, time_us: int) -> bool:
    """Return whether a window holds the instant."""
    days = _days_near(schedule, time_us, time_us)
    return any(start <= time_us < end for day in days for start, end in _hours(schedule, day))


def opens_between(schedule: Schedule, after_us: int, until_us: int) -> list[int]:
    """Return the instants in (after_us, until_us] at which the schedule opens, ascending.

    None where until_us is not above after_us. Raises ValueError where they lie more than
    MAX_SPAN_DAYS apart.
    """
    if (until_us - after_us) * _MICROSECOND > MAX_SPAN_DAYS * _DAY:
        raise ValueError(f"starts are told for at most {MAX_SPAN_DAYS} days at a time")
    if until_us <= after_us:
        return []
    days = _days_near(schedule, after_us, until_us)
    hours = (window for day in days for window in _hours(schedule, day))
    return [start for start in _starts(hours) if after_us < start <= until_us]


def _days_near(schedule: Schedule, first_us: int, last_us: int) -> range:
    """Return the days (ordinals) whose windows may reach into [first_us, last_us].

    A window of the day before may go on over midnight; one of the day after has begun where clocks
    that had passed midnight were put back behind it.
    """
    zone = ZoneInfo(schedule.timezone)
    first, last = (
        (_UTC_EPOCH + at_us * _MICROSECOND).astimezone(zone).toordinal()
        for at_us in (first_us, last_us)
    )
    return range(first - 1, last + 2)


@lru_cache(maxsize=4096)
def _hours(schedule: Schedule, day: int) -> tuple[tuple[int, int], ...]:
    """Return the instants [start, end) of the windows that begin on one local day (an ordinal)."""
    zone = ZoneInfo(schedule.timezone)
    midnight = datetime.fromordinal(day)
    spans: list[tuple[int, int]] = []
    for window in schedule.windows:
        if midnight.weekday() in window.days:
            over_midnight = window.to_minute <= window.from_minute
            to_minute = window.to_minute + (_DAY_MINUTES if over_midnight else 0)
            start = _reached_us(midnight + timedelta(minutes=window.from_minute), zone, fold=0)
            end = _reached_us(midnight + timedelta(minutes=to_minute), zone, fold=1)
            if start < end:
                spans.append((start, end))
    return tuple(spans)


def _reached_us(wall: datetime, zone: ZoneInfo, fold: int) -> int:
    """Return when the clocks of a time zone come to a wall time: first (fold 0) or
    last (fold 1).
    """
    before, after = (_offset(wall, zone, fold) for fold in (0, 1))
    if before < after:
        return _jump_us(wall - after, wall - before, wall, zone)
    return (wall - (after if fold else before) - _EPOCH) // _MICROSECOND


def _offset(wall: datetime, zone: ZoneInfo, fold: int) -> timedelta:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset()
    assert offset is not None
    return offset


def _jump_us(early: datetime, late: datetime, wall: datetime, zone: ZoneInfo) -> int:
    """Return the second in (early, late], both UTC, at which the clocks jump over `wall`."""
    while late - early > _SECOND:
        middle = early + (late - early) // 2 // _SECOND * _SECOND
        shown = middle.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)
        early, late = (early, middle) if shown >= wall else (middle, late)
    return (late - _EPOCH) // _MICROSECOND


def _starts(hours: Iterable[tuple[int, int]]) -> Iterator[int]:
    """Yield the beginnings of the union of windows, each piece once."""
    open_until: int | None = None
    for start, end in sorted(hours):
        if open_until is None or start > open_until:
            yield start
        open_until = end if open_until is None else max(open_until, end)


def parse_schedule(value: object) -> Schedule:
    """Return a schedule of decoded JSON; docs/geofence.md has its form. Raises ScheduleError."""
    fields = _object(value, "", ("timezone", "windows"))
    windows = fields["windows"]
    if not isinstance(windows, list) or not windows:
        raise ScheduleError(
            "a schedule has a list of at least one window; without a schedule it is always open",
            "/windows",
        )
    windows = cast(list[object], windows)
    if len(windows) > MAX_WINDOWS:
        raise ScheduleError(f"{len(windows)} windows; at most {MAX_WINDOWS}", "/windows")
    return Schedule(
        timezone=read_timezone(fields["timezone"]),
        windows=tuple(_window(window, f"/windows/{i}") for i, window in enumerate(windows)),
    )


def _object(value: object, pointer: str, names: tuple[str, ...]) -> Mapping[str, object]:
    """Return an object that has exactly these fields."""
    wanted = " and ".join((", ".join(names[:-1]), names[-1]))
    if not isinstance(value, dict):
        raise ScheduleError(f"not an object with {wanted}", pointer)
    fields = cast(dict[str, object], value)
    for name in names:
        if name not in fields:
            raise ScheduleError(f"{name} is missing", pointer)
    for name in fields:
        if name not in names:
            step = name.replace("~", "~0").replace("/", "~1")
            raise ScheduleError(f"unknown field; the fields are {wanted}", f"{pointer}/{step}")
    return fields


def read_timezone(value: object) -> str:
    """Return a name of the IANA database. Raises ScheduleError at /timezone, with a name that is
    close.
    """
    if isinstance(value, str) and value in _timezones():
        return value
    close = difflib.get_close_matches(str(value)[:64], _timezones(), n=1)
    example = close[0] if close else "Europe/Zurich"
    raise ScheduleError(
        f"{_shown(value)} is no time zone of the IANA database; write one such as {example}",
        "/timezone",
    )


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def _window(value: object, pointer: str) -> Window:
    fields = _object(value, pointer, ("days", "from", "to"))
    from_minute = _minute(fields["from"], f"{pointer}/from", last="23:59")
    to_minute = _minute(fields["to"], f"{pointer}/to", last="24:00")
    if from_minute == to_minute:
        raise ScheduleError(
            'the window ends when it begins; a whole day is from "00:00" to "24:00"',
            f"{pointer}/to",
        )
    return Window(_days(fields["days"], f"{pointer}/days"), from_minute, to_minute)


def _days(value: object, pointer: str) -> tuple[int, ...]:
    wanted = f"days are {', '.join(DAYS)}"
    if not isinstance(value, list) or not value:
        raise ScheduleError(f"not a list of at least one day; {wanted}", pointer)
    days_seen: set[int] = set()
    for place, day in enumerate(cast(list[object], value)):
        if not isinstance(day, str) or day not in DAYS:
            raise ScheduleError(f"{_shown(day)} is no day; {wanted}", f"{pointer}/{place}")
        if DAYS.index(day) in days_seen:
            raise ScheduleError(f"{day} is named twice", f"{pointer}/{place}")
        days_seen.add(DAYS.index(day))
    return tuple(sorted(days_seen))


def _minute(value: object, pointer: str, last: str) -> int:
    """Return minutes after midnight. last: the latest wall time that is allowed here."""
    if value == last == "24:00":
        return _DAY_MINUTES
    match = _WALL_TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ScheduleError(
            f'{_shown(value)} is no wall time; write hours and minutes, "00:00" to "{last}"',
            pointer,
        )
    return int(match[1]) * 60 + int(match[2])


def _shown(value: object) -> str:
    """Return a value as an error names it, not too long."""
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 40 else text[:37] + "..."
