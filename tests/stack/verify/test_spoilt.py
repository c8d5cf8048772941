"""Verification finds a result that is spoilt in one way."""

from collections.abc import Callable
from typing import Any

import pytest

from stack.verify.verify import as_text
from telemetry.times import format_time
from tests.stack.small_runs import START_US, an_id, at_us
from tests.stack.verify.found import Found, change_places


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
