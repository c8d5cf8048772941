"""Shifts and timesheets by a table of cases whose hours were worked out by hand."""

from collections import Counter
from datetime import date

import pytest

from operations.hours.local_days import zone_of
from operations.hours.overtime import Hours
from operations.hours.shifts import FLAGS, shifts_of
from operations.hours.timesheet_states import TIMESHEETS, check_adjustable
from operations.hours.timesheets import (
    ApprovalBlockedError,
    days_of,
    parts_of,
    period_of,
    timesheet,
)
from tests.operations.hours.punch_lines import (
    CASES,
    instant_us,
    read_adjustments,
    read_punch,
    read_rules,
    seconds_of,
    written_flag,
)

LONG_AFTER = "2100-01-01"


def name(case):
    return case["case"]


def attended(case):
    """Return the zone of a case, its rules, and its shifts."""
    zone, rules = case.get("zone", "Europe/Zurich"), read_rules(case.get("rules", {}))
    punches = [read_punch(line, zone) for line in case["punches"]]
    now_us = instant_us(case.get("now", LONG_AFTER), zone)
    return zone, rules, shifts_of(punches, rules.shifts, zone, now_us)


def sheet_of(case):
    """Return the zone of a case and its timesheet."""
    zone, rules, attendance = attended(case)
    period = period_of(date.fromisoformat(case["period"]), rules)
    adjustments = read_adjustments(case.get("adjust", {}))
    return zone, timesheet(attendance, adjustments, period, rules, zone)


def hours_by_day(sheet, kind):
    """Map days to their seconds, without the empty ones."""
    found = {str(day.day): getattr(day.hours, kind) for day in sheet.days}
    return {day: seconds for day, seconds in found.items() if seconds}


def expected_hours(case, kind):
    return {day: seconds_of(hours) for day, hours in case.get(kind, {}).items()}


@pytest.mark.parametrize("case", CASES["timesheets"], ids=name)
def test_days_have_the_hours_that_were_worked_out_by_hand(case):
    zone, sheet = sheet_of(case)
    assert hours_by_day(sheet, "total_s") == expected_hours(case, "days")
    assert hours_by_day(sheet, "overtime_s") == expected_hours(case, "overtime")
    assert hours_by_day(sheet, "double_s") == expected_hours(case, "double")
    assert sorted(written_flag(flag, zone) for flag in sheet.flags) == sorted(case.get("flags", []))
    assert sheet.worked_s + sheet.adjusted_s == sheet.hours.total_s


@pytest.mark.parametrize("case", CASES["timesheets"], ids=name)
def test_work_breaks_and_rounding_of_its_days_are_those_of_a_shift(case):
    zone, rules, attendance = attended(case)
    for shift in attendance.shifts:
        days = days_of(shift, rules, zone_of(zone))
        if shift.ended_s is None:
            assert days == []
            continue
        counted = Counter()
        for day, seconds in parts_of(shift, rules, zone_of(zone)):
            counted[day] += seconds
        assert {each.day: each.worked_s for each in days if each.worked_s} == counted
        lasted_s = shift.ended_s - shift.started_s
        if days:
            assert sum(each.worked_s - each.rounding_s for each in days) == shift.worked_s
            assert sum(each.break_s for each in days) == lasted_s - shift.worked_s
        if rules.rounding is None or rules.rounding.each == "day":
            assert {each.rounding_s for each in days} <= {0}


@pytest.mark.parametrize("case", [c for c in CASES["timesheets"] if "server" in c], ids=name)
def test_disputed_shifts_have_their_other_reading(case):
    _, _, attendance = attended(case)
    assert [shift.server_worked_s for shift in attendance.shifts] == [
        None if hours is None else seconds_of(hours) for hours in case["server"]
    ]


@pytest.mark.parametrize("case", [c for c in CASES["timesheets"] if "blocked" in c], ids=name)
def test_what_blocks_approval_is_named(case):
    _, sheet = sheet_of(case)
    if not case["blocked"]:
        sheet.check_approvable()
        return
    with pytest.raises(ApprovalBlockedError) as refused:
        sheet.check_approvable()
    assert refused.value.flags == sheet.flags


@pytest.mark.parametrize("case", CASES["states"], ids=name)
def test_states_follow_from_verbs(case):
    state = "open"
    for verb in case["moves"]:
        state = TIMESHEETS.move(state, verb)
    assert state == case["state"]
    assert list(TIMESHEETS.legal_verbs(state)) == case["legal"]
    if case["adjustable"]:
        check_adjustable(state)


def test_the_cases_have_every_flag():
    named = {flag.split()[0] for case in CASES["timesheets"] for flag in case.get("flags", [])}
    # These two are about what a case has not: a last day, and who made an adjustment.
    assert named == FLAGS.keys() - {"not_employed", "own_adjustment"}


def test_an_empty_sheet_has_every_day_and_no_hours():
    _, sheet = sheet_of({"period": "2026-06-03", "punches": []})
    assert [day.day.day for day in sheet.days] == list(range(1, 8))
    assert sheet.hours == Hours(0, 0, 0)


def test_case_names_are_sentences_of_their_own():
    names = [case["case"] for table in CASES.values() for case in table]
    assert len(names) == len(set(names))
    assert all(len(each.split()) > 2 for each in names)
