"""docs/timesheets.md says what the code does."""

import re
from pathlib import Path

from operations.hours.overtime import PRESETS
from operations.hours.shifts import FLAGS, STEPS
from operations.hours.timesheet_states import MOVES, STATES
from operations.hours.timesheets import ROUNDING_STEPS_S
from tests.data import examples_in, rows_after

PAGE = (Path(__file__).parents[3] / "docs" / "timesheets.md").read_text()


def test_the_page_has_the_steps_of_the_code():
    standings = list(dict.fromkeys(standing for standing, _ in STEPS))
    kinds = list(dict.fromkeys(kind for _, kind in STEPS))
    assert rows_after("| the employee is |", PAGE) == [
        [standing, *(STEPS[standing, kind].flag or STEPS[standing, kind].then for kind in kinds)]
        for standing in standings
    ]


def test_the_page_has_the_flags_of_the_code():
    assert {name: settled for name, _, settled in rows_after("| flag | when |", PAGE)} == FLAGS


def test_the_page_has_the_presets_of_the_code():
    def hours(seconds):
        return "-" if seconds is None else f"{seconds / 3600:g}"

    assert rows_after("| preset |", PAGE) == [
        [name, *map(hours, (r.daily_s, r.double_daily_s, r.weekly_s)), "yes" * r.seventh_day or "-"]
        for name, r in PRESETS.items()
    ]


def test_the_page_has_the_steps_of_rounding():
    minutes = re.search(r"a step of ([\d, or]+) minutes", PAGE)
    assert minutes is not None
    assert [int(each) * 60 for each in re.findall(r"\d+", minutes[1])] == list(ROUNDING_STEPS_S)


def test_the_page_has_the_moves_of_the_code():
    assert rows_after("| state | verb |", PAGE) == [
        [m.state, m.verb, m.then, ", ".join(m.roles), ", ".join(m.own_roles) or "-"] for m in MOVES
    ]


def test_the_page_draws_the_moves_of_the_code():
    drawn = re.findall(r"^    (\w+) --> (\w+): (\S+)$", PAGE, re.MULTILINE)
    assert drawn == [(each.state, each.then, each.verb) for each in MOVES]


def test_the_page_has_the_states_of_the_code():
    words = {True: "yes", False: "no"}
    assert rows_after("| state | takes adjustments |", PAGE) == [
        [state, words[rule.adjustable], words[rule.keeps_figures]] for state, rule in STATES.items()
    ]


def test_the_example_prints_what_the_page_says(capsys):
    ((program, printed),) = examples_in(PAGE)
    exec(compile(program, "docs/timesheets.md", "exec"), {})
    assert capsys.readouterr().out == printed
