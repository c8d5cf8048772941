"""Shifts, days and overtime agree with a walk over every second, however they are cut."""

from collections import Counter, defaultdict
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from operations.hours.local_days import day_start_s
from operations.hours.overtime import OvertimeRules, split_week
from operations.hours.shift_rules import AutomaticBreak, ShiftRules
from operations.hours.shifts import CreditedPunch, shifts_of
from operations.hours.timesheets import Adjustment, TimesheetRules, period_of, timesheet
from tests.operations.hours.reference import shown_day, split_units, worked_seconds

# Midnights and changes of the clocks, as zone and local day; the walk goes over their first hours.
PLACES = [
    ("Europe/Zurich", date(2026, 6, 1)),
    ("Europe/Zurich", date(2026, 3, 1)),
    ("America/Santiago", date(2026, 9, 6)),  # midnight is skipped
    ("America/Santiago", date(2026, 4, 5)),  # the hour before midnight comes twice
    ("Atlantic/Azores", date(2026, 10, 25)),  # the hour after midnight comes twice
    ("America/Nuuk", date(2026, 3, 29)),  # the hour before midnight is skipped
    ("Pacific/Apia", date(2011, 12, 31)),  # a day without a single hour lies before it
]
BEFORE_S, AFTER_S = 1200, 1500
KINDS = ("in", "in", "break_start", "break_start", "break_end", "break_end", "out")
periods = st.sampled_from(["week", "two_weeks", "month"])
weekdays = st.integers(0, 6)


