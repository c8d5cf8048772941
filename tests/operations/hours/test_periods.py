"""Timesheets of days that have none yet: no day is left out, and none is on two timesheets."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.hours.local_days import Period, PeriodLength
from operations.hours.timesheet_states import MOVES, STATES, TIMESHEETS, State
from operations.hours.timesheets import TimesheetRules, missing_periods, period_of
from operations.states import IllegalMoveError

ANCHOR = date(2026, 3, 2)  # a Monday


def rules(period: PeriodLength) -> TimesheetRules:
    return TimesheetRules(period=period, anchor=ANCHOR)


def days(*numbers: int) -> list[date]:
    """Return days of March 2026."""
    return [date(2026, 3, number) for number in numbers]


def period(first: int, last: int) -> Period:
    return Period(*days(first, last))


@pytest.mark.parametrize(
    ("wanted", "known", "missing"),
    [
        (days(4, 6), [], [period(1, 31)]),
        (days(4), [period(1, 31)], []),
        (days(4), [period(9, 15)], [period(1, 8)]),
        (days(20), [period(9, 15)], [period(16, 31)]),
        (days(18), [period(9, 15), period(23, 29)], [period(16, 22)]),
        (days(4, 18), [period(9, 15)], [period(1, 8), period(16, 31)]),
        (days(10), [period(9, 15)], []),
    ],
)
def test_a_month_is_cut_where_weeks_are_known(
    wanted: list[date], known: list[Period], missing: list[Period]
) -> None:
    assert missing_periods(wanted, known, rules("month")) == missing


LENGTHS = st.sampled_from(["week", "two_weeks", "month"])


@given(st.lists(st.tuples(LENGTHS, st.lists(st.integers(0, 200), max_size=5)), max_size=4))
def test_each_day_is_on_one_timesheet_however_often_the_periods_change(
    changes: list[tuple[PeriodLength, list[int]]],
) -> None:
    known: list[Period] = []
    for length, numbers in changes:
        wanted = [ANCHOR + timedelta(days=number) for number in numbers]
        added = missing_periods(wanted, known, rules(length))
        for each in added:
            whole = period_of(each.first_day, rules(length))
            assert whole.first_day <= each.first_day <= each.last_day <= whole.last_day
        known += added
        held = [day for each in known for day in each.days()]
        assert len(held) == len(set(held))
        assert set(wanted) <= set(held)


@pytest.mark.parametrize("then", STATES)
@pytest.mark.parametrize("state", STATES)
def test_a_state_is_reached_by_the_verb_that_leads_to_it(state: State, then: State) -> None:
    if any((each.state, each.then) == (state, then) for each in MOVES):
        assert TIMESHEETS.move(state, TIMESHEETS.verb_between(state, then)) == then
    else:
        with pytest.raises(IllegalMoveError, match="legal"):
            TIMESHEETS.verb_between(state, then)
