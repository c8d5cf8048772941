"""Texts of documents: durations, times of day, figures, names."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.documents.texts import clocks_change, duration, figures, one_line, time_of_day
from languages.dates import full_time

pytestmark = pytest.mark.about("quotes", "work orders", "timesheets", "inspections")

ZURICH = ZoneInfo("Europe/Zurich")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00:00"),
        (59, "0:00:59"),
        (3_600, "1:00:00"),
        (360_061, "100:01:01"),
        (-1_800, "−0:30:00"),
    ],
)
def test_durations_have_hours_minutes_and_seconds(seconds: int, text: str) -> None:
    assert str(duration(seconds, shows_seconds=True)) == text
    assert str(duration(seconds, shows_seconds=False)) == text[:-3]


def test_a_change_has_a_sign_either_way() -> None:
    changes = (duration(s, shows_seconds=False, is_signed=True) for s in (1_800, -1_800))
    assert [str(change) for change in changes] == ["+0:30", "−0:30"]


@pytest.mark.parametrize(
    ("day", "utc", "text"),
    [
        ("2026-03-02", "2026-03-02T06:30:00", "07:30"),
        ("2026-03-02", "2026-03-02T23:00:00", "24:00"),
        ("2026-03-02", "2026-03-03T05:30:00", "06:30 +1"),
        ("2026-03-02", "2026-03-01T21:00:00", "22:00 −1"),
        # The clocks go forward at two, and back at three.
        ("2026-03-29", "2026-03-29T00:59:00", "01:59 CET"),
        ("2026-03-29", "2026-03-29T01:00:00", "03:00 CEST"),
        ("2026-10-25", "2026-10-25T00:30:00", "02:30 CEST"),
        ("2026-10-25", "2026-10-25T01:30:00", "02:30 CET"),
        ("2026-10-24", "2026-10-25T01:30:00", "02:30 +1 CET"),
        ("2026-10-24", "2026-10-24T22:00:00", "24:00"),
    ],
)
def test_a_time_of_day_is_read_from_its_line(day: str, utc: str, text: str) -> None:
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    shown = time_of_day(at, date.fromisoformat(day), ZURICH, shows_seconds=False)
    assert str(shown) == text


@pytest.mark.parametrize(
    ("utc", "zone", "text"),
    [
        ("0001-01-01T00:00:00", "America/Los_Angeles", "1 Jan 1 00:00"),
        ("9999-12-31T23:59:59", "Pacific/Auckland", "31 Dec 9999 23:59"),
        ("2026-03-02T06:30:00", "Europe/Zurich", "2 Mar 2026 07:30"),
    ],
)
def test_a_time_at_the_end_of_the_calendar_is_shown_as_utc(utc: str, zone: str, text: str) -> None:
    assert full_time("en", datetime.fromisoformat(utc).replace(tzinfo=UTC), ZoneInfo(zone)) == text


def test_clocks_change_twice_a_year() -> None:
    days = [date.fromordinal(date(2026, 1, 1).toordinal() + number) for number in range(365)]
    changes = [day for day in days if clocks_change(day, ZURICH)]
    assert changes == [date(2026, 3, 29), date(2026, 10, 25)]


def test_figures_have_the_units_of_their_names() -> None:
    values = {
        "distance_m": 412.3,
        "speed_mps": 70.0,
        "fix_age_s": 119.5,
        "delay_s": 8051.4,
        "satellites": 3.0,
    }
    assert figures("en", values) == (
        "distance 412.3 m, speed 70 m/s, fix age 119.5 s, delay 2:14:11, satellites 3"
    )


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("  Anna\n\tKeller ", "Anna Keller"),
        ("Łukasz Żółć", "Łukasz Żółć"),
        ("bell\x07 nul\x00", "bell nul"),
        ("08:00 \u202e00:71", "08:00 00:71"),
        ("👩\u200d👧", "👩\u200d👧"),
    ],
)
def test_a_text_is_set_on_one_line(text: str, line: str) -> None:
    assert one_line(text) == line


@given(st.text(max_size=50))
def test_a_line_stays_as_it_is(text: str) -> None:
    line = one_line(text)
    assert one_line(line) == line
    assert line.isprintable() or not line.isascii()
