"""Ids that anyone can derive."""

from uuid import UUID

import pytest

from geofence.model.visit_ids import event_id, schedule_start_event_id, visit_id

ASSET, ZONE, TRACKER = UUID(int=1), UUID(int=2), UUID(int=3)


def test_an_id_of_a_visit_never_changes():
    found = visit_id(ASSET, ZONE, TRACKER, 1_700_000_000_000_000, 7)
    assert found == UUID("f0c06fb1-fdd5-8c08-96c5-8b272b77abc9")
    assert event_id(found, "enter") == UUID("3aeb9b04-2092-8b0c-b73f-1a62d13dee8a")


def test_everything_that_names_a_visit_counts():
    facts = (ASSET, ZONE, TRACKER, -5, 7, 0, 0)
    others = [list(facts) for _ in facts]
    for place, other in enumerate(others):
        other[place] = UUID(int=9) if place < 3 else 9
    assert len({visit_id(*facts), *(visit_id(*other) for other in others)}) == len(facts) + 1


def test_enter_exit_and_dwell_of_a_visit_are_three_events():
    words = ("enter", "exit", "dwell")
    assert len({event_id(ASSET, word) for word in words}) == len(words)
    with pytest.raises(KeyError):
        event_id(ASSET, "amended")


def test_an_id_of_an_opening_never_changes_and_names_asset_zone_and_instant():
    facts = (ASSET, ZONE, 1_700_000_000_000_000)
    found = schedule_start_event_id(*facts)
    assert found == UUID("1506d8ed-9375-88ee-8c66-6be361183354")
    others = [(ZONE, *facts[1:]), (ASSET, ASSET, facts[2]), (*facts[:2], -1)]
    assert len({found, *(schedule_start_event_id(*other) for other in others)}) == 4
