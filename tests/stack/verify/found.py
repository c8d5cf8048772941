"""The result that a flawless system makes of a small run, to be compared or spoilt.

Comparisons take plain values, so no server is needed: the result is made up from the replay of the
run.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from stack.verify.comparison import (
    Comparison,
    compare_events,
    compare_fixes,
    compare_quarantine,
    compare_stays,
    compare_visits,
    compare_webhooks,
)
from stack.verify.expectation import Expectation
from stack.verify.results import AmendedEvent, Event, Quarantined, StoredFix, StoredVisit
from stack.verify.webhook_receiver import Received
from telemetry.times import format_time
from tests.stack.small_runs import INSIDE, OUTSIDE, an_id, replayed

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
    visits: list[StoredVisit] = field(init=False)
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


def change_places(one: dict[str, Any], other: dict[str, Any], found: Found) -> None:
    one["seq"], other["seq"] = other["seq"], one["seq"]
    found.events.sort(key=lambda event: event["seq"])
