"""The values of a timesheet: their bounds, and how a day's hours are spread over its lines."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.documents.timesheet import (
    MAX_LINES,
    MAX_LINES_OF_A_DAY,
    MAX_TEXT_LENGTH,
    MAX_TEXT_TOTAL,
    AdjustmentLine,
    DocumentDay,
    DocumentError,
    NotedPunch,
    PaidHours,
    ShiftLine,
    TimesheetDecision,
    entries,
)
from tests.api.documents import examples
from tests.api.documents.examples import at

MONDAY = date(2026, 3, 2)
NOON = at(MONDAY, 12)
_DAY_S = 86_400


def worked(seconds: int) -> ShiftLine:
    return ShiftLine(NOON, NOON + timedelta(seconds=seconds), 0, seconds)


def adjusted(seconds: int, reason: str = "travel") -> AdjustmentLine:
    return AdjustmentLine(seconds, reason, "Maria", NOON)


def month_with(lines: int) -> list[DocumentDay]:
    return [DocumentDay(MONDAY + timedelta(n), shifts=(worked(60),) * lines) for n in range(10)]


REFUSED: dict[str, tuple[str, Any]] = {
    "a period of more than a month": ("last_day", {"last_day": MONDAY + timedelta(31)}),
    "a period that ends before it begins": ("last_day", {"last_day": MONDAY - timedelta(1)}),
    "a day before the period": ("days", {"days": (DocumentDay(MONDAY - timedelta(1)),)}),
    "a day after the period": ("days", {"days": (DocumentDay(MONDAY + timedelta(7)),)}),
    "a day twice": ("days", {"days": (DocumentDay(MONDAY),) * 2}),
    "an unknown time zone": ("timezone", {"timezone": "Europe/Bern"}),
    "a time zone that is a path": ("timezone", {"timezone": "../Zurich"}),
    "a time without a zone": ("generated_at", {"generated_at": datetime(2026, 4, 1)}),  # noqa: DTZ001  # the fault that is tried
    "a long name": ("employee", {"employee": "x" * (MAX_TEXT_LENGTH + 1)}),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_document_refuses(fault: str) -> None:
    field, changes = REFUSED[fault]
    with pytest.raises(DocumentError) as error:
        replace(examples.plain_week(), **changes)
    assert error.value.field == field


def test_a_document_has_a_bounded_number_of_lines() -> None:
    week = replace(examples.plain_week(), last_day=MONDAY + timedelta(30))
    most = MAX_LINES // 10
    assert replace(week, days=tuple(month_with(most)))
    with pytest.raises(DocumentError, match="lines: there are 510; a document has at most 500"):
        replace(week, days=tuple(month_with(most + 1)))


def test_a_document_has_a_bounded_number_of_characters() -> None:
    lines = (adjusted(60, "x" * MAX_TEXT_LENGTH),) * (MAX_TEXT_TOTAL // MAX_TEXT_LENGTH)
    with pytest.raises(DocumentError) as error:
        replace(examples.plain_week(), days=(DocumentDay(MONDAY, adjustments=lines),))
    assert error.value.field == "characters"


@pytest.mark.parametrize(
    "make",
    [
        lambda: worked(-1),
        lambda: adjusted(41 * _DAY_S),
        lambda: adjusted(60, "x" * (MAX_TEXT_LENGTH + 1)),
        lambda: DocumentDay(MONDAY, PaidHours(-1)),
        lambda: DocumentDay(MONDAY, shifts=(worked(1),) * (MAX_LINES_OF_A_DAY + 1)),
        lambda: replace(worked(1), started_at=datetime(2026, 3, 2)),  # noqa: DTZ001  # the fault that is tried
        lambda: replace(worked(1), flags=("open",) * 21),
        lambda: TimesheetDecision("Maria", datetime(2026, 3, 2)),  # noqa: DTZ001  # the fault that is tried
    ],
)
def test_a_line_refuses_what_no_line_has(make: Any) -> None:
    with pytest.raises(DocumentError):
        make()


def test_footnotes_count_as_lines() -> None:
    doubt = NotedPunch("in", NOON, "failed")
    day = DocumentDay(MONDAY, shifts=(replace(worked(60), noted=(doubt,) * 3),), loose=(doubt,))
    assert day.line_count == 5


@pytest.mark.parametrize(
    ("paid", "shifts", "adjustments", "expected"),
    [
        ((8, 0, 0), [8], [], [(8, 0, 0)]),
        ((8, 2, 1), [5, 6], [], [(5, 0, 0), (3, 2, 1)]),
        # What is taken off goes from the end.
        ((8, 0, 0), [10], [-2], [(10, 0, 0), (-2, 0, 0)]),
        ((8, 1, 0), [11], [-2], [(8, 3, 0), (0, -2, 0)]),
        ((8, 4, 1), [14], [1, -2], [(8, 4, 2), (0, 0, 1), (0, 0, -2)]),
        # All of a seventh day is overtime.
        ((0, 8, 2), [10], [], [(0, 8, 2)]),
        # The rest is a line of its own.
        ((8, 1, 0), [8], [], [(8, 0, 0), (0, 1, 0)]),
        ((8, 0, 0), [9], [], [(9, 0, 0), (-1, 0, 0)]),
        ((3, 0, 0), [], [], [(3, 0, 0)]),
        ((0, 0, 0), [], [], []),
    ],
)
def test_the_hours_of_a_day_are_spread_over_its_lines(
    paid: tuple[int, int, int],
    shifts: list[int],
    adjustments: list[int],
    expected: list[tuple[int, int, int]],
) -> None:
    day = DocumentDay(
        MONDAY, PaidHours(*paid), tuple(map(worked, shifts)), tuple(map(adjusted, adjustments))
    )
    assert [entry.paid for entry in entries(day)] == expected


SECONDS = st.integers(0, _DAY_S)


@given(
    st.builds(PaidHours, SECONDS, SECONDS, SECONDS),
    st.lists(SECONDS, max_size=5),
    st.lists(st.integers(-_DAY_S, _DAY_S), max_size=5),
)
def test_lines_add_up_to_their_day(
    paid: PaidHours, shifts: list[int], adjustments: list[int]
) -> None:
    day = DocumentDay(MONDAY, paid, tuple(map(worked, shifts)), tuple(map(adjusted, adjustments)))
    found = entries(day)
    assert all(entry.paid.total_s == entry.seconds for entry in found)
    assert PaidHours(*(sum(entry.paid[kind] for entry in found) for kind in range(3))) == paid


@given(st.builds(PaidHours, SECONDS, SECONDS, SECONDS), st.lists(st.integers(1, 50), max_size=5))
def test_each_second_is_paid_by_its_place_in_the_day(paid: PaidHours, weights: list[int]) -> None:
    """The brute force: the seconds of a day in a row, cut where the shifts end."""
    cuts = [paid.total_s * part // sum(weights) for part in accumulate(weights)]
    lengths = [end - start for start, end in zip([0, *cuts], cuts, strict=False)]
    ends = (paid.regular_s, paid.regular_s + paid.overtime_s, paid.total_s)
    day = DocumentDay(MONDAY, paid, tuple(map(worked, lengths)))
    start = 0
    for entry, length in zip(entries(day), lengths, strict=False):
        overlaps = [
            max(0, min(start + length, to) - max(start, since))
            for since, to in zip((0, *ends), ends, strict=False)
        ]
        assert list(entry.paid) == overlaps
        start += length


def test_the_period_sums_its_days_and_its_doubts() -> None:
    month = examples.crowded_month()
    assert month.paid.total_s == sum(day.paid.total_s for day in month.days)
    assert month.doubtful_s == 16_236 + 46_800
    assert [day.day for day in month.every_day()] == [date(2026, 3, n) for n in range(1, 32)]
