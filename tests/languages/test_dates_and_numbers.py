"""Days, times and numbers as each language writes them."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from languages.dates import day_of_week, full_day, full_time
from languages.language import Language
from languages.numbers import figure, number, percent

DAYS = {
    "en": "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
}


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_year_has_twelve_months(language: Language) -> None:
    point = "." if language == "de" else ""
    days = [full_day(language, date(2026, month, 3)) for month in range(1, 13)]
    assert days == [f"3{point} {month} 2026" for month in DAYS[language].split()]


def test_a_week_has_seven_days() -> None:
    week = [date(2026, 8, day) for day in range(31, 24, -1)]
    english, german = ([day_of_week(each, day) for day in week] for each in ("en", "de"))
    assert english[0] == "Mon 31 Aug"
    assert german[0] == "Mo, 31. Aug."
    assert [day.split()[0] for day in english] == ["Mon", "Sun", "Sat", "Fri", "Thu", "Wed", "Tue"]
    assert [day.split(",")[0] for day in german] == ["Mo", "So", "Sa", "Fr", "Do", "Mi", "Di"]


def test_a_time_is_that_of_a_zone() -> None:
    at, zone = datetime(2026, 3, 2, 22, 30, tzinfo=UTC), ZoneInfo("Europe/Zurich")
    assert full_time("en", at, zone) == "2 Mar 2026 23:30"
    assert full_time("de", at, zone) == "2. März 2026, 23:30\u00a0Uhr"


@pytest.mark.parametrize(
    ("value", "english", "german"),
    [
        (1_234_567.25, "1,234,567.25", "1.234.567,25"),
        (-8.0, "-8", "-8"),
        (1e16, "10,000,000,000,000,000", "10.000.000.000.000.000"),
        (1e-7, "0.0000001", "0,0000001"),
    ],
)
def test_a_number_has_all_its_digits(value: float, english: str, german: str) -> None:
    assert (number("en", value), number("de", value)) == (english, german)


def test_figures_have_the_marks_of_the_language() -> None:
    assert figure("de", "CHF 3,080.85") == "CHF 3.080,85"
    assert (percent("en", "8.1"), percent("de", "8.1")) == ("8.1%", "8,1\u00a0%")
