"""Event times: text with a zone, or milliseconds since 1970, to whole microseconds and back.

Text is RFC 3339, and some forms of ISO 8601 that devices write: a blank or a small `t` between date
and time, no seconds, a comma before the fraction, a zone as `+0200` or `+02`. A time without a zone
is refused, because it would be a guess. Digits beyond the microsecond are cut off, so that the same
text always gives the same time. Second 60 is read as the second after 59.

`parse_time_us` raises TimeError; the functions over many values return NO_TIME for a value that
cannot be read.
"""

import functools
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

NO_TIME = -(2**63)
EARLIEST_US = -62_135_596_800_000_000  # 0001-01-01T00:00:00Z
LATEST_US = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z
ANCIENT_BEFORE_US = 946_684_800_000_000  # 2000-01-01T00:00:00Z: no clock that is set is behind it

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_UTC = _EPOCH.replace(tzinfo=None)  # what is made of it is written with Z
_MICROSECOND = timedelta(microseconds=1)
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_SECOND_US = 1_000_000
_SHOWN_CHARACTERS = 48
MAX_CHARACTERS = 64
"""Of a time as a text: no pattern looks at a longer one."""
_SOON_US = 4_102_444_800_000_000  # 2100-01-01T00:00:00Z
_TEXT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    r"(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)",
    re.ASCII,
)


class TimeError(ValueError):
    """A text that is not a time with a zone."""

    def __init__(self, text: str) -> None:
        shown = repr(text[:_SHOWN_CHARACTERS])
        if len(shown) > _SHOWN_CHARACTERS:
            shown = shown[: _SHOWN_CHARACTERS - 3] + "..."
        lacks_zone = len(text) <= MAX_CHARACTERS and _TEXT.fullmatch(text + "Z")
        hint = ": its zone is missing" if lacks_zone else ""
        super().__init__(f"{shown} is not a time like 2026-01-31T12:00:00Z{hint}")
        self.text = text


def parse_time_us(text: str) -> int:
    """Return microseconds since 1970-01-01T00:00:00Z. Raises TimeError."""
    match = _TEXT.fullmatch(text) if len(text) <= MAX_CHARACTERS else None
    if match is None:
        raise TimeError(text)
    year, month, day, hour, minute, second, fraction, sign, zone_hour, zone_minute = match.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        raise TimeError(text) from None
    seconds_of_day = int(hour) * 3600 + int(minute) * 60 + int(second or 0)
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        raise TimeError(text)
    offset_s = int(zone_hour or 0) * 3600 + int(zone_minute or 0) * 60
    if int(zone_hour or 0) > 23 or int(zone_minute or 0) > 59:
        raise TimeError(text)
    utc_s = days * 86_400 + seconds_of_day - (-offset_s if sign == "-" else offset_s)
    time_us = utc_s * _SECOND_US + int((fraction or "0").ljust(6, "0")[:6])
    if not EARLIEST_US <= time_us <= LATEST_US:
        raise TimeError(text)
    return time_us


def format_time(time_us: int) -> str:
    """Format a time by RFC 3339 in UTC with Z: no fraction if it is zero, else three digits or six,
    as it needs.
    """
    moment = _EPOCH_UTC + timedelta(microseconds=time_us)
    if time_us % _SECOND_US == 0:
        timespec = "seconds"
    else:
        timespec = "microseconds" if time_us % 1000 else "milliseconds"
    return moment.isoformat(timespec=timespec) + "Z"


def format_ancient(time_us: int) -> str:
    """Format a time that is too old. Where seconds were sent, which are read as milliseconds, the
    text says so.
    """
    text, meant_us = format_time(time_us), 1000 * time_us
    if not ANCIENT_BEFORE_US <= meant_us < _SOON_US:
        return text
    return f"{text}; {format_time(meant_us)} if these were seconds: send milliseconds since 1970"


def to_datetime(time_us: int) -> datetime:
    """Return the same instant as an aware datetime. Raises OverflowError outside of years 1 to
    9999.
    """
    return _EPOCH + timedelta(microseconds=time_us)


def to_us(at: datetime) -> int:
    """Return an aware datetime as whole microseconds since 1970."""
    return (at - _EPOCH) // _MICROSECOND


def format_times(times_us: NDArray[np.int64]) -> list[str]:
    """Apply `format_time` to each of `times_us`, shape (n,)."""
    moments = times_us.astype("datetime64[us]")
    texts = np.empty(len(times_us), dtype=object)
    whole_second = times_us % _SECOND_US == 0
    whole_ms = times_us % 1000 == 0
    units: tuple[tuple[Literal["s", "ms", "us"], NDArray[np.bool_]], ...] = (
        ("s", whole_second),
        ("ms", whole_ms & ~whole_second),
        ("us", ~whole_ms),
    )
    for unit, chosen in units:
        if chosen.any():
            texts[chosen] = np.datetime_as_string(moments[chosen], unit=unit, timezone="UTC")
    return texts.tolist()


