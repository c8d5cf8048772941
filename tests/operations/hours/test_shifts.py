"""The summary of a shift, and the settings that are refused."""

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from operations.errors import RuleError
from operations.hours.overtime import OvertimeRules
from operations.hours.shift_rules import AutomaticBreak, ShiftRules
from operations.hours.shifts import CreditedPunch, shifts_of
from operations.hours.timesheets import Adjustment, Rounding, TimesheetRules
from tests.test_documents import imports_of

NOBODY = UUID(int=0)
SITE, YARD, ASSET, ORDER = (UUID(int=number) for number in range(101, 105))


def punch(number: int, kind, second: int, verdict="verified") -> CreditedPunch:
    return CreditedPunch(UUID(int=number), kind, second * 1_000_000, verdict)


def shift_of(*punches: CreditedPunch):
    (shift,) = shifts_of(punches, ShiftRules(), "UTC", 10**15).shifts
    return shift


def test_a_shift_sums_up_its_verdicts_and_names_the_worst():
    shift = shift_of(
        punch(1, "in", 100),
        punch(2, "break_start", 200, "unverified"),
        punch(3, "break_end", 260, "failed"),
        punch(4, "out", 400, "unverified"),
        punch(5, "in", 300, "failed"),  # makes no part of the shift
    )
    assert shift.verdicts == {"verified": 1, "unverified": 2, "failed": 1}
    assert shift.verdict == "failed"
    assert shift.id == UUID(int=1)
    assert [each.int for each in shift.punches] == [1, 2, 3, 4]
    assert (shift.started_s, shift.ended_s, shift.worked_s) == (100, 400, 240)
    assert shift.breaks == ((200, 260),)
    assert shift.work == ((100, 200), (260, 400))
    assert sorted((flag.name, flag.punch.int) for flag in shift.flags) == [
        ("already_in", 5),
        ("failed", 3),
        ("unverified", 2),
        ("unverified", 4),
    ]


def test_site_asset_and_work_order_are_those_of_the_first_punch_that_knows():
    first, last = punch(1, "in", 100), punch(2, "out", 200)
    shift = shift_of(
        replace(first, site=SITE), replace(last, site=YARD, asset=ASSET, work_order=ORDER)
    )
    assert (shift.site, shift.asset, shift.work_order) == (SITE, ASSET, ORDER)
    unknown = shift_of(first, last)
    assert (unknown.site, unknown.asset, unknown.work_order) == (None, None, None)


@pytest.mark.parametrize(("out", "next_in"), [(2, 3), (3, 2)])
def test_of_punches_with_one_time_what_ends_comes_first(out, next_in):
    punches = [punch(1, "in", 100), punch(out, "out", 200), punch(next_in, "in", 200)]
    attendance = shifts_of([*punches, punch(4, "out", 300)], ShiftRules(), "UTC", 10**15)
    assert [[each.int for each in shift.punches] for shift in attendance.shifts] == [
        [1, out],
        [next_in, 4],
    ]


LEFT_S = 1_000


@pytest.mark.parametrize(
    ("times", "shifts", "flags"),
    [
        # A shift before the end counts, whatever comes behind it.
        ([("in", 100), ("out", 900), ("in", 1_000)], [(100, 900)], [("not_employed", 3)]),
        # An `out` in the last second counts, one in the first second behind it does not.
        ([("in", 100), ("out", 999)], [(100, 999)], []),
        (
            [("in", 100), ("out", 1_000)],
            [(100, 1_000)],
            [("missing_out", 1), ("not_employed", 2)],
        ),
        # Whoever is on a break at the end stays on it.
        (
            [("in", 100), ("break_start", 900), ("break_end", 1_100), ("out", 1_200)],
            [(100, 1_000)],
            [
                ("missing_break_end", 2),
                ("missing_out", 1),
                ("not_employed", 3),
                ("not_employed", 4),
            ],
        ),
        ([("in", 2_000), ("out", 3_000)], [], [("not_employed", 1), ("not_employed", 2)]),
    ],
)
def test_no_punch_counts_and_no_shift_lasts_beyond_the_last_day(times, shifts, flags):
    rules = ShiftRules(employed_until_s=LEFT_S)
    punches = [punch(number, kind, second) for number, (kind, second) in enumerate(times, 1)]
    found = shifts_of(punches, rules, "UTC", 10**15)
    assert [(shift.started_s, shift.ended_s) for shift in found.shifts] == shifts
    told = [flag for shift in found.shifts for flag in shift.flags] + list(found.loose_flags)
    assert sorted((flag.name, flag.punch.int) for flag in told) == sorted(flags)


