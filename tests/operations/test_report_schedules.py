"""When reports are mailed, and about which days: in all time zones, over their jumps."""

from datetime import date, datetime, time
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from operations.hours.local_days import Period, day_end_s, day_start_s, month_of, week_of
from operations.report_schedules import Due, Timing, last_due, next_due

pytestmark = pytest.mark.every_python

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
DAY_S = 86_400


def at(text: str, zone: str = "UTC", fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(local.timestamp())


def timing(cadence: str, at: str = "06:00", zone: str = "UTC", **fields: int) -> Timing:
    when = Timing(cadence, 1, 1, time.fromisoformat(at), ZoneInfo(zone))
    return when._replace(**fields)


def days(first: str, last: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.parametrize(
    ("when", "now", "before", "period", "after"),
    [
        pytest.param(
            timing("daily"),
            "2026-03-01T05:59",
            "2026-02-28T06:00",
            days("2026-02-27", "2026-02-27"),
            "2026-03-01T06:00",
            id="a day, just before its time",
        ),
        pytest.param(
            timing("daily"),
            "2026-03-01T06:00",
            "2026-03-01T06:00",
            days("2026-02-28", "2026-02-28"),
            "2026-03-02T06:00",
            id="a day, at its time",
        ),
        pytest.param(
            timing("weekly"),
            "2026-03-02T06:00",
            "2026-03-02T06:00",
            days("2026-02-23", "2026-03-01"),
            "2026-03-09T06:00",
            id="a week, on its Monday",
        ),
        pytest.param(
            timing("weekly", weekday=3),
            "2026-03-09T12:00",
            "2026-03-04T06:00",
            days("2026-02-23", "2026-03-01"),
            "2026-03-11T06:00",
            id="a week, on Wednesdays",
        ),
        pytest.param(
            timing("weekly", weekday=7),
            "2026-03-07T12:00",
            "2026-03-01T06:00",
            days("2026-02-16", "2026-02-22"),
            "2026-03-08T06:00",
            id="a week, on Sundays: that which ended on the Sunday before",
        ),
        pytest.param(
            timing("monthly"),
            "2028-03-01T06:00",
            "2028-03-01T06:00",
            days("2028-02-01", "2028-02-29"),
            "2028-04-01T06:00",
            id="a month of 29 days",
        ),
        pytest.param(
            timing("monthly", month_day=31),
            "2026-03-15T00:00",
            "2026-02-28T06:00",
            days("2026-01-01", "2026-01-31"),
            "2026-03-31T06:00",
            id="the 31st, in February",
        ),
        pytest.param(
            timing("monthly", month_day=30),
            "2026-01-01T00:00",
            "2025-12-30T06:00",
            days("2025-11-01", "2025-11-30"),
            "2026-01-30T06:00",
            id="over the end of a year",
        ),
    ],
)
def test_the_period_that_has_just_ended(
    when: Timing, now: str, before: str, period: Period, after: str
) -> None:
    assert last_due(when, at(now)) == Due(at(before), period)
    assert next_due(when, at(now)).time_s == at(after)


@pytest.mark.parametrize(
    ("zone", "local", "day", "expected"),
    [
        pytest.param(
            *("Europe/Zurich", "02:30", "2026-03-29", at("2026-03-29T01:30")),
            id="what the clocks jump over, as long behind the jump",
        ),
        pytest.param(
            *("Europe/Zurich", "02:30", "2026-10-25", at("2026-10-25T00:30")),
            id="what they show twice, the first time",
        ),
        pytest.param(
            *("America/Santiago", "00:00", "2026-09-06", at("2026-09-06T04:00")),
            id="a midnight that there is not",
        ),
        pytest.param(
            *("Australia/Lord_Howe", "02:15", "2026-10-04", at("2026-10-03T15:45")),
            id="a jump of half an hour",
        ),
    ],
)
def test_times_where_the_clocks_change(zone: str, local: str, day: str, expected: int) -> None:
    noon = at(f"{day}T12:00", zone)
    assert last_due(timing("daily", local, zone), noon).time_s == expected


TIMINGS = st.builds(
    Timing,
    cadence=st.sampled_from(["daily", "weekly", "monthly"]),
    weekday=st.integers(1, 7),
    month_day=st.integers(1, 31),
    at=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
NOW = st.integers(at("1990-01-01"), at("2037-12-31"))


@given(TIMINGS, NOW)
@example(timing("daily", "10:00", "Pacific/Apia"), at("2011-12-30T12:00"))
@example(timing("daily", "23:59", "Atlantic/Azores"), at("2026-10-25T00:30"))
def test_each_period_is_due_once_after_its_end(when: Timing, now_s: int) -> None:
    zone, last, following = when.zone, last_due(when, now_s), next_due(when, now_s)
    assert last.time_s <= now_s < following.time_s
    # Nothing lies between the two, and no time between their periods.
    assert next_due(when, last.time_s) == following
    assert last_due(when, following.time_s) == following
    assert last_due(when, following.time_s - 1) == last
    assert day_end_s(last.period.last_day, zone) == day_start_s(following.period.first_day, zone)
    for due in (last, following):
        # Whole, over, and the newest of its kind.
        assert day_end_s(due.period.last_day, zone) <= due.time_s
        whole = {
            "daily": Period(due.period.first_day, due.period.first_day),
            "weekly": week_of(due.period.first_day, 0),
            "monthly": month_of(due.period.first_day),
        }
        assert due.period == whole[when.cadence]
        most_days = {"daily": 3, "weekly": 9, "monthly": 33}[when.cadence]
        assert due.time_s - day_end_s(due.period.last_day, zone) < most_days * DAY_S
