"""Ids that anyone can derive, and what alerts."""

from uuid import UUID

import pytest

from geofence.transitions import Cause, Transition
from geofence.visits import alerts, event_id, visit_id

ASSET, ZONE, TRACKER = UUID(int=1), UUID(int=2), UUID(int=3)
ENTER, EXIT = Transition.ENTER, Transition.EXIT
MOVED, INITIAL, ZONE_CHANGED = Cause.MOVED, Cause.INITIAL, Cause.ZONE_CHANGED


def test_an_id_of_a_visit_never_changes():
    found = visit_id(ASSET, ZONE, TRACKER, 1_700_000_000_000_000, 7)
    assert found == UUID("f0c06fb1-fdd5-8c08-96c5-8b272b77abc9")
    assert event_id(found, "enter") == UUID("3aeb9b04-2092-8b0c-b73f-1a62d13dee8a")


def test_everything_that_names_a_visit_counts():
    facts = (ASSET, ZONE, TRACKER, -5, 7, 0)
    others = [list(facts) for _ in facts]
    for place, other in enumerate(others):
        other[place] = UUID(int=9) if place < 3 else 9
    assert len({visit_id(*facts), *(visit_id(*other) for other in others)}) == len(facts) + 1


def test_enter_and_exit_of_a_visit_are_two_events():
    assert event_id(ASSET, "enter") != event_id(ASSET, "exit")
    with pytest.raises(KeyError):
        event_id(ASSET, "dwell")


@pytest.mark.parametrize(
    ("kind", "alert_on", "transition", "cause", "expected"),
    [
        ("restricted", None, ENTER, MOVED, True),
        ("restricted", None, ENTER, INITIAL, True),
        ("restricted", None, EXIT, MOVED, True),
        ("restricted", None, ENTER, ZONE_CHANGED, False),
        ("restricted", None, EXIT, ZONE_CHANGED, False),
        ("allowed", None, ENTER, MOVED, True),
        ("allowed", None, ENTER, INITIAL, False),
        ("allowed", None, EXIT, MOVED, True),
        ("jobsite", None, ENTER, MOVED, False),
        ("yard", None, EXIT, MOVED, False),
        ("other", None, ENTER, INITIAL, False),
        ("restricted", {"exit"}, ENTER, MOVED, False),
        ("restricted", set(), EXIT, MOVED, False),
        ("restricted", {"pass_through"}, ENTER, MOVED, False),
        ("jobsite", {"enter"}, ENTER, INITIAL, True),
        ("allowed", {"enter"}, ENTER, INITIAL, True),
        ("jobsite", {"enter"}, EXIT, MOVED, False),
        ("jobsite", {"enter", "exit"}, EXIT, ZONE_CHANGED, False),
    ],
)
def test_what_alerts(kind, alert_on, transition, cause, expected):
    assert alerts(kind, alert_on, transition, cause) is expected
