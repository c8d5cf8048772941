"""How many late fixes a plan judges, by what the last ones took."""

import pytest

from ingest.planning.late_pace import LatePace


def test_a_plan_judges_what_its_time_is_enough_for() -> None:
    pace = LatePace()
    pace.saw({1: (100, 0.1), 2: (10, 0.1)})
    assert pace.most(1, 0.05) == 50
    assert pace.most(2, 0.05) == 5


def test_one_is_always_judged() -> None:
    pace = LatePace()
    pace.saw({1: (1, 10.0)})
    assert pace.most(1, 0.005) == 1


def test_what_becomes_dearer_counts_at_once_and_what_becomes_cheaper_slowly() -> None:
    pace = LatePace()
    pace.saw({1: (10, 0.01)})
    pace.saw({1: (10, 0.1)})
    assert pace.most(1, 0.1) == 10
    pace.saw({1: (10, 0.01)})
    assert 10 < pace.most(1, 0.1) < 20


@pytest.mark.parametrize("spent", [{}, {1: (0, 0.5)}])
def test_without_late_fixes_nothing_is_learnt(spent: dict[int, tuple[int, float]]) -> None:
    pace, other = LatePace(), LatePace()
    pace.saw(spent)
    assert pace.most(1, 0.05) == other.most(1, 0.05)
