"""docs/geofence.md says what the code does."""

import json
import re
from pathlib import Path

from geofence.policy import DEFAULT_ALERTS, OPENING_BREACHES, SILENT_CAUSES
from geofence.schedule import MAX_WINDOWS, parse_schedule
from geofence.transitions import DECISIONS, Cause, Says, Transition, Was

PAGE = (Path(__file__).parents[2] / "docs" / "geofence.md").read_text()


def rows_after(heading: str) -> list[list[str]]:
    lines = PAGE[PAGE.index(heading) :].splitlines()[2:]
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def test_the_page_has_the_decision_table_of_the_code():
    def result(decision) -> str:
        if decision.transition is Transition.NONE:
            return "-"
        causes = {Cause.INITIAL: ", initial", Cause.ZONE_CHANGED: ", zone_changed"}
        return decision.transition.name.lower() + causes.get(decision.cause, "")

    assert rows_after("| was | fix says |") == [
        [d.was.name.lower(), d.says.name.lower(), "yes" if d.zone_changed else "no", result(d)]
        for d in DECISIONS
    ]


def test_the_table_has_one_line_for_every_case():
    cases = [(d.was, d.says, d.zone_changed) for d in DECISIONS]
    known = [(was, says, changed) for was in Was for says in Says for changed in (False, True)]
    assert sorted(cases) == sorted(c for c in known if not (c[0] is Was.UNKNOWN and c[2]))


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
        for (kind, inside), transition in OPENING_BREACHES.items()
    ]


def test_the_schedule_on_the_page_is_one():
    written = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert written is not None
    schedule = parse_schedule(json.loads(written[1]))
    assert [len(window.days) for window in schedule.windows] == [5, 2]
    assert f"At most {MAX_WINDOWS} windows" in PAGE


def test_the_example_prints_what_the_page_says(capsys):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert printed is not None
    exec(compile(example[1], "docs/geofence.md", "exec"), {})
    assert capsys.readouterr().out == printed[1]
