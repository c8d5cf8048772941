"""The comparison of what is stored with what must be: pure functions over plain values.

Each function gives a `Comparison`: how many things were expected and found, and every difference by
kind, the first few of each in words. Any difference means that a promise of the system is broken;
what is allowed (a webhook that comes again under its id) is a note instead.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from geofence.model.policy import SILENT_CAUSES
from stack.verify.folding import Folded, fold
from stack.verify.results import TIMER, Event, Quarantined, Stay, StoredFix, StoredVisit
from stack.verify.webhook_receiver import Received
from telemetry.times import format_time, parse_time_us

EXAMPLES = 10

Json = dict[str, Any]


@dataclass(slots=True)
class Comparison:
    """The differences of one kind of thing, counted; the first of each in words.

    assets: those that a difference is of.
    """

    what: str
    expected: int
    found: int
    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    notes: Counter[str] = field(default_factory=Counter)
    assets: set[str] = field(default_factory=set[str])

    @property
    def good(self) -> bool:
        return not self.counts

    def differs(self, kind: str, example: object, asset_id: str | None = None) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= EXAMPLES:
            self.examples[kind].append(str(example))
        if asset_id is not None:
            self.assets.add(asset_id)


def compare_fixes(
    expected: Sequence[StoredFix],
    found: Sequence[StoredFix],
    unsettled: Sequence[StoredFix] = (),
    doubtful: Set[tuple[str, int, int]] = frozenset(),
) -> Comparison:
    """Compare fixes: every acknowledged fix is stored once, where it was, and nothing else is.

    unsettled: sent and never acknowledged. They may be stored, but a run with such proves nothing.
    doubtful: identities of fixes that may be lost, and are stored at most once.
    """
    result = Comparison("fixes", len(expected), len(found))
    for fix in unsettled:
        result.differs("never acknowledged", _as_text(fix))
    uncertain = {fix[:3] for fix in unsettled} | doubtful
    wanted = {fix[:3]: fix for fix in expected}
    seen: set[tuple[str, int, int]] = set()
    for fix in found:
        identity = fix[:3]
        should = wanted.get(identity)
        if should is None and identity not in uncertain:
            result.differs("never sent", _as_text(fix))
        elif identity in seen:
            result.differs("stored twice", _as_text(fix))
        elif should is None:
            result.notes["that might be lost are stored"] += 1
        elif should != fix:
            result.differs("changed", f"{_as_text(fix)}, sent as {_as_text(should)}")
        seen.add(identity)
    for identity, fix in wanted.items():
        if identity not in seen:
            result.differs("lost", _as_text(fix))
    return result


def compare_quarantine(
    expected: Mapping[tuple[str | None, str], Sequence[int]],
    found: Sequence[Quarantined],
    doubtful: Set[tuple[str | None, str]] = frozenset(),
) -> Comparison:
    """Compare quarantine: every message that must be rejected is kept for that reason, and nothing
    else is.

    expected: by tracker and reason, how often each different message was sent. One that came again
    under its reason is counted up and allowed. doubtful: trackers and reasons of messages that may
    be lost: more than expected may be kept.
    """
    result = Comparison("refused", sum(map(len, expected.values())), 0)
    rows: dict[tuple[str | None, str], list[Quarantined]] = defaultdict(list)
    for row in found:
        rows[row.tracker_id, row.reason].append(row)
        result.found += not row.counts_only
    for key in {**expected, **rows}:
        wanted, kept = expected.get(key, ()), rows[key]
        surplus = sum(row.seen for row in kept) - sum(wanted)
        text = f"tracker={key[0]} {key[1]}: {len(kept)} rows, {len(wanted)} expected"
        if key in doubtful and len(kept) >= len(wanted) and surplus >= 0:
            result.notes["that might be lost"] += len(kept) - len(wanted)
        elif not wanted:
            result.differs("not expected", text)
        elif surplus < 0:
            result.differs("missing", f"{text}; {-surplus} messages of {sum(wanted)} not seen")
        elif len(kept) != len(wanted) and not any(row.counts_only for row in kept):
            result.differs("other number", text)
        elif surplus:
            result.notes["seen again"] += surplus
    return result


def compare_visits(expected: Sequence[StoredVisit], found: Sequence[StoredVisit]) -> Comparison:
    """Compare visits: they must be those of the replay, under the same ids and in
    everything else.
    """
    result = Comparison("visits", len(expected), len(found))
    missing = {visit.visit_id: visit for visit in expected}
    seen: set[str] = set()
    for visit in found:
        should = missing.pop(visit.visit_id, None)
        if visit.visit_id in seen:
            result.differs("twice", _as_text(visit), visit.asset_id)
        elif should is None:
            result.differs("not expected", _as_text(visit), visit.asset_id)
        elif visit != should:
            text = f"{_as_text(visit)}, replayed with {_otherwise(should, visit)}"
            result.differs("other", text, visit.asset_id)
        seen.add(visit.visit_id)
    for visit in missing.values():
        result.differs("missing", _as_text(visit), visit.asset_id)
    return result


def compare_stays(expected: Sequence[Stay], found: Sequence[Stay]) -> Comparison:
    """Compare visits: they must be those that follow from all fixes in order of time, whatever
    their ids.
    """
    result = Comparison("stays", len(expected), len(found))
    surplus = Counter(found)
    surplus.subtract(expected)
    for stay, count in surplus.items():
        for _ in range(abs(count)):
            kind = "not expected" if count > 0 else "missing"
            result.differs(kind, _as_text(stay), stay.asset_id)
    return result


def is_due_after(event: Json, instant_us: int) -> bool:
    """Return whether the event is about a deadline that passed after the instant."""
    is_timed = event["data"].get("inferred") == TIMER
    return is_timed and parse_time_us(event["occurred_at"]) > instant_us


def compare_events(
    expected: Sequence[Event],
    found: Iterable[Json],
    until_us: int,
    after_seq: int = 0,
    is_ours: Callable[[Json], bool] = lambda _event: True,
) -> Comparison:
    """Compare events: they must be those of the replay, under the same ids, numbered without gap
    and in order.

    All events of one asset come in the order of the replay, in which expected stands. found: all
    events of the organization by rising seq after after_seq, as the API gives them; read once.
    Deadlines that passed after until_us are left out. is_ours: whether the run made an event; of
    others only the number is looked at.
    """
    result = Comparison("events", len(expected), 0)
    wanted = {event.event_id: (place, event) for place, event in enumerate(expected)}
    seen: set[str] = set()
    newest: dict[str, int] = {}  # by asset: how far the replay is published
    next_seq = after_seq + 1
    for event in found:
        if event["seq"] != next_seq:
            result.differs("gap in seq", f"seq {event['seq']} where {next_seq} was due")
        next_seq = event["seq"] + 1
        if not is_ours(event):
            result.notes["of others than the run's assets"] += 1
            continue
        if is_due_after(event, until_us):
            result.notes["told of later deadlines"] += 1
            continue
        result.found += 1
        if event["id"] not in wanted:
            result.differs("not expected", _shown(event), event["data"].get("asset_id"))
        elif event["id"] in seen:
            result.differs("twice", _shown(event), event["data"].get("asset_id"))
        else:
            place, should = wanted[event["id"]]
            _compare_event(result, event, should)
            if place < newest.get(should.asset_id, place):
                result.differs("out of order", _shown(event), should.asset_id)
            newest[should.asset_id] = max(place, newest.get(should.asset_id, place))
        seen.add(event["id"])
    for missing in expected:
        if missing.event_id not in seen:
            result.differs("missing", _as_text(missing), missing.asset_id)
    return result


def _compare_event(result: Comparison, event: Json, should: Event) -> None:
    data = event["data"]
    of_event = {"event_id": event["id"], "type": event["type"]}
    in_words = data | {"occurred_at": event["occurred_at"]}
    got = {name: _value(in_words, name) for name in should._fields} | of_event
    for name, wanted in should._asdict().items():
        if got[name] != wanted:
            text = (
                f"{should.event_id}: {name} {got[name]}, replayed {wanted}, in {_as_text(should)}"
            )
            result.differs("wrong", text, should.asset_id)
            return
    if data.get("occurred_at", event["occurred_at"]) != event["occurred_at"]:
        result.differs("wrong", f"{should.event_id}: two values of occurred_at", should.asset_id)


def compare_folded(
    result: Comparison, events: Iterable[Json], visits: Iterable[StoredVisit], zone_ids: Set[str]
) -> None:
    """Compare the visits that follow from the events alone, and note the differences in `result`.

    events: by rising seq. zone_ids: zones that tell of every enter and exit. What began or ended
    without one (`SILENT_CAUSES`) is not told by events.
    """
    folded = fold(event for event in events if event["data"].get("zone_id") in zone_ids)
    for visit in visits:
        if visit.zone_id not in zone_ids:
            continue
        by_events = folded.pop(visit.visit_id, None)
        if not _agrees(visit, by_events):
            text = f"{_as_text(visit)}, but {by_events} by its events"
            result.differs("folded otherwise", text, visit.asset_id)
    for visit_id, surplus in folded.items():
        result.differs("folded otherwise", f"{visit_id}: {surplus} is no visit", surplus.asset_id)


def _agrees(visit: StoredVisit, by_events: Folded | None) -> bool:
    """Return whether the visit follows from its events. An end by silence has no event."""
    if by_events is None:
        return visit.entry_cause in SILENT_CAUSES
    if not by_events.is_entered and visit.entry_cause not in SILENT_CAUSES:
        return False
    is_end_published = visit.exit_cause not in SILENT_CAUSES
    return by_events.entered_us == visit.entered_us and (
        by_events.left_us == visit.left_us or not is_end_published
    )


def _value(data: Json, name: str) -> Any:
    """Return a field's value; an instant is text in the data, under a name that ends with _at."""
    if not name.endswith("_us"):
        return data.get(name)
    text = data.get(f"{name.removesuffix('_us')}_at")
    return None if text is None else parse_time_us(text)


