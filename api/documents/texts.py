"""Texts of documents: what people wrote, durations, times of day and figures, as a reader wants
them. Days and numbers are in `languages`.

Nothing here depends on the locale of the process.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import NamedTuple
from unicodedata import category
from zoneinfo import ZoneInfo

from languages.catalogue import named
from languages.dates import local_time
from languages.language import Language
from languages.numbers import figure

# They change the direction of text that stands beside them: a name could turn a figure round.
_DIRECTIONS = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
_UNITS = {"_m": " m", "_mps": " m/s"}
_BLANK_LINES = re.compile("\n{3,}")
_CLOCK_FROM_S = 120  # seconds beyond it are shown as a clock


def one_line(text: str) -> str:
    """Return a text on one line, without control characters."""
    kept = text.translate(_DIRECTIONS)
    return " ".join("".join(" " if category(c) in ("Cc", "Cs") else c for c in kept).split())


def paragraph(text: str | None) -> str:
    """Return a text with its line breaks, without other control characters. Several blank lines are
    one, and none at either end.
    """
    lines = "\n".join(map(one_line, (text or "").splitlines()))
    return _BLANK_LINES.sub("\n\n", lines).strip("\n")


class Clock(NamedTuple):
    """A duration or a time of day in parts, so that seconds can be printed small.

    mark: what follows, such as "+1" for the next day.
    """

    minutes: str
    seconds: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return self.minutes + self.seconds + (self.mark and f" {self.mark}")


def duration(seconds: int, *, shows_seconds: bool, is_signed: bool = False) -> Clock:
    """Return a duration as h:mm or h:mm:ss. is_signed: with a plus where it is positive."""
    hours, rest = divmod(abs(seconds), 3600)
    sign = "−" if seconds < 0 else "+" if is_signed else ""
    return Clock(f"{sign}{hours}:{rest // 60:02d}", f":{rest % 60:02d}" if shows_seconds else "")


def time_of_day(at: datetime, day: date, zone: ZoneInfo, *, shows_seconds: bool) -> Clock:
    """Return a time as a reader of a day's line needs it.

    The midnight at which the day ends is 24:00. Another day is marked by its distance, and on a day
    on which the clocks change, the time has the name of its offset.
    """
    local = local_time(at, zone)
    away = (local.date() - day).days
    if away == 1 and (local.hour, local.minute, local.second) == (0, 0, 0):
        return Clock("24:00", ":00" if shows_seconds else "")
    marks = [f"{away:+d}".replace("-", "−")] if away else []
    if clocks_change(local.date(), zone):
        marks.append(local.tzname() or "")
    seconds = f":{local:%S}" if shows_seconds else ""
    return Clock(f"{local:%H:%M}", seconds, " ".join(marks))


def clocks_change(day: date, zone: ZoneInfo) -> bool:
    """Return whether a local day has other than 24 hours."""
    midnights = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (day, day + timedelta(1)))
    return len({midnight.utcoffset() for midnight in midnights}) > 1


def figures(language: Language, values: Mapping[str, float]) -> str:
    """Return figures with their units, which their names end with: "distance 62 m"."""
    return ", ".join(_figure(language, name, value) for name, value in values.items())


def _figure(language: Language, name: str, value: float) -> str:
    number = figure(language, f"{value:.2f}".rstrip("0").rstrip("."))
    if name.endswith("_s"):
        is_long = abs(value) >= _CLOCK_FROM_S
        number = str(duration(round(value), shows_seconds=True)) if is_long else f"{number} s"
        return f"{named(language, 'figure', name.removesuffix('_s'))} {number}"
    for suffix, unit in _UNITS.items():
        if name.endswith(suffix):
            return f"{named(language, 'figure', name.removesuffix(suffix))} {number}{unit}"
    return f"{named(language, 'figure', name)} {number}"


def listed(parts: Iterable[str]) -> str:
    """Return the parts that are not empty, with commas."""
    return ", ".join(part for part in parts if part)
