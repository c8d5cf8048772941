"""What came out held against what should have: pure functions over plain values.

Each function gives a `Comparison`: how many things were expected and found, and every difference by
kind, the first few of each in words. Any difference means that a promise of the system is broken;
what is allowed (a webhook that comes again under its id) is a note instead.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from stack.receiver import Received
from telemetry.times import format_time, parse_time_us

EXAMPLES = 10
BREACH = "asset.geofence_breach"

Json = dict[str, Any]


class StoredFix(NamedTuple):
    """A fix as it is stored: (tracker_id, time_us, seq) is its identity."""

    tracker_id: str
    time_us: int
    seq: int
    asset_id: str | None
    lat: float
    lon: float


class Visit(NamedTuple):
    """One stay of an asset in a zone; left_us is None while it lasts."""

    asset_id: str
    zone_id: str
    entered_us: int
    left_us: int | None


class Breach(NamedTuple):
    """What is decided about one geofence event: all but its seq and its creation time."""

    event_id: str
    asset_id: str
    tracker_id: str
    zone_id: str
    visit_id: str
    transition: str
    occurred_us: int
    lat: float
    lon: float
    initial: bool


@dataclass(slots=True)
class Comparison:
    """The differences of one kind of thing, counted; the first of each in words."""

    what: str
    expected: int
    found: int
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def good(self) -> bool:
        return not self.counts

    def differs(self, kind: str, example: object) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            self.examples[kind].append(str(example))


def compare_fixes(
    expected: Sequence[StoredFix],
    found: Sequence[StoredFix],
    unsettled: Sequence[StoredFix] = (),
) -> Comparison:
    """Every fix that was acknowledged is stored once, where it was, and nothing else is.

    unsettled: sent and never acknowledged. They may be stored, but a run with such proves nothing.
    """
    result = Comparison("fixes", len(expected), len(found))
    for fix in unsettled:
        result.differs("never acknowledged", _told(fix))
    uncertain = {fix[:3] for fix in unsettled}
    wanted = {fix[:3]: fix for fix in expected}
    seen: set[tuple[str, int, int]] = set()
    for fix in found:
        identity = fix[:3]
        should = wanted.get(identity)
        if should is None:
            if identity not in uncertain:
                result.differs("never sent", _told(fix))
        elif identity in seen:
            result.differs("stored twice", _told(fix))
        elif should != fix:
            result.differs("changed", f"{_told(fix)}, sent as {_told(should)}")
        seen.add(identity)
    for identity, fix in wanted.items():
        if identity not in seen:
            result.differs("lost", _told(fix))
    return result


def compare_visits(expected: Sequence[Visit], found: Sequence[Visit]) -> Comparison:
    """The visits are those of the replay: asset, zone, beginning and end."""
    result = Comparison("visits", len(expected), len(found))
    surplus = Counter(found)
    surplus.subtract(Counter(expected))
    missing = {visit[:3]: visit for visit, n in surplus.items() if n < 0}
    for visit, n in surplus.items():
        if n <= 0:
            continue
        should = missing.pop(visit[:3], None)
        if should is None:
            result.differs("not expected", _told(visit))
        else:
            result.differs("other end", f"{_told(visit)}, replayed as {_told(should)}")
    for visit in missing.values():
        result.differs("missing", _told(visit))
    return result


def compare_events(expected: Sequence[Breach], found: Iterable[Json]) -> Comparison:
    """The events are those of the replay, under the same ids, numbered without gap and in order.

    Within an asset the order is that of time, exits before enters. found: all events of the
    organization by rising seq, as the API gives them; read once.
    """
    result = Comparison("events", len(expected), 0)
    wanted = {breach.event_id: breach for breach in expected}
    seen: set[str] = set()
    newest: dict[str, tuple[int, bool]] = {}  # by asset, where its newest event so far stands
    next_seq = 1
    for event in found:
        result.found += 1
        if event["seq"] != next_seq:
            result.differs("gap in seq", f"seq {event['seq']} where {next_seq} was due")
        next_seq = event["seq"] + 1
        should = wanted.get(event["id"])
        if should is None:
            result.differs("not expected", _shown(event))
        elif event["id"] in seen:
            result.differs("twice", _shown(event))
        else:
            _compare_event(result, event, should)
            place = (should.occurred_us, should.transition == "enter")  # exits before enters
            if place < newest.get(should.asset_id, place):
                result.differs("out of order", _shown(event))
            newest[should.asset_id] = max(place, newest.get(should.asset_id, place))
        seen.add(event["id"])
    for breach in expected:
        if breach.event_id not in seen:
            result.differs("missing", _told(breach))
    return result


def _compare_event(result: Comparison, event: Json, should: Breach) -> None:
    data = event["data"]
    if event["type"] != BREACH:
        result.differs("wrong", f"{should.event_id}: type {event['type']}")
        return
    got = {name: data.get(name) for name in Breach._fields}
    got["event_id"] = event["id"]
    got["occurred_us"] = parse_time_us(event["occurred_at"])
    for name, wanted in should._asdict().items():
        if got[name] != wanted:
            result.differs("wrong", f"{should.event_id}: {name} {got[name]}, replayed {wanted}")
            return
    if data.get("occurred_at") != event["occurred_at"]:
        result.differs("wrong", f"{should.event_id}: two values of occurred_at")


def compare_webhooks(events: Mapping[str, bytes], received: Iterable[Received]) -> Comparison:
    """Every event came as a webhook under its id, with its own content and a good signature.

    events: by id, the JSON text that the API gives for it; a text stands for its decoded value.
    """
    result = Comparison("webhooks", len(events), 0)
    seen: set[str] = set()
    for one in received:
        if one.webhook_id in seen:
            result.notes["repeated under the same id"] += 1
        else:
            result.found += 1
        seen.add(one.webhook_id)
        if one.signature_problem is not None:
            result.differs("bad signature", f"{one.webhook_id}: {one.signature_problem}")
        event = events.get(one.webhook_id)
        if event is None:
            result.differs("not an event", one.webhook_id)
        elif _decoded(one.body) != _decoded(event):
            result.differs("other content", f"{one.webhook_id}: {one.body[:300]!r}")
    for event_id in events:
        if event_id not in seen:
            result.differs("never received", event_id)
    return result


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _told(thing: StoredFix | Visit | Breach) -> str:
    """Name and value of each field, times in words."""
    told: list[str] = []
    for name, value in thing._asdict().items():
        if name.endswith("_us") and value is not None:
            name, value = name.removesuffix("_us"), format_time(value)
        told.append(f"{name}={value}")
    return " ".join(told)


def _shown(event: Json) -> str:
    data = event["data"]
    return (
        f"{event['id']} seq={event['seq']} {event['type']} {event['occurred_at']} "
        f"asset={data.get('asset_id')} zone={data.get('zone_id')} {data.get('transition')}"
    )
