"""Local days follow each other without a gap, and periods do too."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.errors import RuleError
from operations.hours.local_days import (
    Span,
    cut_at_midnight,
    day_start_s,
    local_day,
    month_of,
    two_weeks_of,
    week_of,
    whole_weeks,
    zone_of,
)

ZONES = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "America/Santiago"]
ZONES += ["Atlantic/Azores", "America/Nuuk", "Asia/Kathmandu", "Pacific/Apia", "Africa/Cairo"]
days = st.dates(date(1971, 1, 1), date(2037, 12, 31))


def utc_s(*moment):
    return int(datetime(*moment, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("timezone", "day", "start_s"),
    [
        ("UTC", date(2026, 1, 1), utc_s(2026, 1, 1)),
        ("Europe/Zurich", date(2026, 3, 29), utc_s(2026, 3, 28, 23)),
        ("Europe/Zurich", date(2026, 3, 30), utc_s(2026, 3, 29, 22)),
        ("America/Santiago", date(2026, 9, 6), utc_s(2026, 9, 6, 4)),  # begins at 01:00
        ("America/Santiago", date(2026, 4, 5), utc_s(2026, 4, 5, 4)),  # 24:00 is reached once
        ("Atlantic/Azores", date(2026, 10, 25), utc_s(2026, 10, 25, 0)),  # the first 00:00
        ("America/Toronto", date(1919, 3, 31), utc_s(1919, 3, 31, 4, 30)),  # 23:30 became 00:30
        ("Pacific/Apia", date(2011, 12, 30), utc_s(2011, 12, 30, 10)),  # a day that never was
        ("Pacific/Apia", date(2011, 12, 31), utc_s(2011, 12, 30, 10)),
    ],
)
def test_a_day_begins_when_its_midnight_is_first_reached_or_jumped_over(timezone, day, start_s):
    assert day_start_s(day, ZoneInfo(timezone)) == start_s


def test_clocks_that_go_back_over_midnight_do_not_bring_the_day_before_again():
    zone = ZoneInfo("America/St_Johns")  # in 2006 they went back a minute after midnight
    midnight_s = utc_s(2006, 10, 29, 2, 30)
    assert datetime.fromtimestamp(midnight_s + 90, zone).day == 28
    assert [local_day(midnight_s + more, zone).day for more in (-1, 0, 90, 3600)] == [
        28,
        29,
        29,
        29,
    ]


@given(st.sampled_from(ZONES), days, st.integers(0, 86_399))
def test_an_instant_lies_in_its_local_day(timezone, day, second):
    zone = ZoneInfo(timezone)
    time_s = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) + second
    found = local_day(time_s, zone)
    assert day_start_s(found, zone) <= time_s < day_start_s(found + timedelta(1), zone)
    assert found == datetime.fromtimestamp(time_s, zone).date()


@given(st.sampled_from(ZONES), days, st.integers(0, 86_399), st.integers(0, 400_000))
def test_parts_of_days_make_the_span(timezone, day, second, length_s):
    zone = ZoneInfo(timezone)
    start_s = day_start_s(day, zone) + second
    parts = list(cut_at_midnight(Span(start_s, start_s + length_s), zone))
    ends = [start_s, *(part.end_s for _, part in parts)]
    assert [part.start_s for _, part in parts] == ends[:-1]
    assert ends[-1] == start_s + length_s
    assert all(local_day(part.start_s, zone) == found for found, part in parts)
    assert all(local_day(part.end_s - 1, zone) == found for found, part in parts)
    assert len({found for found, _ in parts}) == len(parts)


@given(days, st.integers(0, 6), st.dates(date(1970, 1, 1), date(2040, 1, 1)))
def test_periods_of_one_kind_hold_each_day_once(day, first_weekday, anchor):
    kinds = (lambda d: week_of(d, first_weekday), lambda d: two_weeks_of(d, anchor), month_of)
    for kind, lengths in zip(kinds, ({7}, {14}, {28, 29, 30, 31}), strict=True):
        period = kind(day)
        assert day in period.days()
        assert len(list(period.days())) in lengths
        assert {kind(each) for each in period.days()} == {period}
        after = kind(period.last_day + timedelta(1))
        assert after.first_day == period.last_day + timedelta(1)
    assert week_of(day, first_weekday).first_day.weekday() == first_weekday
    assert anchor in two_weeks_of(anchor, anchor).days()
    assert two_weeks_of(anchor, anchor).first_day == anchor


@given(days, st.integers(0, 6))
def test_whole_weeks_are_the_weeks_of_a_period(day, first_weekday):
    period = month_of(day)
    expected = {each for d in period.days() for each in week_of(d, first_weekday).days()}
    assert set(whole_weeks(period, first_weekday).days()) == expected


@pytest.mark.parametrize("timezone", ["Europe/Zürich", "", "../etc/passwd", "CEST+2", "a" * 300])
def test_what_is_no_time_zone_is_refused(timezone):
    with pytest.raises(RuleError, match="IANA name such as Europe/Zurich") as found:
        zone_of(timezone)
    assert found.value.field == "timezone"
