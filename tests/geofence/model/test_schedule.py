"""Weekly hours, held against the clocks of the place minute by minute."""

import functools
import json
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.model.schedule import (
    DAYS,
    MAX_SPAN_DAYS,
    MAX_WINDOWS,
    Schedule,
    ScheduleError,
    Window,
    is_open,
    opens_between,
    parse_schedule,
)
from telemetry.times import parse_time_us

CASES = json.loads((Path(__file__).parents[2] / "cases" / "schedules.json").read_text())
MINUTE_US = 60_000_000
DAY_US = 86_400_000_000

# Days on or around which the clocks of a place were changed, and some on which they were not.
PLACES = [
    ("Europe/Zurich", date(2026, 3, 29)),
    ("Europe/Zurich", date(2026, 10, 25)),
    ("America/New_York", date(2026, 3, 8)),
    ("America/New_York", date(2026, 11, 1)),
    ("Australia/Lord_Howe", date(2026, 4, 5)),
    ("Australia/Lord_Howe", date(2026, 10, 4)),
    ("Asia/Kathmandu", date(2026, 6, 1)),
    ("Asia/Kathmandu", date(1986, 1, 1)),
    ("America/Sao_Paulo", date(2017, 10, 15)),
    ("America/Sao_Paulo", date(2018, 2, 18)),
    ("America/Sao_Paulo", date(2018, 11, 4)),
    ("America/Sao_Paulo", date(2019, 2, 17)),
    ("America/St_Johns", date(2006, 4, 2)),  # where one minute past midnight was the hour
    ("America/St_Johns", date(2006, 10, 29)),
    ("Pacific/Apia", date(2011, 12, 30)),
    ("Pacific/Kwajalein", date(1993, 8, 21)),
    ("Africa/Casablanca", date(2026, 2, 15)),
    ("UTC", date(2026, 1, 1)),
]

minutes_of_day = st.one_of(st.integers(0, 5 * 60), st.integers(0, 24 * 60 - 1))


@st.composite
def windows(draw) -> Window:
    days = draw(st.sets(st.integers(0, 6), min_size=1))
    start = draw(minutes_of_day)
    end = draw(st.one_of(minutes_of_day, st.just(24 * 60)).filter(lambda minute: minute != start))
    return Window(tuple(sorted(days)), start, end)


def schedules(timezone: str):
    pieces = st.lists(windows(), min_size=1, max_size=3)
    return pieces.map(lambda found: Schedule(timezone, tuple(found)))


