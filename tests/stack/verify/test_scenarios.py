"""What went wrong in other systems, as the verification of a run judges it.

The scenarios are ours, and those of reports beside the repository: see tests.data.
"""

import re

import numpy as np

from stack.scenario.zones import SimZone
from stack.verify.fix_fates import Arrived, fates
from telemetry.fix import blank_rows
from telemetry.rejection import Reason
from telemetry.times import parse_time_us
from tests.data import fence_cases
from tests.stack.small_runs import INSIDE, OUTSIDE, SQUARE, START_US, replayed


def after_s(clock: str) -> int:
    """Return seconds after ten o'clock."""
    hours, minutes = (int(part) for part in clock.split(":"))
    return ((hours - 10) * 60 + minutes) * 60


@fence_cases("a-backlog-backwards", "newest-first-backfill")
def test_a_backlog_that_comes_newest_first_ends_in_the_visit_that_was(case) -> None:
    places = {"inside": INSIDE, "outside": OUTSIDE}
    order = case["arrival_order"]
    fixes = [(0, after_s(fix["fix_t"]), places[fix["where"]]) for fix in order]
    expected = replayed(*fixes, zones=[SimZone("z", "Z", SQUARE, rules={"exit_confirm_fixes": 1})])
    [visit] = expected.visits
    assert visit.left_us is not None
    entered_s, left_s = ((us - START_US) / 1e6 for us in (visit.entered_us, visit.left_us))
    entered, _, after, until = re.findall(r"\d\d:\d\d", " ".join(case["expected"]))
    assert entered_s == after_s(entered)
    assert after_s(after) < left_s <= after_s(until)
    assert [event.late for event in expected.events] == [True] * len(expected.events)
    assert len(expected.events) == 3  # it begins, it ends, it began earlier


@fence_cases("a-fix-of-the-future", "future-fix-poisons-last")
def test_a_fix_of_the_future_is_refused_and_the_next_one_is_stored(case) -> None:
    fixes = case["fixes"]
    rows = blank_rows(len(fixes))
    rows["tracker"], rows["lat"], rows["message"] = 0, INSIDE, np.arange(len(fixes))
    rows["time_us"] = [parse_time_us(fix["fix_t"]) for fix in fixes]
    received_us = np.array([parse_time_us(fix["received"]) for fix in fixes])
    whole = np.ones(len(fixes), bool)
    outcome = fates(Arrived(rows, whole, np.arange(len(fixes)), received_us))
    assert [refused.reason for refused in outcome.refused] == [Reason.FUTURE]
    assert outcome.stored["time_us"].tolist() == [rows["time_us"][1]]
