"""What an organization hears of."""

import json
from itertools import product
from pathlib import Path

import pytest

from geofence.model.policy import (
    BREACH,
    DEFAULT_ALERTS,
    DWELL,
    OVERSPEED,
    SILENT_CAUSES,
    Policy,
    event_type,
    schedule_start_breach,
)
from geofence.model.schedule import DAYS, parse_schedule
from telemetry.times import parse_time_us

CASES = json.loads((Path(__file__).parents[2] / "cases" / "alerts.json").read_text())
WORK_HOURS = parse_schedule(
    {
        "timezone": "Europe/Zurich",
        "windows": [{"days": list(DAYS[:5]), "from": "08:00", "to": "17:30"}],
    }
)
OPEN_US = parse_time_us("2026-01-05T12:00:00+01:00")
CLOSED_US = parse_time_us("2026-01-05T17:30:00+01:00")


@pytest.mark.parametrize("hours", [None, WORK_HOURS], ids=["no hours", "hours"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_which_event_a_transition_gives(case, hours):
    closed = case.get("closed", False)
    if closed and hours is None:
        hours = WORK_HOURS
    alert_on = case.get("alert_on")
    policy = Policy(case["kind"], None if alert_on is None else frozenset(alert_on), hours)
    found = event_type(
        policy,
        case["transition"],
        case.get("cause", "moved"),
        case.get("inferred"),
        CLOSED_US if closed else OPEN_US,
        left_before=case.get("left_before", False),
    )
    assert found == case["gives"]


@pytest.mark.parametrize("cause", sorted(SILENT_CAUSES))
def test_what_nobody_did_on_the_ground_never_alerts(cause):
    everything = frozenset({"enter", "exit", "pass_through"})
    for kind, alert_on, transition, inferred in product(
        DEFAULT_ALERTS,
        (None, everything),
        ("enter", "exit", "dwell", "overspeed"),
        (None, "segment", "timer"),
    ):
        policy = Policy(kind, alert_on)
        assert event_type(policy, transition, cause, inferred, 0, left_before=True) is None


@pytest.mark.parametrize("kind", DEFAULT_ALERTS)
def test_an_alert_that_a_zone_asks_for_by_name_needs_no_exit_before(kind):
    for transition in ("enter", "exit"):
        policy = Policy(kind, frozenset({transition}))
        for left_before in (False, True):
            found = event_type(policy, transition, "moved", None, 0, left_before=left_before)
            assert found == BREACH
    for policy in (Policy(kind), Policy(kind, frozenset())):
        assert event_type(policy, "dwell", "moved", "timer", 0, left_before=False) == DWELL
        assert event_type(policy, "overspeed", "moved", None, 0, left_before=False) == OVERSPEED


@pytest.mark.parametrize(
    ("kind", "alert_on", "inside", "expected"),
    [
        ("restricted", None, True, "enter"),
        ("restricted", None, False, None),
        ("allowed", None, False, "exit"),
        ("allowed", None, True, None),
        ("jobsite", None, True, None),
        ("jobsite", None, False, None),
        ("yard", {"enter", "exit"}, True, None),
        ("other", {"enter", "exit"}, False, None),
        ("restricted", {"enter"}, True, "enter"),
        ("restricted", {"exit", "pass_through"}, True, None),
        ("allowed", {"exit"}, False, "exit"),
        ("allowed", {"enter"}, False, None),
        ("restricted", set(), True, None),
    ],
)
def test_when_hours_begin_an_asset_in_the_wrong_place_gives_a_breach(
    kind, alert_on, inside, expected
):
    wanted = None if alert_on is None else frozenset(alert_on)
    assert schedule_start_breach(Policy(kind, wanted, WORK_HOURS), inside=inside) == expected
    assert schedule_start_breach(Policy(kind, wanted), inside=inside) is None


def test_a_policy_has_only_words_that_it_knows():
    with pytest.raises(ValueError, match="kind must be one of restricted, allowed"):
        Policy("forbidden")
    with pytest.raises(ValueError, match="alert_on must be of enter, exit, pass_through"):
        Policy("yard", frozenset({"enter", "dwell"}))
