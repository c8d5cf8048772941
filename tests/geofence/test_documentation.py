"""docs/geofence.md says what the code does."""

import re
from pathlib import Path

from geofence.transitions import DECISIONS, Cause, Says, Transition, Was
from geofence.visits import DEFAULT_ALERTS

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


def test_the_page_names_every_kind_of_zone():
    kinds = [kind for cells in rows_after("| kind of zone |") for kind in cells[0].split(", ")]
    assert [kind.strip("`") for kind in kinds] == list(DEFAULT_ALERTS)


def test_the_example_prints_what_the_page_says(capsys):
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    printed = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    assert printed is not None
    exec(compile(example[1], "docs/geofence.md", "exec"), {})
    assert capsys.readouterr().out == printed[1]
