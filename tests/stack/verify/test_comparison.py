"""Verification finds nothing wrong where nothing is, and counts what may come again."""

import json
from itertools import pairwise
from typing import Any

import pytest

from stack.verify.comparison import (
    EXAMPLES,
    Comparison,
    compare_events,
    compare_fixes,
    compare_folded,
)
from stack.verify.results import GeofenceEvent, StoredFix
from stack.verify.shared_organization import SharedOrganization
from telemetry.times import parse_time_us
from tests.stack.small_runs import (
    INSIDE,
    OUTSIDE,
    START_US,
    ZONES,
    an_id,
    at_us,
    history_of,
    replayed,
)
from tests.stack.verify.found import LATE_RUN, RUN, Found, change_places


def test_a_flawless_run_has_no_differences() -> None:
    found = Found()
    assert len(found.fixes) == 8
    assert len(found.visits) == 6  # three stays, each in both zones
    assert len(found.events) == 8
    assert all(one.good for one in found.compare().values())


def test_events_of_other_assets_may_come_in_another_order() -> None:
    found = Found()
    last, first = next(
        (one, other)
        for one, other in pairwise(found.events)
        if one["data"]["asset_id"] != other["data"]["asset_id"]
    )
    change_places(last, first, found)
    assert found.compare()["events"].good


def test_late_fixes_amend_what_was_told_and_that_is_compared_too() -> None:
    found = Found(replayed(*LATE_RUN))
    amended = [event for event in found.events if event["type"] == "asset.visit_amended"]
    assert amended
    assert all(one.good for one in found.compare().values())
    amended[0]["data"]["revision"] += 1
    assert found.compare()["events"].counts == {"wrong": 1}


def test_a_refused_message_that_comes_again_is_counted_and_allowed() -> None:
    found = Found()
    found.quarantine[0] = found.quarantine[0]._replace(seen=4)
    comparison = found.compare()["refused"]
    assert comparison.good
    assert comparison.notes == {"seen again": 3}


def test_messages_beyond_what_is_kept_of_a_day_are_counted() -> None:
    found = Found()
    found.quarantine[1] = found.quarantine[1]._replace(counts_only=True)
    assert found.compare()["refused"].good


def later_deadline(found: Found) -> dict[str, Any]:
    """Return an event of a deadline that passed when the replay had ended."""
    late = {"occurred_us": found.expected.until_us + 1, "inferred": "timer"}
    first = found.expected.events[0]
    assert isinstance(first, GeofenceEvent)
    event = first._replace(event_id=an_id("evt", 9), **late)
    return found.event(len(found.events) + 1, event)


def test_deadlines_that_pass_after_the_replay_are_left_out() -> None:
    found = Found()
    found.events.append(later_deadline(found))
    comparison = found.compare()["events"]
    assert comparison.good
    assert comparison.notes == {"told of later deadlines": 1}


def test_a_visit_is_taken_as_it_was_when_the_replay_had_ended() -> None:
    visit = Found().visits[-1]
    later = visit._replace(
        dwelled_us=at_us(60), left_us=at_us(90), exit_cause="silence", exit_inferred="timer"
    )
    assert later.until(at_us(59)) == visit
    assert later.until(at_us(60)) == visit._replace(dwelled_us=at_us(60))
    assert later.until(at_us(90)) == later


def test_a_webhook_that_comes_again_is_counted_and_allowed() -> None:
    found = Found()
    found.webhooks += found.webhooks[:3]
    comparison = found.compare()["webhooks"]
    assert comparison.good
    assert comparison.notes == {"repeated under the same id": 3}


def test_a_fix_that_was_never_acknowledged_spoils_the_run_stored_or_not() -> None:
    found = Found()
    unsettled = [found.fixes[0]._replace(time_us=START_US + 1)]
    for stored in (found.fixes, found.fixes + unsettled):
        comparison = compare_fixes(found.expected.fixes, stored, unsettled)
        assert comparison.counts == {"never acknowledged": 1}