def compare_webhooks(events: Mapping[str, bytes], received: Iterable[Received]) -> Comparison:
    """Compare webhooks: every event came under its id, with its own content and a good signature.

    events: by id, the JSON text that the API gives for it; a text stands for its decoded value.
    """
    result = Comparison("webhooks", len(events), 0)
    seen: set[str] = set()
    for webhook in received:
        if webhook.webhook_id in seen:
            result.notes["repeated under the same id"] += 1
        else:
            result.found += 1
        seen.add(webhook.webhook_id)
        if webhook.signature_problem is not None:
            result.differs("bad signature", f"{webhook.webhook_id}: {webhook.signature_problem}")
        event = events.get(webhook.webhook_id)
        if event is None:
            result.differs("not an event", webhook.webhook_id)
        elif _decoded(webhook.body) != _decoded(event):
            result.differs("other content", f"{webhook.webhook_id}: {webhook.body[:300]!r}")
    for event_id in events:
        if event_id not in seen:
            result.differs("never received", event_id)
    return result


def _decoded(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _as_text(thing: NamedTuple) -> str:
    """Name and value of each field, times in words."""
    return " ".join(_word(name, value) for name, value in thing._asdict().items())


def _otherwise(thing: NamedTuple, than: NamedTuple) -> str:
    """Return the fields in which they differ, as `thing` has them."""
    other = than._asdict()
    return " ".join(
        _word(name, value) for name, value in thing._asdict().items() if other[name] != value
    )


def _word(name: str, value: Any) -> str:
    if name.endswith("_us") and value is not None:
        return f"{name.removesuffix('_us')}={format_time(value)}"
    return f"{name}={value}"


def _shown(event: Json) -> str:
    data = event["data"]
    return (
        f"{event['id']} seq={event['seq']} {event['type']} {event['occurred_at']} "
        f"asset={data.get('asset_id')} zone={data.get('zone_id')} {data.get('transition')}"
        f" {data.get('cause')} {data.get('inferred')}"
    )
