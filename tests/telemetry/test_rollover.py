"""Which times are whole rounds of 1,024 weeks behind their receipt."""

import numpy as np
import pytest

from telemetry.rollover import DAY_US, ROUND_US, rounds_missing
from telemetry.times import EARLIEST_US, LATEST_US, parse_time_us

NOW_US = parse_time_us("2026-11-24T12:00:00Z")
CASES = [
    (0, 0),
    (-DAY_US, 0),
    (-ROUND_US, 1),
    (-ROUND_US - DAY_US, 1),
    (-ROUND_US - DAY_US - 1, 0),
    (-ROUND_US + DAY_US, 1),
    (-ROUND_US + DAY_US + 1, 0),
    (-2 * ROUND_US, 2),
    (-3 * ROUND_US, 0),
    (ROUND_US, 0),
]


@pytest.mark.parametrize(("offset_us", "rounds"), CASES)
def test_a_time_within_a_day_of_its_receipt_after_whole_rounds_lacks_them(
    offset_us: int, rounds: int
) -> None:
    assert rounds_missing(np.array([NOW_US + offset_us]), NOW_US).tolist() == [rounds]


def test_the_ends_of_time_lack_nothing() -> None:
    assert rounds_missing(np.array([EARLIEST_US, LATEST_US]), NOW_US).tolist() == [0, 0]


def test_a_round_is_what_gps_makes_of_ten_bits() -> None:
    first, second = parse_time_us("1980-01-06T00:00:00Z"), parse_time_us("1999-08-22T00:00:00Z")
    assert second - first == ROUND_US