def test_only_the_first_differences_are_told_and_all_are_counted() -> None:
    expected = [StoredFix("trk", time_us, 0, None, 1.0, 1.0, False) for time_us in range(100)]
    comparison = compare_fixes(expected, [])
    assert comparison.counts == {"lost": 100}
    assert len(comparison.examples["lost"]) == EXAMPLES


def test_a_difference_is_of_its_asset() -> None:
    found = Found()
    own = found.events[0]["data"]["asset_id"]
    found.events[0]["data"]["transition"] = "exit"
    assert found.compare()["events"].assets == {own}
    found.visits = [visit for visit in found.visits if visit.asset_id == own]
    others = {visit.asset_id for visit in found.expected.visits} - {own}
    assert found.compare()["visits"].assets == found.compare()["stays"].assets == others


def folded(found: Found) -> Comparison:
    result = Comparison("events", 0, 0)
    zone_ids = {visit.zone_id for visit in found.expected.visits}
    compare_folded(result, found.events, found.visits, zone_ids)
    return result


SPLIT_RUN = (
    *((0, 0, INSIDE), (0, 60, INSIDE), (0, 20, OUTSIDE), (0, 30, OUTSIDE)),
    *((0, 90, OUTSIDE), (0, 100, OUTSIDE)),
)


@pytest.mark.parametrize("run", [RUN, LATE_RUN, SPLIT_RUN])
def test_the_events_of_a_flawless_run_fold_to_its_visits(run: Any) -> None:
    found = Found(replayed(*run))
    assert found.visits
    assert folded(found).good, folded(found).examples


def test_a_later_part_of_a_visit_without_its_enter_is_found_by_folding() -> None:
    found = Found(replayed(*SPLIT_RUN))
    changes = [event["data"].get("change") for event in found.events]
    assert changes.count("split") == 2  # in both zones
    late = [e for e in found.events if e["data"].get("transition") == "enter" and e["data"]["late"]]
    assert len(late) == 2
    found.events.remove(late[0])
    assert folded(found).counts == {"folded otherwise": 1}
    others = (e for e in found.events if e["data"]["visit_id"] != late[1]["data"]["visit_id"])
    found.events = list(others)
    assert folded(found).counts == {"folded otherwise": 2}


def test_an_exit_that_is_not_told_is_found_by_folding() -> None:
    found = Found()
    left = next(event for event in found.events if event["data"]["transition"] == "exit")
    found.events.remove(left)
    assert folded(found).counts == {"folded otherwise": 1}


def test_a_visit_that_no_event_began_is_told_by_its_exit() -> None:
    began_us = parse_time_us("2027-01-15T08:00:30Z")
    history = history_of()
    history.zone_begins(an_id("zon", 0), ZONES[0], began_us)
    found = Found(
        replayed(
            (0, 0, INSIDE), (0, 60, INSIDE), (0, 70, OUTSIDE), (0, 80, OUTSIDE), history=history
        )
    )
    assert [visit.entry_cause for visit in found.visits] == ["zone_changed"]
    assert [event["data"]["transition"] for event in found.events] == ["exit"]
    assert folded(found).good, folded(found).examples


def test_events_of_others_only_take_numbers() -> None:
    found, history = Found(), history_of(*ZONES)
    shared = SharedOrganization(history, after_seq=40, began_us=START_US)
    theirs = json.loads(found.text(found.events[0]))
    theirs["data"]["zone_id"] = an_id("zon", 99)
    events = [theirs, *found.events, theirs | {"type": "work_order.created", "data": {}}]
    for seq, event in enumerate(events, 41):
        event["seq"] = seq
    compared = compare_events(
        found.expected.events,
        events,
        found.expected.until_us,
        after_seq=shared.after_seq,
        is_ours=shared.is_ours,
    )
    assert compared.good, compared
    assert compared.notes == {"of others than the run's assets": 2}
    events[3]["seq"] += 1
    again = compare_events(
        found.expected.events, events, found.expected.until_us, 40, shared.is_ours
    )
    assert again.counts == {"gap in seq": 2}
