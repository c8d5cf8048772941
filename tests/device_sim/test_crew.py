"""Simulated employees punch alike for the same seed, and each fault is as the table has it."""

from collections import defaultdict

import pytest

from device_sim.crew import (
    OTHER_SITE,
    PUNCH_FAULTS,
    CrewPlan,
    PlannedPunch,
    PunchFaults,
    planned_punches,
)

START_US = 1_800_000_000_123_456
KINDS = ["in", "break_start", "break_end", "out"]


def punches(fault: str | None = None, employees: int = 3) -> dict[int, list[PlannedPunch]]:
    """Return the punches of each employee; all employees have the fault."""
    faults = PunchFaults({} if fault is None else {fault: 1.0})
    found: dict[int, list[PlannedPunch]] = defaultdict(list)
    for punch in planned_punches(CrewPlan(employees, 60.0, 4, faults), START_US):
        found[punch.employee].append(punch)
    return found


def test_the_same_seed_gives_the_same_punches_in_the_order_in_which_they_are_due() -> None:
    plan = CrewPlan(50, 30.0, 9, PunchFaults(dict.fromkeys(PUNCH_FAULTS, 0.1)))
    first = planned_punches(plan, START_US)
    assert first == planned_punches(plan, START_US)
    assert [one.due_s for one in first] == sorted(one.due_s for one in first)
    assert all(0 <= one.due_s < 30 for one in first)


def test_an_honest_employee_punches_four_times_at_the_moments_of_sending() -> None:
    for day in punches().values():
        assert [one.kind for one in day] == KINDS
        assert {one.verdict for one in day} == {"verified"}
        assert all(abs(one.claimed_us - START_US - one.due_s * 1e6) < 1000 for one in day)
        assert all(one.claimed_us % 1000 == 0 for one in day)


@pytest.mark.parametrize(
    ("fault", "spoilt"),
    [
        ("mock", [("in", "failed", {"inside", "mock"})]),
        ("teleport", [("break_end", "failed", {"inside", "teleport"})]),
        ("wrong_device", [("in", "failed", {"inside", "wrong_device"})]),
        ("outside", [("in", "failed", {"outside"})]),
        ("no_fix", [("out", "unverified", {"no_fix"})]),
        ("clock", [("out", "unverified", {"inside", "clock"})]),
        ("offline", [(kind, "unverified", {"inside", "stale", "offline"}) for kind in KINDS]),
        ("forget", []),
        ("double", []),
        ("duplicate", []),
    ],
)
def test_a_fault_spoils_what_it_says(fault: str, spoilt: list[object]) -> None:
    for day in punches(fault).values():
        found = [(one.kind, one.verdict, one.rules) for one in day if one.verdict != "verified"]
        assert found == spoilt


def test_every_fault_does_what_the_table_says() -> None:
    assert [one.kind for one in punches("forget")[0]] == KINDS[:3]
    assert [one.kind for one in punches("double")[0]] == ["in", *KINDS]
    assert {one.times for one in punches("duplicate")[0]} == {2}
    assert [one.phone for one in punches("wrong_device")[2]] == [0, 2, 2, 2]
    leap = punches("teleport")[1][2]
    assert leap.place == OTHER_SITE.place
    first, *_, last = punches("offline")[0]
    assert first.due_s == last.due_s == 30
    assert 7 < (last.claimed_us - first.claimed_us) / 3.6e9 < 9
    assert last.claimed_us < START_US - 2 * 3_600_000_000
    assert punches("clock")[0][3].is_disputed


def test_a_payload_leaves_out_what_is_not_known() -> None:
    (*_, blind) = punches("no_fix")[0]
    assert blind.payload("emp_1").keys() == {"employee_id", "kind", "time"}
    mocked = punches("mock")[0][0].payload("emp_1")
    assert mocked["mock"] is True
    assert mocked["fix_time"] == mocked["time"]


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ({"sleepy": 0.1}, "'sleepy' is none of the faults forget, double"),
        ({"mock": 1.5}, "mock takes a share of 0 to 1, not 1.5"),
        ({"mock": 0.6, "forget": 0.5}, "more than 1 together"),
    ],
)
def test_faults_that_cannot_be_are_refused(shares: dict[str, float], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        PunchFaults(shares)


@pytest.mark.parametrize(
    ("employees", "seconds", "fault", "told"),
    [
        (0, 60, "mock", "1 to 1000 employees, not 0"),
        (1001, 60, "mock", "1 to 1000 employees, not 1001"),
        (3, 5, "mock", "needs 10 s or more, not 5"),
        (1, 60, "wrong_device", "two employees or more"),
    ],
)
def test_crews_that_cannot_be_are_refused(
    employees: int, seconds: float, fault: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        CrewPlan(employees, seconds, 1, PunchFaults({fault: 0.1}))
