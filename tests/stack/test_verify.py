"""Verification finds what is doctored, and finds nothing wrong where nothing is.

Comparisons take plain values, so no server is needed: the results here are made up from the
replay of a small run and then spoilt in one way each.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from device_sim.fleet import SimTracker
from stack.comparison import (
    EXAMPLES,
    Comparison,
    StoredFix,
    Visit,
    compare_events,
    compare_fixes,
    compare_visits,
    compare_webhooks,
)
from stack.expectation import Expectation, expect
from stack.receiver import Received, own_check, signature_check
from stack.registration import Registered
from stack.scenario import SimZone
from stack.verify import as_text
from telemetry.fix import blank_rows
from telemetry.ids import derived_id, format_id
from telemetry.times import format_time

START_US = 1_800_000_000_000_000
SECOND_US = 1_000_000
SQUARE = {
    "type": "Polygon",
    "coordinates": [[[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0]]],
}
INSIDE, OUTSIDE = 0.5, 2.5


def an_id(prefix: str, number: int) -> str:
    return format_id(prefix, derived_id(b"test", prefix.encode(), number.to_bytes(4, "big")))


TWO_TRACKERS = Registered(
    trackers=[SimTracker(an_id("trk", number), "secret") for number in range(2)],
    asset_ids=[an_id("ast", number) for number in range(2)],
    zone_ids=[an_id("zon", number) for number in range(2)],
    valid_from_us=START_US - SECOND_US,
)
ZONES = [
    SimZone("square", "Square", SQUARE),
    SimZone("round", "Round", {"type": "Point", "coordinates": [0.5, 0.5]}, radius_m=1000.0),
]


def sent(*fixes: tuple[int, float, float]) -> np.ndarray:
    """Fixes (tracker, seconds after the start, lat and lon) in order of sending."""
    rows = blank_rows(len(fixes))
    for row, (tracker, after_s, place) in zip(rows, fixes, strict=True):
        row["tracker"] = tracker
        row["time_us"] = START_US + after_s * SECOND_US
        row["lat"] = row["lon"] = place
    return rows


def replayed(*fixes: tuple[int, float, float], zones: list[SimZone] = ZONES) -> Expectation:
    return expect(sent(*fixes), TWO_TRACKERS, zones, START_US + 3600 * SECOND_US)


RUN = (
    (0, 0, INSIDE),
    (1, 0, OUTSIDE),
    (0, 10, OUTSIDE),
    (1, 10, INSIDE),
    (0, 20, INSIDE),
    (1, 20, INSIDE),
)


@dataclass
class Found:
    """What a flawless system makes of RUN, ready to be spoilt."""

    expected: Expectation = field(default_factory=lambda: replayed(*RUN))
    fixes: list[StoredFix] = field(init=False)
    visits: list[Visit] = field(init=False)
    events: list[dict[str, Any]] = field(init=False)
    webhooks: list[Received] = field(init=False)

    def __post_init__(self) -> None:
        self.fixes = list(self.expected.fixes)
        self.visits = list(self.expected.visits)
        self.events = [
            {
                "id": breach.event_id,
                "type": "asset.geofence_breach",
                "seq": seq,
                "occurred_at": format_time(breach.occurred_us),
                "created_at": "2027-01-15T08:00:00Z",
                "organization_id": an_id("org", 1),
                "data": {
                    **{k: v for k, v in breach._asdict().items() if k not in ("event_id",)},
                    "occurred_at": format_time(breach.occurred_us),
                },
            }
            for seq, breach in enumerate(self.expected.breaches, start=1)
        ]
        self.webhooks = [Received(event["id"], self.text(event), None) for event in self.events]

    @staticmethod
    def text(event: dict[str, Any]) -> bytes:
        return json.dumps(event).encode()

    def compare(self) -> dict[str, Comparison]:
        texts = {event["id"]: self.text(event) for event in self.events}
        return {
            "fixes": compare_fixes(self.expected.fixes, self.fixes),
            "visits": compare_visits(self.expected.visits, self.visits),
            "events": compare_events(self.expected.breaches, self.events),
            "webhooks": compare_webhooks(texts, self.webhooks),
        }


def test_a_flawless_run_has_no_differences() -> None:
    found = Found()
    assert len(found.fixes) == 6
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
    found.fixes[1] = found.fixes[1]._replace(lat=2.5000001)


@spoil("fixes: changed")
def a_row_is_of_another_asset(found: Found) -> None:
    found.fixes[1] = found.fixes[1]._replace(asset_id=found.fixes[0].asset_id)


@spoil("fixes: never sent")
def a_row_was_never_sent(found: Found) -> None:
    found.fixes.append(found.fixes[0]._replace(time_us=START_US + 1))


@spoil("visits: missing")
def a_visit_is_missing(found: Found) -> None:
    del found.visits[0]


@spoil("visits: not expected")
def a_visit_is_there_twice(found: Found) -> None:
    found.visits.append(found.visits[0])


@spoil("visits: other end")
def a_visit_ends_at_another_time(found: Found) -> None:
    ended = next(k for k, visit in enumerate(found.visits) if visit.left_us is not None)
    found.visits[ended] = found.visits[ended]._replace(left_us=START_US + 11 * SECOND_US)


@spoil("visits: other end")
def a_visit_never_ends(found: Found) -> None:
    ended = next(k for k, visit in enumerate(found.visits) if visit.left_us is not None)
    found.visits[ended] = found.visits[ended]._replace(left_us=None)


@spoil("visits: not expected")
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
def events_of_an_asset_change_places(found: Found) -> None:
    first = found.events[0]
    own = [
        event for event in found.events if event["data"]["asset_id"] == first["data"]["asset_id"]
    ]
    own[0]["seq"], own[-1]["seq"] = own[-1]["seq"], own[0]["seq"]
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
    expected = [StoredFix("trk", time_us, 0, None, 1.0, 1.0) for time_us in range(100)]
    comparison = compare_fixes(expected, [])
    assert comparison.counts == {"lost": 100}
    assert len(comparison.examples["lost"]) == EXAMPLES


# What is expected ----------------------------------------------------------------------------


def transitions(expected: Expectation) -> list[tuple[int, str]]:
    return [((b.occurred_us - START_US) // SECOND_US, b.transition) for b in expected.breaches]


def only_square(kind: str | None = None, alert_on: Iterable[str] | None = None) -> list[SimZone]:
    chosen = None if alert_on is None else list(alert_on)
    return [SimZone("square", "Square", SQUARE, kind=kind, alert_on=chosen)]


def test_a_repeated_fix_is_stored_once_as_it_came_first() -> None:
    expected = replayed((0, 0, INSIDE), (0, 10, OUTSIDE), (0, 0, OUTSIDE), zones=only_square())
    assert [fix.lat for fix in expected.fixes] == [INSIDE, OUTSIDE]
    assert transitions(expected) == [(0, "enter"), (10, "exit")]


def test_a_late_fix_is_stored_and_not_judged() -> None:
    expected = replayed((0, 10, OUTSIDE), (0, 5, INSIDE), (0, 20, OUTSIDE), zones=only_square())
    assert len(expected.fixes) == 3
    assert expected.visits == []


def test_what_cannot_be_stored_is_not_expected() -> None:
    never = -(START_US // SECOND_US)
    expected = replayed(
        (0, never, INSIDE), (0, 0, 0.0), (0, 7200, INSIDE), (0, 10, INSIDE), zones=only_square()
    )
    assert [fix.lat for fix in expected.fixes] == [INSIDE]
    assert transitions(expected) == [(10, "enter")]


@pytest.mark.parametrize(
    ("kind", "alert_on", "expected"),
    [
        (None, None, [(0, "enter"), (10, "exit"), (20, "enter")]),
        ("restricted", None, [(0, "enter"), (10, "exit"), (20, "enter")]),
        ("allowed", None, [(10, "exit"), (20, "enter")]),
        ("yard", None, []),
        ("yard", ["exit"], [(10, "exit")]),
    ],
)
def test_the_kind_of_a_zone_says_what_alerts(
    kind: str | None, alert_on: list[str] | None, expected: list[tuple[int, str]]
) -> None:
    zones = only_square(kind, alert_on)
    found = replayed((0, 0, INSIDE), (0, 10, OUTSIDE), (0, 20, INSIDE), zones=zones)
    assert transitions(found) == expected
    assert len(found.visits) == 2


def test_the_same_run_gives_the_same_ids() -> None:
    assert replayed(*RUN) == replayed(*RUN)


# Signatures ----------------------------------------------------------------------------------

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def signed(body: bytes, *, at: float, secret: str = SECRET) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    moment = str(int(at))
    digest = hmac.digest(key, f"evt_1.{moment}.".encode() + body, hashlib.sha256)
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "evt_1", "webhook-timestamp": moment, "webhook-signature": signature}


@pytest.mark.parametrize("check", [own_check(SECRET), signature_check(SECRET)[0]])
def test_both_checks_agree(check: Callable[[dict[str, str], bytes], str | None]) -> None:
    now, body = time.time(), '{"name": "Höhe"}'.encode()
    good = signed(body, at=now)
    other = "whsec_" + base64.b64encode(b"another").decode()
    assert check(good, body) is None
    assert (
        check({**good, "webhook-signature": "v1,AAAA " + good["webhook-signature"]}, body) is None
    )
    assert check(good, body + b" ") is not None
    assert check(signed(body, at=now, secret=other), body) is not None
    assert check(signed(body, at=now - 600), body) is not None
    assert check({**good, "webhook-id": "evt_2"}, body) is not None
    assert check({**good, "webhook-timestamp": "soon"}, body) is not None
    assert check({**good, "webhook-signature": ""}, body) is not None
    assert check({**good, "webhook-signature": "v1"}, body) is not None
    assert check({**good, "webhook-id": ""}, body) is not None


def test_the_independent_check_is_used_where_it_is_installed() -> None:
    pytest.importorskip("standardwebhooks")
    assert signature_check(SECRET)[1] == "package standardwebhooks"
