"""Verification finds what is doctored, and finds nothing wrong where nothing is.

Comparisons take plain values, so no server is needed: the results here are made up from the
replay of a small run and then spoilt in one way each.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from stack.verify.comparison import (
    EXAMPLES,
    Comparison,
    compare_events,
    compare_fixes,
    compare_folded,
    compare_quarantine,
    compare_stays,
    compare_visits,
    compare_webhooks,
)
from stack.verify.expectation import Expectation
from stack.verify.results import AmendedEvent, Event, GeofenceEvent, Quarantined, StoredFix, Visit
from stack.verify.shared_organization import SharedOrganization
from stack.verify.verify import as_text
from stack.verify.webhook_receiver import Received
from telemetry.times import format_time, parse_time_us
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

RUN = (
    (0, 0, INSIDE),
    (1, 0, OUTSIDE),
    (0, 10, OUTSIDE),
    (1, 10, INSIDE),
    (0, 20, OUTSIDE),
    (1, 20, INSIDE),
    (0, 30, INSIDE),
    (1, 30, INSIDE),
)

LATE_RUN = (*RUN, (0, 50, INSIDE), (0, 15, INSIDE))
REFUSED = ((an_id("trk", 0), "future"), (an_id("trk", 0), "ancient"))


@dataclass
class Found:
    """The result that a flawless system makes of RUN, ready to be spoilt."""

    expected: Expectation = field(default_factory=lambda: replayed(*RUN))
    fixes: list[StoredFix] = field(init=False)
    visits: list[Visit] = field(init=False)
    events: list[dict[str, Any]] = field(init=False)
    webhooks: list[Received] = field(init=False)
    quarantine: list[Quarantined] = field(init=False)

    def __post_init__(self) -> None:
        self.fixes = list(self.expected.fixes)
        self.visits = list(self.expected.visits)
        self.quarantine = [Quarantined(*key, seen, False) for key in REFUSED for seen in (1, 2)]
        self.events = [self.event(seq, one) for seq, one in enumerate(self.expected.events, 1)]
        self.webhooks = [Received(event["id"], self.text(event), None) for event in self.events]

    @staticmethod
    def event(seq: int, one: Event) -> dict[str, Any]:
        occurred_at = format_time(one.occurred_us)
        data = {k: v for k, v in one._asdict().items() if k not in ("event_id", "type")}
        if isinstance(one, AmendedEvent):
            data["entered_at"] = format_time(one.entered_us)
            data["left_at"] = None if one.left_us is None else format_time(one.left_us)
        return {
            "id": one.event_id,
            "type": one.type,
            "seq": seq,
            "occurred_at": occurred_at,
            "created_at": "2027-01-15T08:00:00Z",
            "organization_id": an_id("org", 1),
            "data": {**data, "occurred_at": occurred_at},
        }

    @staticmethod
    def text(event: dict[str, Any]) -> bytes:
        return json.dumps(event).encode()

    def compare(self) -> dict[str, Comparison]:
        texts = {event["id"]: self.text(event) for event in self.events}
        return {
            "fixes": compare_fixes(self.expected.fixes, self.fixes),
            "refused": compare_quarantine(dict.fromkeys(REFUSED, (1, 2)), self.quarantine),
            "stays": compare_stays(self.expected.stays, [one.as_stay() for one in self.visits]),
            "visits": compare_visits(self.expected.visits, self.visits),
            "events": compare_events(self.expected.events, self.events, self.expected.until_us),
            "webhooks": compare_webhooks(texts, self.webhooks),
        }


def test_a_flawless_run_has_no_differences() -> None:
    found = Found()
    assert len(found.fixes) == 8
    assert len(found.visits) == 6  # three stays, each in both zones
    assert len(found.events) == 8
    assert all(one.good for one in found.compare().values())


def spoil(name: str) -> Callable[[Callable[[Found], None]], Callable[[Found], None]]:
    def named(function: Callable[[Found], None]) -> Callable[[Found], None]:
        SPOILT.append(pytest.param(function, *name.split(": "), id=function.__name__))
        return function

    return named


SPOILT: list[Any] = []


@spoil("fixes: lost")
def a_row_is_missing(found: Found) -> None:
    del found.fixes[2]


@spoil("fixes: stored twice")
def a_row_is_there_twice(found: Found) -> None:
    found.fixes.append(found.fixes[0])


@spoil("fixes: changed")
def a_row_is_elsewhere(found: Found) -> None:
    found.fixes[1] = found.fixes[1]._replace(lat=0.0060001)


@spoil("fixes: changed")
def a_row_is_of_another_asset(found: Found) -> None:
    found.fixes[1] = found.fixes[1]._replace(asset_id=found.fixes[0].asset_id)


@spoil("fixes: changed")
def a_row_is_held_to_be_impossible(found: Found) -> None:
    found.fixes[1] = found.fixes[1]._replace(suspect=True)


@spoil("fixes: never sent")
def a_row_was_never_sent(found: Found) -> None:
    found.fixes.append(found.fixes[0]._replace(time_us=START_US + 1))


@spoil("refused: missing")
def a_refused_message_is_not_kept(found: Found) -> None:
    del found.quarantine[0]


@spoil("refused: not expected")
def a_message_is_refused_that_should_not(found: Found) -> None:
    found.quarantine.append(found.quarantine[0]._replace(reason="oversize"))


@spoil("refused: not expected")
def a_message_of_somebody_else_is_kept(found: Found) -> None:
    found.quarantine.append(found.quarantine[0]._replace(tracker_id=None))


@spoil("refused: other number")
def two_messages_are_kept_as_one(found: Found) -> None:
    found.quarantine[1] = found.quarantine[1]._replace(seen=3)
    del found.quarantine[0]


@spoil("stays: missing")
def a_stay_is_shorter(found: Found) -> None:
    found.visits[0] = found.visits[0]._replace(left_us=at_us(1))


@spoil("stays: not expected")
def a_stay_is_there_twice(found: Found) -> None:
    found.visits.append(found.visits[0]._replace(visit_id=an_id("vis", 9)))


@spoil("visits: missing")
def a_visit_is_missing(found: Found) -> None:
    del found.visits[0]


@spoil("visits: twice")
def a_visit_is_there_twice(found: Found) -> None:
    found.visits.append(found.visits[0])


@spoil("visits: other")
def a_visit_ends_at_another_time(found: Found) -> None:
    ended = next(k for k, visit in enumerate(found.visits) if visit.left_us is not None)
    found.visits[ended] = found.visits[ended]._replace(left_us=at_us(11))


@spoil("visits: other")
def a_visit_never_ends(found: Found) -> None:
    ended = next(k for k, visit in enumerate(found.visits) if visit.left_us is not None)
    found.visits[ended] = found.visits[ended]._replace(left_us=None)


@spoil("visits: other")
def a_visit_ends_for_another_cause(found: Found) -> None:
    ended = next(k for k, visit in enumerate(found.visits) if visit.left_us is not None)
    found.visits[ended] = found.visits[ended]._replace(exit_cause="zone_changed")


@spoil("visits: other")
def a_visit_has_become_a_dwell(found: Found) -> None:
    found.visits[0] = found.visits[0]._replace(dwelled_us=at_us(5))


@spoil("visits: not expected")
def a_visit_has_another_id(found: Found) -> None:
    found.visits[0] = found.visits[0]._replace(visit_id=an_id("vis", 9))


@spoil("visits: other")
def a_visit_is_in_another_zone(found: Found) -> None:
    found.visits[0] = found.visits[0]._replace(zone_id=an_id("zon", 9))


@spoil("events: missing")
def an_event_is_missing(found: Found) -> None:
    del found.events[3]


@spoil("events: not expected")
def an_event_is_extra(found: Found) -> None:
    found.events.append({**found.events[0], "id": an_id("evt", 9), "seq": len(found.events) + 1})


@spoil("events: twice")
def an_event_is_there_twice(found: Found) -> None:
    found.events.append({**found.events[0], "seq": len(found.events) + 1})


@spoil("events: wrong")
def an_event_says_the_other_transition(found: Found) -> None:
    found.events[0]["data"]["transition"] = "exit"


@spoil("events: wrong")
def an_event_carries_another_time(found: Found) -> None:
    found.events[0]["occurred_at"] = format_time(START_US + 1)


@spoil("events: wrong")
def an_event_is_called_inferred(found: Found) -> None:
    found.events[0]["data"]["inferred"] = "segment"


@spoil("events: wrong")
def an_event_is_told_of_a_place_nearby(found: Found) -> None:
    found.events[0]["data"]["lat"] += 1e-7


@spoil("events: wrong")
def an_event_lacks_its_visit(found: Found) -> None:
    del found.events[0]["data"]["visit_id"]


@spoil("events: wrong")
def an_event_is_of_another_type(found: Found) -> None:
    found.events[0]["type"] = "asset.geofence_dwell"


@spoil("events: gap in seq")
def a_number_is_left_out(found: Found) -> None:
    for event in found.events[4:]:
        event["seq"] += 1


@spoil("events: out of order")
def events_of_an_asset_in_two_zones_change_places(found: Found) -> None:
    first, second = found.events[:2]
    assert first["data"]["asset_id"] == second["data"]["asset_id"]
    assert first["data"]["zone_id"] != second["data"]["zone_id"]
    change_places(first, second, found)


def change_places(one: dict[str, Any], other: dict[str, Any], found: Found) -> None:
    one["seq"], other["seq"] = other["seq"], one["seq"]
    found.events.sort(key=lambda event: event["seq"])


@spoil("webhooks: never received")
def a_webhook_never_came(found: Found) -> None:
    del found.webhooks[5]


@spoil("webhooks: bad signature")
def a_signature_is_bad(found: Found) -> None:
    found.webhooks[5] = found.webhooks[5]._replace(signature_problem="no signature matches")


@spoil("webhooks: not an event")
def a_webhook_bears_another_id(found: Found) -> None:
    found.webhooks.append(found.webhooks[0]._replace(webhook_id=an_id("evt", 9)))


@spoil("webhooks: other content")
def a_webhook_says_something_else(found: Found) -> None:
    found.webhooks[0] = found.webhooks[0]._replace(body=found.webhooks[1].body)


@spoil("webhooks: other content")
def a_webhook_is_no_json(found: Found) -> None:
    found.webhooks[0] = found.webhooks[0]._replace(body=b"{")


@pytest.mark.parametrize(("spoilt", "what", "kind"), SPOILT)
def test_what_is_spoilt_is_found(spoilt: Callable[[Found], None], what: str, kind: str) -> None:
    found = Found()
    spoilt(found)
    comparison = found.compare()[what]
    assert not comparison.good
    assert comparison.counts[kind] >= 1
    assert comparison.examples[kind]
    assert f"{what}, {kind} (" in as_text([comparison], "nobody")


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
    assert compared.notes == {"of others in the organization": 2}
    events[3]["seq"] += 1
    again = compare_events(
        found.expected.events, events, found.expected.until_us, 40, shared.is_ours
    )
    assert again.counts == {"gap in seq": 2}
