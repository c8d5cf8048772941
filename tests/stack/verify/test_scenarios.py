"""What went wrong in other systems, as the verification of a run judges it.

The scenarios are not part of the repository: see tests.data.
"""

from typing import Any

import numpy as np

from stack.scenario.zones import SimZone
from stack.verify.fix_fates import Arrived, fates
from telemetry.fix import blank_rows
from telemetry.rejection import Reason
from telemetry.times import parse_time_us
from tests.data import cases_of, needs_vectors
from tests.stack.small_runs import INSIDE, OUTSIDE, SQUARE, START_US, replayed

pytestmark = needs_vectors


def scenario(name: str) -> dict[str, Any]:
    [case] = (case for case in cases_of("issue_scenarios") if case["id"] == name)
    return case


def after_s(clock: str) -> int:
    """Return seconds after ten o'clock."""
    hours, minutes = (int(part) for part in clock.split(":"))
    return ((hours - 10) * 60 + minutes) * 60


def test_a_backlog_that_comes_newest_first_ends_in_the_visit_that_was() -> None:
    places = {"inside": INSIDE, "outside": OUTSIDE}
    order = scenario("newest-first-backfill")["arrival_order"]
    fixes = [(0, after_s(fix["fix_t"]), places[fix["where"]]) for fix in order]
    expected = replayed(*fixes, zones=[SimZone("z", "Z", SQUARE, rules={"exit_confirm_fixes": 1})])
    [visit] = expected.visits
    assert visit.left_us is not None
    entered_s, left_s = ((us - START_US) / 1e6 for us in (visit.entered_us, visit.left_us))
    assert entered_s == after_s("10:10")
    assert after_s("10:15") < left_s <= after_s("10:20")
    assert [event.late for event in expected.events] == [True] * len(expected.events)
    assert len(expected.events) == 3  # it begins, it ends, it began earlier


def test_a_fix_of_the_future_is_refused_and_the_next_one_is_stored() -> None:
    fixes = scenario("future-fix-poisons-last")["fixes"]
    rows = blank_rows(len(fixes))
    rows["tracker"], rows["lat"], rows["message"] = 0, INSIDE, np.arange(len(fixes))
    rows["time_us"] = [parse_time_us(fix["fix_t"]) for fix in fixes]
    received_us = np.array([parse_time_us(fix["received"]) for fix in fixes])
    whole = np.ones(len(fixes), bool)
    found = fates(Arrived(rows, whole, np.arange(len(fixes)), received_us))
    assert [one.reason for one in found.refused] == [Reason.FUTURE]
    assert found.stored["time_us"].tolist() == [rows["time_us"][1]]
