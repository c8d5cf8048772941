"""docs/geofence.md says what the code does."""

import json
import re
from dataclasses import fields
from pathlib import Path

from geofence.late.amendments import AnnouncementKind
from geofence.model.policy import DEFAULT_ALERTS, SCHEDULE_START_BREACHES, SILENT_CAUSES
from geofence.model.rules import Rules
from geofence.model.schedule import MAX_WINDOWS, parse_schedule
from geofence.model.transitions import DECISIONS, Says, Was
from tests.data import examples_in

PAGE = (Path(__file__).parents[2] / "docs" / "geofence.md").read_text()


def rows_after(heading: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(heading) :].splitlines()[2:]
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_page_has_the_decision_table_of_the_code():
    confirmed = {None: "-", True: "yes", False: "no"}
    assert rows_after("| was | fix says |") == [
        [d.was.name.lower(), d.says.name.lower(), confirmed[d.confirmed], d.action.name.lower()]
        for d in DECISIONS
    ]


def test_the_table_has_one_line_for_every_case():
    cases = [
        (d.was, d.says, confirmed)
        for d in DECISIONS
        for confirmed in ((False, True) if d.confirmed is None else (d.confirmed,))
    ]
    # Only what was outside is passed through.
    known = [
        (was, says, confirmed)
        for was in Was
        for says in Says
        for confirmed in (False, True)
        if says is not Says.THROUGH or was is Was.OUTSIDE
    ]
    assert sorted(cases) == sorted(known)


def test_the_page_names_every_rule_with_its_default():
    defaults = {rule.strip("`"): default for rule, default, *_ in rows_after("| rule | default |")}
    assert defaults == {
        field.name: "none" if field.default is None else f"{field.default:g}"
        for field in fields(Rules)
    }


def test_the_page_names_every_change_of_an_amended_visit():
    told_first = {
        AnnouncementKind.ENTER,
        AnnouncementKind.EXIT,
        AnnouncementKind.DWELL,
        AnnouncementKind.OVERSPEED,
    }
    words = {
        word for cells in rows_after("| change | what") for word in re.findall(r"`(\w+)`", cells[0])
    }
    assert words == {telling.value for telling in AnnouncementKind} - told_first


def test_the_page_has_the_table_of_what_alerts():
    heading, *_ = PAGE[PAGE.index("| kind of zone | `enter`") :].splitlines()
    alerts = [cell.strip(" `") for cell in heading.strip("|").split("|")][1:]
    assert rows_after(heading) == [
        [f"`{kind}`", *when.values()] for kind, when in DEFAULT_ALERTS.items()
    ]
    assert all(list(when) == alerts for when in DEFAULT_ALERTS.values())


def test_the_page_says_what_never_alerts():
    line = next(line for line in PAGE.splitlines() if "never alert:" in line)
    assert set(re.findall(r"`(\w+)`", line)) == SILENT_CAUSES


def test_the_page_says_who_is_in_the_wrong_place_when_hours_begin():
    assert rows_after("| kind of zone | asset is |") == [
        [f"`{kind}`", "inside" if inside else "outside", transition]
        for (kind, inside), transition in SCHEDULE_START_BREACHES.items()
    ]


def test_the_schedule_on_the_page_is_one():
    written = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert written is not None
    schedule = parse_schedule(json.loads(written[1]))
    assert [len(window.days) for window in schedule.windows] == [5, 2]
    assert f"At most {MAX_WINDOWS} windows" in PAGE


def test_the_examples_print_what_the_page_says(capsys):
    examples = examples_in(PAGE)
    assert len(examples) == 2
    for program, printed in examples:
        exec(compile(program, "docs/geofence.md", "exec"), {})
        assert capsys.readouterr().out == printed