def epoch_ms_to_us(times_ms: Sequence[float] | NDArray[Any]) -> NDArray[np.int64]:
    """Convert milliseconds since 1970, whole or not, to microseconds; NO_TIME outside the years 1
    to 9999.

    Whole milliseconds are exact; a fraction is rounded to the microsecond.
    """
    given = np.asarray(times_ms, dtype=np.float64)
    good = (given >= EARLIEST_US // 1000) & (given < LATEST_US // 1000 + 1)
    safe = np.where(good, given, 0.0)
    whole = np.floor(safe)
    time_us = whole.astype(np.int64) * 1000 + np.rint((safe - whole) * 1000).astype(np.int64)
    return np.where(good & (time_us <= LATEST_US), time_us, NO_TIME)


def parse_times_us(texts: Sequence[str]) -> NDArray[np.int64]:
    """Apply `parse_time_us` to each text, shape (n,), NO_TIME where it cannot be read.

    The two forms that nearly all devices write, `...:00Z` and `...:00.000Z`, are read column by
    column; any other text goes through `parse_time_us`.
    """
    times_us = np.full(len(texts), NO_TIME, np.int64)
    if len(texts) >= _WORTH_COLUMNS:
        widths = np.fromiter(map(len, texts), np.intp, len(texts))
        for width in _FORMS:
            of_width = np.flatnonzero(widths == width)
            if len(of_width) == len(texts):
                times_us = _parse_form(_joined(texts), width)
            elif len(of_width):
                of_form = _joined([texts[i] for i in of_width.tolist()])
                times_us[of_width] = _parse_form(of_form, width)
    for i in np.flatnonzero(times_us == NO_TIME).tolist():
        try:
            times_us[i] = parse_time_us(texts[i])
        except TimeError:
            continue
    return times_us


def parse_joined_times_us(joined: bytes, width: int) -> NDArray[np.int64] | None:
    """Apply `parse_time_us` to texts of `width` bytes that stand side by side in `joined`.

    NO_TIME where a text is not of the form that its width says, though it may be a time; None where
    no form has this width.
    """
    return _parse_form(joined, width) if width in _FORMS else None


_WORTH_COLUMNS = 24  # below this many texts one by one is faster
# Day of 1970 on which each month from 0001-01 to 10000-01 begins.
_MONTH_START = (
    np.arange(-1969 * 12, (10_000 - 1970) * 12 + 1)
    .astype("datetime64[M]")
    .astype("datetime64[D]")
    .astype(np.int64)
)
# Two characters as one little-endian number -> the value of the two digits, -1 where they are none.
_PAIR = np.full(2**16, -1, np.int8)
for _value in range(100):
    _PAIR[int.from_bytes(b"%02d" % _value, "little")] = _value
# Where each part of a text stands; both forms begin alike.
_PAIRS = {"century": 0, "year": 2, "month": 5, "day": 8, "hour": 11, "minute": 14, "second": 17}
_MARKS = {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}
_FORMS: dict[int, dict[int, str]] = {20: _MARKS | {19: "Z"}, 24: _MARKS | {19: ".", 23: "Z"}}


def _joined(texts: Sequence[str]) -> bytes:
    # latin-1 with replacement keeps one byte per character, whatever the characters are
    return "".join(texts).encode("latin-1", "replace")


def _parse_form(joined: bytes, width: int) -> NDArray[np.int64]:
    part = {name: _PAIR[_stride(joined, width, offset, "<u2")] for name, offset in _PAIRS.items()}
    good = functools.reduce(np.bitwise_or, part.values()) >= 0  # a negative part makes all negative
    for offset, mark in _FORMS[width].items():
        good &= _stride(joined, width, offset, "u1") == ord(mark)
    year = part["century"].astype(np.int32) * 100 + part["year"]
    month_index = (year - 1) * 12 + part["month"] - 1
    good &= (part["month"] >= 1) & (part["month"] <= 12) & (year >= 1)
    month_index[~good] = 0
    first_day = _MONTH_START[month_index]
    good &= (part["day"] >= 1) & (part["day"] <= _MONTH_START[month_index + 1] - first_day)
    good &= (part["hour"] <= 23) & (part["minute"] <= 59) & (part["second"] <= 59)
    minutes = (first_day + part["day"] - 1) * 1440 + part["hour"] * np.int64(60) + part["minute"]
    time_us = (minutes * 60 + part["second"]) * _SECOND_US
    if width == 24:
        tens, units = _PAIR[_stride(joined, width, 20, "<u2")], _stride(joined, width, 22, "u1")
        good &= (tens >= 0) & (units >= ord("0")) & (units <= ord("9"))
        time_us += (tens * np.int64(10) + units - ord("0")) * 1000
    return np.where(good, time_us, NO_TIME)


def _stride(joined: bytes, width: int, offset: int, dtype: str) -> NDArray[Any]:
    """Return one part of every text of `width` characters, without copying."""
    return np.ndarray((len(joined) // width,), dtype, joined, offset, (width,))
