"""How values are written."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from api.http.encoding import time_text


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, "2026-01-02T03:04:05Z"),
        (120_000, "2026-01-02T03:04:05.120Z"),
        (7_000, "2026-01-02T03:04:05.007Z"),
        (123_456, "2026-01-02T03:04:05.123456Z"),
        (100, "2026-01-02T03:04:05.000100Z"),
    ],
)
def test_a_time_has_as_many_digits_as_it_needs(microsecond: int, text: str) -> None:
    for zone in (UTC, ZoneInfo("UTC")):
        assert time_text(datetime(2026, 1, 2, 3, 4, 5, microsecond, zone)) == text


def test_a_year_has_four_digits() -> None:
    assert time_text(datetime(7, 1, 2, tzinfo=UTC)) == "0007-01-02T00:00:00Z"
