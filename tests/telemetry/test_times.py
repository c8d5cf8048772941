"""Times: what is read, what is refused, and that the three readers agree."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.times import (
    EARLIEST_US,
    LATEST_US,
    NO_TIME,
    TimeError,
    epoch_ms_to_us,
    format_time,
    format_times,
    parse_time_us,
    parse_times_us,
    to_datetime,
)

NOON_US = 1_769_860_800_000_000  # 2026-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2026-01-31T12:00:00Z", NOON_US),
        ("2026-01-31t12:00:00z", NOON_US),
        ("2026-01-31 12:00:00Z", NOON_US),
        ("2026-01-31T12:00Z", NOON_US),
        ("2026-01-31T14:00:00+02:00", NOON_US),
        ("2026-01-31T14:00:00+0200", NOON_US),
        ("2026-01-31T14:00:00+02", NOON_US),
        ("2026-01-31T06:30:00-05:30", NOON_US),
        ("2026-02-01T00:00:00+12:00", NOON_US),
        ("2026-01-31T12:00:00-00:00", NOON_US),
        ("2026-01-31T12:00:00.5Z", NOON_US + 500_000),
        ("2026-01-31T12:00:00,5Z", NOON_US + 500_000),
        ("2026-01-31T12:00:00.123456Z", NOON_US + 123_456),
        ("2026-01-31T12:00:00.999999999Z", NOON_US + 999_999),
        ("2026-01-31T11:59:60Z", NOON_US),
        ("2000-02-29T00:00:00Z", 951_782_400_000_000),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", EARLIEST_US),
        ("9999-12-31T23:59:59.999999Z", LATEST_US),
    ],
)
def test_a_time_with_a_zone_is_read(text: str, time_us: int) -> None:
    assert parse_time_us(text) == time_us
    assert parse_times_us([text] * 40).tolist() == [time_us] * 40


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31T12Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z",
        "2026-01-31T12:00:61Z",
        "2026-02-29T12:00:00Z",
        "2026-02-30T12:00:00.000Z",
        "2026-00-10T12:00:00Z",
        "2026-13-10T12:00:00Z",
        "2026-01-00T12:00:00Z",
        "2026-01-32T12:00:00Z",
        "0000-01-01T12:00:00Z",
        "1900-02-29T12:00:00Z",
        "2026-01-31T12:00:00+24:00",
        "2026-01-31T12:00:00+02:60",
        "2026-01-31T12:00:00.Z",
        "2026-01-31T12:00:00.1234567890Z",
        "2026-01-31T12:00:00Z\n",
        " 2026-01-31T12:00:00Z",
        "2026/01/31T12:00:00Z",
        "2026-01-31T1２:00:00Z",  # a digit, but not one of ASCII
        "2026-01-31T12:00:0éZ",
        "2026-01-31T12:00:00€",
        "12026-01-31T12:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(TimeError, match="is not a time like"):
        parse_time_us(text)
    assert parse_times_us([text] * 40).tolist() == [NO_TIME] * 40


@pytest.mark.parametrize(
    "text", ["2026-01-31T12:00:00", "2026-01-31 12:00", "2026-01-31T12:00:00.250"]
)
def test_a_time_without_a_zone_is_told_so(text: str) -> None:
    with pytest.raises(TimeError, match=r"like 2026-01-31T12:00:00Z: its zone is missing$"):
        parse_time_us(text)
    with pytest.raises(TimeError, match=r"00Z$"):
        parse_time_us(f"{text}+24:00")


def test_a_long_text_is_shown_shortened() -> None:
    with pytest.raises(TimeError) as error:
        parse_time_us("x" * 10_000)
    assert len(str(error.value)) < 120


def test_two_texts_of_wrong_length_do_not_make_two_good_ones() -> None:
    texts = ["2026-01-31T12:00:00Z"] * 40
    texts[3:5] = ["2026-01-31T12:00:00Z2", "026-01-31T12:00:00Z"]
    assert np.flatnonzero(parse_times_us(texts) == NO_TIME).tolist() == [3, 4]


moments = st.datetimes(timezones=st.just(UTC))


@given(moments)
def test_what_is_written_is_read_back(moment: datetime) -> None:
    time_us = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // (
        datetime.resolution  # one microsecond
    )
    assert parse_time_us(format_time(time_us)) == time_us
    assert to_datetime(time_us) == moment
    assert format_times(np.array([time_us])) == [format_time(time_us)]


@given(st.lists(moments, min_size=24, max_size=40), st.sampled_from(["seconds", "milliseconds"]))
def test_columns_are_read_as_one_by_one(when: list[datetime], timespec: str) -> None:
    texts = [moment.isoformat(timespec=timespec).replace("+00:00", "Z") for moment in when]
    assert parse_times_us(texts).tolist() == [parse_time_us(text) for text in texts]


@given(st.data())
def test_a_spoilt_text_is_read_as_alone(data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.250Z"]))
    place = data.draw(st.integers(0, len(text) - 1))
    spoilt = text[:place] + data.draw(st.characters()) + text[place + 1 :]
    try:
        expected = parse_time_us(spoilt)
    except TimeError:
        expected = NO_TIME
    assert parse_times_us([text] * 30 + [spoilt])[30] == expected


@pytest.mark.parametrize(
    ("time_us", "text"),
    [
        (NOON_US, "2026-01-31T12:00:00Z"),
        (NOON_US + 120_000, "2026-01-31T12:00:00.120Z"),
        (NOON_US + 120_001, "2026-01-31T12:00:00.120001Z"),
        (EARLIEST_US, "0001-01-01T00:00:00Z"),
    ],
)
def test_the_fraction_is_as_short_as_it_can_be(time_us: int, text: str) -> None:
    assert format_time(time_us) == text
    assert format_times(np.array([time_us, 0])) == [text, "1970-01-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("time_ms", "time_us"),
    [
        (0, 0),
        (-1, -1000),
        (1769860800000, NOON_US),
        (1769860800000.5, NOON_US + 500),
        (-0.5, -500),
        (253402300799999, LATEST_US - 999),
        (253402300799999.9999, NO_TIME),
        (253402300800000, NO_TIME),
        (EARLIEST_US // 1000, EARLIEST_US),
        (EARLIEST_US // 1000 - 1, NO_TIME),
        (float("nan"), NO_TIME),
        (float("inf"), NO_TIME),
        (-1e300, NO_TIME),
    ],
)
def test_milliseconds_become_microseconds(time_ms: float, time_us: int) -> None:
    assert epoch_ms_to_us([time_ms]).tolist() == [time_us]
