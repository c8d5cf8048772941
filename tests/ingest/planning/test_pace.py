"""How many late fixes and transitions a plan has, by what the last ones took."""

import pytest

from ingest.late.rejudge import Spent
from ingest.planning.pace import LATE_S, TRANSITIONS_S, Company, LatePace, TransitionPace


def test_a_plan_judges_what_its_time_is_enough_for() -> None:
    pace = LatePace()
    pace.saw({1: Spent(100, 0.1), 2: Spent(10, 0.1)}, 1e-4)
    assert pace.most(1, 0.05) == 50
    assert pace.most(2, 0.05) == 5
    pace.saw({2: Spent(10, 0.1, 2_000)}, 1e-4)  # and what it changes takes as long again
    assert pace.most(2, 0.05) == 2


def test_one_is_always_judged() -> None:
    pace = LatePace()
    pace.saw({1: Spent(1, 10.0)}, 1e-4)
    assert pace.most(1, 0.005) == 1


def test_whose_late_fix_takes_too_long_rests_where_others_send() -> None:
    now_s = 100.0
    pace = LatePace(lambda: now_s)
    pace.saw({1: Spent(1, LATE_S + 0.1), 2: Spent(9, LATE_S)}, 1e-4)
    now_s = 101.9
    assert [pace.most(one, LATE_S, may_rest=True) for one in (1, 2, 3)] == [0, 9, 5]
    assert pace.most(1, LATE_S) == 1
    now_s = 102.1
    assert pace.most(1, LATE_S, may_rest=True) == 1


def test_what_becomes_dearer_counts_at_once_and_what_becomes_cheaper_slowly() -> None:
    pace = LatePace()
    pace.saw({1: Spent(10, 0.01)}, 1e-4)
    pace.saw({1: Spent(10, 0.1)}, 1e-4)
    assert pace.most(1, 0.1) == 10
    pace.saw({1: Spent(10, 0.01)}, 1e-4)
    assert 10 < pace.most(1, 0.1) < 20


@pytest.mark.parametrize("spent", [{}, {1: Spent(0, 0.5, 9)}])
def test_without_late_fixes_nothing_is_learnt(spent: dict[int, Spent]) -> None:
    pace, other = LatePace(), LatePace()
    pace.saw(spent, 1e-4)
    assert pace.most(1, 0.05) == other.most(1, 0.05)


def test_transitions_that_take_longer_are_fewer_and_a_disk_that_hung_is_forgotten() -> None:
    pace = TransitionPace()
    for _ in range(50):
        pace.saw(fixes=5, transitions=100, took_s=100 * 0.000_2)
    assert pace.most == pytest.approx(TRANSITIONS_S / 0.000_2, rel=0.05)
    pace.saw(fixes=5, transitions=1, took_s=30.0)
    assert pace.most >= 15
    for _ in range(50):  # nearly all for the fixes
        pace.saw(fixes=8_000, transitions=2, took_s=1_002 * 0.000_1)
    assert pace.most == pytest.approx(TRANSITIONS_S / 0.000_1, rel=0.05)
    pace.saw(fixes=8_000, transitions=0, took_s=30.0)
    assert pace.most == pytest.approx(TRANSITIONS_S / 0.000_1, rel=0.05)


@pytest.mark.parametrize(
    ("sent", "is_shared"),
    [
        ([([1], 0.0)], False),
        ([([1], 0.0), ([1], 0.5)], False),
        ([([1, 2], 0.0)], True),
        ([([2], 0.0), ([1], 0.5), ([1], 0.9)], True),
        ([([2], 0.0), ([1], 0.5), ([1], 1.1)], False),
        ([([2], 0.0), ([], 0.5), ([1], 0.9)], True),
        ([([2], 900.0), ([1], 0.5)], False),  # the clock was set back
    ],
)
def test_who_has_sent_within_a_second_has_company(
    sent: list[tuple[list[int], float]], is_shared: bool
) -> None:
    company = Company()
    for organizations, at_s in sent:
        company.saw(organizations, int(at_s * 1e6))
    assert company.is_shared is is_shared