def test_a_review_does_not_make_a_punch_behind_the_last_day_count():
    accepted = replace(punch(1, "in", LEFT_S), review="accepted")
    found = shifts_of([accepted], ShiftRules(employed_until_s=LEFT_S), "UTC", 10**15)
    assert found.shifts == ()
    (flag,) = found.loose_flags
    assert (flag.name, flag.is_settled) == ("not_employed", False)


def test_breaks_that_touch_are_one_break():
    times = [("in", 0), ("break_start", 0), ("break_end", 60), ("break_start", 60), ("out", 120)]
    punches = [punch(number, kind, second) for number, (kind, second) in enumerate(times)]
    (shift,) = shifts_of(punches, ShiftRules(shortest_break_s=90), "UTC", 10**15).shifts
    assert shift.worked_s == 0


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (lambda: ShiftRules(longest_shift_s=0), "longest_shift_s"),
        (lambda: ShiftRules(longest_shift_s=8 * 86_400), "longest_shift_s"),
        (lambda: ShiftRules(shortest_break_s=-1), "shortest_break_s"),
        (lambda: AutomaticBreak(0, 60), "after_s"),
        (lambda: AutomaticBreak(60, 0), "break_s"),
        (
            lambda: ShiftRules(automatic_breaks=(AutomaticBreak(9, 1), AutomaticBreak(6, 1))),
            "automatic_breaks",
        ),
        (
            lambda: ShiftRules(automatic_breaks=(AutomaticBreak(6, 1), AutomaticBreak(6, 2))),
            "automatic_breaks",
        ),
        (
            lambda: ShiftRules(automatic_breaks=tuple(AutomaticBreak(n, 1) for n in range(1, 7))),
            "automatic_breaks",
        ),
        (lambda: Rounding(120), "step_s"),
        (lambda: Rounding(900, grace_s=900), "grace_s"),
        (lambda: Rounding(900, grace_s=-1), "grace_s"),
        (lambda: OvertimeRules(daily_s=0), "daily_s"),
        (lambda: OvertimeRules(weekly_s=8 * 86_400), "weekly_s"),
        (lambda: OvertimeRules(daily_s=8, double_daily_s=7), "double_daily_s"),
        (lambda: TimesheetRules(first_weekday=7), "first_weekday"),
        (lambda: TimesheetRules("two_weeks"), "anchor"),
        (lambda: Adjustment(date(2026, 6, 1), 0, "forgotten", NOBODY), "seconds"),
        (lambda: Adjustment(date(2026, 6, 1), -90_000, "forgotten", NOBODY), "seconds"),
        (lambda: Adjustment(date(2026, 6, 1), 60, "  ", NOBODY), "reason"),
        (lambda: Adjustment(date(2026, 6, 1), 60, "x" * 501, NOBODY), "reason"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(rule, field):
    with pytest.raises(RuleError, match=field) as found:
        rule()
    assert found.value.field == field
    assert found.value.problem


def test_operations_stand_on_the_standard_library_and_what_is_pure():
    assert Path(__file__).parents[3].joinpath("operations").is_dir()
    assert imports_of("operations") <= sys.stdlib_module_names | {"languages", "msgspec", "rfc8785"}