@functools.cache
def clocks(timezone: str, day: date):
    """Return each minute of a week before and after noon UTC of a day: instants, wall times."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    first = noon - timedelta(days=7)
    steps = [timedelta(minutes=minute) for minute in range(14 * 1440)]
    walls = [(first + step).astimezone(ZoneInfo(timezone)) for step in steps]
    shown = [(wall.toordinal(), wall.hour * 60 + wall.minute) for wall in walls]
    wall_minutes = np.array([day * 1440 + minute for day, minute in shown])
    instants = int(first.timestamp()) * 1_000_000 + MINUTE_US * np.arange(len(steps))
    return instants, wall_minutes


def open_minutes(schedule: Schedule, day: date):
    """Return which minutes of `clocks` lie in a window, by looking when the clocks reach its two
    ends.
    """
    _, wall = clocks(schedule.timezone, day)
    result = np.zeros(len(wall), dtype=bool)
    for days_later in range(-5, 5):
        that_day = day + timedelta(days=days_later)
        midnight = that_day.toordinal() * 1440
        for window in schedule.windows:
            if that_day.weekday() not in window.days:
                continue
            length = (window.to_minute - window.from_minute) % 1440 or 1440
            start, end = (
                np.flatnonzero((wall[:-1] < minute) & (minute <= wall[1:])) + 1
                for minute in (
                    midnight + window.from_minute,
                    midnight + window.from_minute + length,
                )
            )
            result[start[0] : end[-1]] = True
    return result


@given(data=st.data(), place=st.sampled_from(PLACES))
def test_minute_by_minute_it_is_open_when_the_clocks_of_the_place_say_so(data, place):
    timezone, day = place
    schedule = data.draw(schedules(timezone))
    instants, _ = clocks(timezone, day)
    middle = slice(5 * 1440, 9 * 1440)
    expected = open_minutes(schedule, day)[middle]
    times_us = instants[middle].tolist()
    assert [is_open(schedule, time_us) for time_us in times_us] == expected.tolist()
    opened = np.flatnonzero(~expected[:-1] & expected[1:]) + 1
    found = opens_between(schedule, times_us[0], times_us[-1])
    assert found == [times_us[minute] for minute in opened]


@given(data=st.data(), place=st.sampled_from(PLACES), first=st.integers(-3000, 3000))
def test_an_opening_is_the_microsecond_at_which_closed_becomes_open(data, place, first):
    timezone, day = place
    schedule = data.draw(schedules(timezone))
    noon_us = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000
    after_us = noon_us + first * MINUTE_US
    for opening in opens_between(schedule, after_us, after_us + 9 * DAY_US):
        assert is_open(schedule, opening)
        assert not is_open(schedule, opening - 1)


@given(
    data=st.data(),
    place=st.sampled_from(PLACES),
    cuts=st.lists(st.integers(-10 * 1440, 10 * 1440), min_size=2, max_size=5),
)
def test_openings_of_two_spans_are_those_of_both_together(data, place, cuts):
    timezone, day = place
    schedule = data.draw(schedules(timezone))
    noon_us = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1_000_000
    ends = [noon_us + cut * MINUTE_US for cut in sorted(cuts)]
    pieces = [t for span in pairwise(ends) for t in opens_between(schedule, *span)]
    assert pieces == opens_between(schedule, ends[0], ends[-1])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_week_as_people_count_it(case):
    schedule = parse_schedule({name: case[name] for name in ("timezone", "windows")})
    after_us, until_us = parse_time_us(case["after"]), parse_time_us(case["until"])
    expected = [parse_time_us(t) for t in case["opens"]]
    assert opens_between(schedule, after_us, until_us) == expected
    assert [t for t in case["open_at"] if not is_open(schedule, parse_time_us(t))] == []
    assert [t for t in case["closed_at"] if is_open(schedule, parse_time_us(t))] == []


WORK = {"timezone": "UTC", "windows": [{"days": ["mon"], "from": "08:00", "to": "17:30"}]}


def test_a_span_holds_its_end_and_not_its_beginning():
    schedule = parse_schedule(WORK)
    monday_us = parse_time_us("2026-01-05T08:00:00Z")
    assert opens_between(schedule, monday_us - 1, monday_us) == [monday_us]
    assert opens_between(schedule, monday_us, monday_us + DAY_US) == []
    assert opens_between(schedule, monday_us, monday_us) == []
    assert opens_between(schedule, monday_us, monday_us - DAY_US) == []


def test_a_span_has_a_bound():
    schedule = parse_schedule(WORK)
    longest_us = MAX_SPAN_DAYS * DAY_US
    assert len(opens_between(schedule, 0, longest_us)) == MAX_SPAN_DAYS // 7
    with pytest.raises(ValueError, match="92 days at a time"):
        opens_between(schedule, 0, longest_us + 1)


def test_json_becomes_values():
    read = parse_schedule(
        {
            "timezone": "Asia/Kathmandu",
            "windows": [
                {"days": ["tue", "mon"], "from": "08:00", "to": "17:30"},
                {"days": list(DAYS), "from": "00:00", "to": "24:00"},
            ],
        }
    )
    assert read == Schedule(
        "Asia/Kathmandu", (Window((0, 1), 480, 1050), Window(tuple(range(7)), 0, 1440))
    )


def hours(**changes) -> dict:
    return WORK | {"windows": [WORK["windows"][0] | changes]}


@pytest.mark.parametrize(
    ("value", "pointer", "says"),
    [
        ([], "", "an object with timezone and windows"),
        ("mon 08:00-17:00", "", "an object with timezone and windows"),
        ({"timezone": "UTC"}, "", "windows is missing"),
        (WORK | {"tz": "UTC"}, "/tz", "the fields are timezone and windows"),
        (WORK | {"a/b~c": 1}, "/a~1b~0c", "unknown field"),
        (WORK | {"timezone": "Europe/Zürich"}, "/timezone", "such as Europe/Zurich"),
        (WORK | {"timezone": "europe/berlin"}, "/timezone", "such as Europe/Berlin"),
        (WORK | {"timezone": "Europe"}, "/timezone", "no time zone"),
        (WORK | {"timezone": "../UTC"}, "/timezone", "no time zone"),
        (WORK | {"timezone": "right/UTC"}, "/timezone", "no time zone"),
        (WORK | {"timezone": "+01:00"}, "/timezone", "no time zone"),
        (WORK | {"timezone": ""}, "/timezone", "no time zone"),
        (WORK | {"timezone": None}, "/timezone", "None is no time zone"),
        (WORK | {"windows": []}, "/windows", "at least one window"),
        (WORK | {"windows": {}}, "/windows", "at least one window"),
        (WORK | {"windows": WORK["windows"] * (MAX_WINDOWS + 1)}, "/windows", "at most 50"),
        (WORK | {"windows": ["mon"]}, "/windows/0", "an object with days, from and to"),
        (
            WORK | {"windows": [*WORK["windows"], {"days": ["mon"], "from": "08:00"}]},
            "/windows/1",
            "to is missing",
        ),
        (hours(until="17:30"), "/windows/0/until", "the fields are days, from and to"),
        (hours(days=[]), "/windows/0/days", "at least one day"),
        (hours(days="mon"), "/windows/0/days", "mon, tue, wed"),
        (hours(days=["mon", "monday"]), "/windows/0/days/1", '"monday" is no day; days are mon,'),
        (hours(days=[1]), "/windows/0/days/0", "1 is no day"),
        (hours(days=["mon", "mon"]), "/windows/0/days/1", "mon is named twice"),
        (hours(**{"from": "8:00"}), "/windows/0/from", '"8:00" is no wall time; write hours'),
        (hours(**{"from": "24:00"}), "/windows/0/from", '"00:00" to "23:59"'),
        (hours(**{"from": 480}), "/windows/0/from", "480 is no wall time"),
        (hours(to="24:01"), "/windows/0/to", '"00:00" to "24:00"'),
        (hours(to="17:30:00"), "/windows/0/to", "no wall time"),
        (hours(to="１7:30"), "/windows/0/to", "no wall time"),
        (hours(to="17:30\n"), "/windows/0/to", "no wall time"),
        (hours(to="x" * 1000), "/windows/0/to", "xxx... is no wall time"),
        (hours(to="08:00"), "/windows/0/to", 'a whole day is from "00:00" to "24:00"'),
    ],
)
def test_an_error_says_where_and_what_would_be_right(value, pointer, says):
    with pytest.raises(ScheduleError) as caught:
        parse_schedule(value)
    assert caught.value.pointer == pointer
    assert says in caught.value.problem
    assert len(caught.value.problem) < 200