def punches_around(start_s, before_s, after_s, max_size=14):
    start_us = start_s * 10**6
    one = st.builds(
        CreditedPunch,
        id=st.integers(1, 2**64).map(lambda number: UUID(int=number)),
        kind=st.sampled_from(KINDS),
        # Some punches share a second, so that what fits decides, and some of these a microsecond.
        time_us=st.integers(-before_s * 10**6, after_s * 10**6).map(start_us.__add__)
        | st.builds(
            lambda n, us: start_us + n * 300 * 10**6 + us,
            st.integers(-before_s // 300, after_s // 300),
            st.sampled_from([0, 0, 1, 999_999]),
        ),
        verdict=st.just("verified"),
        review=st.sampled_from([None, None, None, "rejected"]),
    )
    return st.lists(one, max_size=max_size, unique_by=lambda punch: punch.id)


@st.composite
def small_rules(draw):
    """Draw rules of shifts that last minutes instead of hours."""
    starts = sorted(draw(st.sets(st.integers(1, 900), max_size=2)))
    return ShiftRules(
        longest_shift_s=draw(st.integers(60, 1800)),
        closes_at_midnight=draw(st.booleans()),
        shortest_break_s=draw(st.sampled_from([0, 90])),
        automatic_breaks=tuple(
            AutomaticBreak(start, draw(st.integers(1, 600))) for start in starts
        ),
    )


@st.composite
def watched(draw):
    """Draw a place, rules, punches around its midnight, and the time now."""
    timezone, day = draw(st.sampled_from(PLACES))
    start_s = day_start_s(day, ZoneInfo(timezone))
    punches = draw(punches_around(start_s, BEFORE_S, AFTER_S))
    now_s = start_s + AFTER_S + draw(st.sampled_from([0, 600, 2000]))
    return timezone, day, draw(small_rules()), punches, now_s


def sheets(attendance, rules, timezone, first, last, adjustments=()):
    """Yield the timesheets of the periods that cover the days from first to last."""
    day = first
    while day <= last:
        sheet = timesheet(attendance, adjustments, period_of(day, rules), rules, timezone)
        yield sheet
        day = sheet.period.last_day + timedelta(days=1)


@given(watched(), periods, weekdays)
def test_days_and_shifts_have_each_second_of_work_once(case, period, first_weekday):
    timezone, day, shift_rules, punches, now_s = case
    zone = ZoneInfo(timezone)
    seconds = worked_seconds(punches, shift_rules, zone, now_s)
    attendance = shifts_of(punches, shift_rules, timezone, now_s * 10**6)
    assert [s for shift in attendance.shifts for span in shift.work for s in range(*span)] == (
        seconds
    )
    rules = TimesheetRules(period, first_weekday, anchor=date(2026, 1, 7), shifts=shift_rules)
    days = [
        found
        for sheet in sheets(attendance, rules, timezone, day - timedelta(3), day + timedelta(3))
        for found in sheet.days
    ]
    assert len({found.day for found in days}) == len(days)
    worked = {found.day: found.worked_s for found in days if found.worked_s}
    assert worked == Counter(shown_day(second, zone) for second in seconds)
    assert sum(worked.values()) == sum(shift.worked_s for shift in attendance.shifts)


@given(watched())
def test_the_day_of_the_beginning_has_all_of_a_shift(case):
    timezone, day, shift_rules, punches, now_s = case
    attendance = shifts_of(punches, shift_rules, timezone, now_s * 10**6)
    rules = TimesheetRules("month", cuts_at_midnight=False, shifts=shift_rules)
    cover = sheets(attendance, rules, timezone, day - timedelta(1), day + timedelta(1))
    worked = {d.day: d.worked_s for sheet in cover for d in sheet.days if d.worked_s}
    expected = Counter()
    for shift in attendance.shifts:
        if shift.work:
            expected[shown_day(shift.work[0].start_s, ZoneInfo(timezone))] += shift.worked_s
    assert worked == expected


@given(watched(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(case, random):
    timezone, _, rules, punches, now_s = case
    expected = shifts_of(punches, rules, timezone, now_s * 10**6)
    random.shuffle(punches)
    assert shifts_of(punches, rules, timezone, now_s * 10**6) == expected


@given(watched())
def test_reading_may_begin_behind_a_second_with_an_out_and_without_an_in(case):
    timezone, _, rules, punches, now_s = case
    whole = shifts_of(punches, rules, timezone, now_s * 10**6)
    kinds = defaultdict(set)
    for punch in punches:
        if punch.review != "rejected":
            kinds[punch.time_s].add(punch.kind)
    for second, found in kinds.items():
        if "out" in found and "in" not in found:
            early = [punch for punch in punches if punch.time_s <= second]
            late = [punch for punch in punches if punch.time_s > second]
            before = shifts_of(early, rules, timezone, second * 10**6)
            after = shifts_of(late, rules, timezone, now_s * 10**6)
            assert before.shifts + after.shifts == whole.shifts
            assert before.loose_flags + after.loose_flags == whole.loose_flags


@given(watched())
def test_every_punch_is_counted_or_flagged(case):
    timezone, _, rules, punches, now_s = case
    attendance = shifts_of(punches, rules, timezone, now_s * 10**6)
    counted = [punch for shift in attendance.shifts for punch in shift.punches]
    ended = {"missing_out", "missing_break_end", "open"}
    flags = [*attendance.loose_flags, *(f for shift in attendance.shifts for f in shift.flags)]
    ignored = [flag.punch for flag in flags if flag.name not in ended]
    assert sorted(counted + ignored) == sorted(p.id for p in punches if p.review != "rejected")


thresholds = st.none() | st.integers(1, 12)


@st.composite
def overtime_rules(draw):
    daily, double = draw(thresholds), draw(thresholds)
    if double is not None and daily is not None:
        daily, double = sorted((daily, double))
    weekly = draw(st.none() | st.integers(1, 50))
    return OvertimeRules(daily, double, weekly, draw(st.booleans()))


@given(st.lists(st.integers(0, 16), min_size=7, max_size=7), overtime_rules())
def test_a_week_is_split_as_if_each_second_were_looked_at(week, rules):
    assert split_week(week, rules) == split_units(week, rules)


DAYS = [date(2026, 5, 18) + timedelta(days=number) for number in range(42)]


@st.composite
def long_rosters(draw):
    """Draw shifts of some hours on many days around a month's end, and adjustments."""
    punches, adjustments = [], []
    for number, day in enumerate(draw(st.lists(st.sampled_from(DAYS), unique=True))):
        start_s = day_start_s(day, ZoneInfo("America/New_York")) + draw(st.integers(0, 70_000))
        end_s = start_s + draw(st.integers(1, 50_000))
        for kind, time_s in (("in", start_s), ("out", end_s)):
            key = UUID(int=2 * number + (kind == "out") + 1)
            punches.append(CreditedPunch(key, kind, time_s * 10**6, "verified"))
        if seconds := draw(st.sampled_from([0, 0, 3600, -7200])):
            adjustments.append(Adjustment(day, seconds, "forgotten", UUID(int=0)))
    return punches, adjustments


@given(long_rosters(), st.sampled_from([20, 60, 150]), weekdays, st.booleans())
def test_the_hours_of_a_day_are_the_same_in_periods_of_any_kind(
    roster, hours, first_weekday, seventh_day
):
    punches, adjustments = roster
    overtime = OvertimeRules(6 * 3600, 11 * 3600, hours * 3600, seventh_day)
    attendance = shifts_of(punches, ShiftRules(), "America/New_York", 2**53)
    by_kind = []
    for period in ("week", "two_weeks", "month"):
        rules = TimesheetRules(period, first_weekday, date(2026, 1, 7), overtime=overtime)
        found = sheets(attendance, rules, "America/New_York", DAYS[0], DAYS[-1], adjustments)
        by_kind.append({day.day: day for sheet in found for day in sheet.days})
    for day in DAYS:
        assert by_kind[0][day] == by_kind[1][day] == by_kind[2][day]
        whole = by_kind[0][day]
        assert whole.hours.total_s == whole.worked_s + whole.adjusted_s
