"""The verification of a simulated run: what the system made of it, compared with what the simulator
sent.

It waits until the run has drained, reads rows, quarantine, visits and events back through the API,
takes the webhooks from its own receiver, where the system can reach one, and compares all of it
with an in-memory replay. Any loss, duplicate or wrong event is a difference, and so is a run in
which no event was expected: it proves nothing. Where others are at work in the organization, only
the run's own part of it is looked at (`stack.verify.shared_organization`).
"""

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from device_sim.ledger import Ledger
from stack.scenario.api_client import ApiClient, ApiError
from stack.verify.comparison import (
    Comparison,
    compare_events,
    compare_fixes,
    compare_folded,
    compare_quarantine,
    compare_stays,
    compare_visits,
    compare_webhooks,
    is_due_after,
)
from stack.verify.doubtful import (
    Identity,
    arrived_messages,
    doubtful_identities,
    in_order_of_receipt,
)
from stack.verify.expectation import Expectation, expect, stored_fixes
from stack.verify.fix_fates import Arrived, Fates, Refused, fates
from stack.verify.judged_zones import zones_that_tell_all
from stack.verify.readback import (
    read_events,
    read_fixes,
    read_quarantine,
    read_receipt_times,
    read_visits,
)
from stack.verify.results import TIMER, StoredFix, StoredVisit
from stack.verify.run_history import RunHistory
from stack.verify.shared_organization import SharedOrganization
from stack.verify.webhook_receiver import WebhookReceiver
from telemetry.times import parse_time_us

Json = dict[str, Any]

POLL_S = 1.0
DEADLINES_S = 30.0
"""Deadlines that pass so long after the run are waited for."""

QUIET_S = 3.0
"""So long nothing may grow after all that is expected has come, so that a surplus is seen too."""


@dataclass(frozen=True, slots=True)
class Totals:
    """The counts of what a run has brought so far: rows, events, different webhooks."""

    stored: int
    events: int
    webhooks: int


@dataclass(frozen=True, slots=True)
class VerifiedRun:
    """A run that has been sent. is_json: its messages are.

    receiver: None where webhooks cannot be received. shared: None where the organization is the
    run's alone. punch_events: how many its crew's punches must give.
    """

    ledger: Ledger
    history: RunHistory
    receiver: WebhookReceiver | None
    is_json: bool = True
    shared: SharedOrganization | None = None
    punch_events: int = 0

    def not_foreseen(self) -> set[str]:
        """Return the assets whose state depends on which doubtful fixes arrived."""
        trackers = self.ledger.doubtful_trackers() | self.ledger.repeating_trackers()
        spans = self.history.assignments
        return {self.history.asset_ids[span.asset] for span in spans if span.tracker in trackers}

    def repeating_trackers(self) -> list[str]:
        """Return trackers that sent messages again."""
        return [self.history.tracker_ids[tracker] for tracker in self.ledger.repeating_trackers()]

    def fates(self, rows: NDArray[np.void]) -> Fates:
        """Return the fates of some of the ledger's fixes, had they all arrived."""
        return fates(Arrived.from_ledger(self.ledger, rows, is_json=self.is_json))


@dataclass(frozen=True, slots=True)
class Verified:
    """comparisons: of fixes, quarantine, visits (with their ids, and without), events, and webhooks
    where there is a receiver.

    timer_delays_s: from each deadline that passed until its event was created, seconds. assets:
    those of the run; whole: those whose visits and whole sequence of events are as expected.
    """

    comparisons: list[Comparison]
    timer_delays_s: list[float]
    assets: int
    whole: int


async def read_totals(
    client: ApiClient,
    receiver: WebhookReceiver | None,
    shared: SharedOrganization | None = None,
) -> Totals:
    """Count what the API has and the receiver has seen."""
    if shared is not None:
        ours = await shared.event_ids(client)
        received = set[str]() if receiver is None else receiver.ids & ours
        return Totals(await shared.count_fixes(client), len(ours), len(received))
    return Totals(
        stored=await client.total("/v1/gps-events"),
        events=await client.total("/v1/events"),
        webhooks=0 if receiver is None else len(receiver.ids),
    )


async def verify(
    client: ApiClient,
    run: VerifiedRun,
    *,
    drain_s: float,
    on_totals: Callable[[Totals], None],
    on_drained: Callable[[], None],
) -> Verified:
    """Wait, read and compare."""
    arrived = await asyncio.to_thread(run.fates, run.ledger.acknowledged_fixes())
    now_us = _now_us()
    until_us = now_us + round(min(DEADLINES_S, drain_s) * 1e6)
    expected = await asyncio.to_thread(expect, arrived, run.history, now_us, until_us)
    not_foreseen = run.not_foreseen()
    events = sum(event.asset_id not in not_foreseen for event in expected.events)
    events += run.punch_events
    wanted = Totals(len(expected.fixes), events, 0 if run.receiver is None else events)
    await asyncio.sleep(max(0, expected.last_due_us - _now_us()) / 1e6)
    await wait_until_drained(
        client, run.receiver, wanted, run.shared, drain_s=drain_s, on_totals=on_totals
    )
    if run.receiver is not None:
        await run.receiver.checked()
    on_drained()
    return await _compare(client, run, expected)


async def wait_until_drained(
    client: ApiClient,
    receiver: WebhookReceiver | None,
    wanted: Totals,
    shared: SharedOrganization | None = None,
    *,
    drain_s: float,
    on_totals: Callable[[Totals], None],
) -> None:
    """Return once all that is wanted has come and nothing grows any more, or after `drain_s`."""
    deadline = time.monotonic() + drain_s
    newest, changed = Totals(0, 0, 0), time.monotonic()
    while (now := time.monotonic()) < deadline:
        try:
            totals = await read_totals(client, receiver, shared)
        except ApiError:
            totals = newest  # the API may be away for a while, as long as it comes back
        on_totals(totals)
        if totals != newest:
            newest, changed = totals, now
        is_delivered = receiver is None or newest.webhooks >= newest.events
        if is_delivered and _has_come(newest, wanted) and now - changed >= QUIET_S:
            return
        await asyncio.sleep(POLL_S)


def _has_come(totals: Totals, wanted: Totals) -> bool:
    return (
        totals.stored >= wanted.stored
        and totals.events >= wanted.events
        and totals.webhooks >= wanted.webhooks
    )


async def _compare(client: ApiClient, run: VerifiedRun, expected: Expectation) -> Verified:
    stored = await read_fixes(client, run.history.tracker_ids)
    unsettled = stored_fixes(run.fates(run.ledger.unsettled_fixes()), run.history)
    received_us = await read_receipt_times(client, run.repeating_trackers())
    expected, doubtful = await asyncio.to_thread(_as_arrived, expected, run, stored, received_us)
    fixes = await asyncio.to_thread(compare_fixes, expected.fixes, stored, unsettled, doubtful)
    if absent := len(doubtful - {fix[:3] for fix in stored}):
        fixes.notes["that might be lost are not stored"] += absent
    shared = run.shared
    if shared is None and (others := await client.total("/v1/gps-events") - len(stored)):
        fixes.differs("of other trackers", f"{others} rows")
    rows = await (shared.read_quarantine(client) if shared else read_quarantine(client))
    refused = compare_quarantine(
        _by_tracker(expected.refused, run.history),
        rows,
        _by_tracker(run.fates(run.ledger.doubtful_fixes()).refused, run.history).keys(),
    )
    all_visits = await (shared.read_visits(client) if shared else read_visits(client))
    read = [visit.until(expected.until_us) for visit in all_visits]
    visits = compare_visits(expected.visits, read)
    stays = compare_stays(expected.stays, [visit.as_stay() for visit in read])
    texts = await read_events(client, shared.after_seq if shared else 0)
    compared, delays_s = await asyncio.to_thread(_compare_events, expected, texts, run, read)
    assets = set(run.history.asset_ids)
    differing = set[str]().union(*(comparison.assets for comparison in (visits, stays, *compared)))
    comparisons = [fixes, refused, visits, stays, *compared]
    return Verified(comparisons, delays_s, len(assets), len(assets - differing))


def _as_arrived(
    expected: Expectation,
    run: VerifiedRun,
    found: Sequence[StoredFix],
    received_us: Mapping[Identity, int],
) -> tuple[Expectation, set[Identity]]:
    """Work out what must be, given which doubtful messages have come, and in which order those of
    trackers arrived that sent some again.
    """
    ledger, history = run.ledger, run.history
    doubtful = np.flatnonzero(ledger.messages["may_be_lost"]).tolist()
    if not doubtful and not received_us:
        return expected, set()
    all_sent = run.fates(ledger.arrived_fixes(doubtful))
    arrived = arrived_messages(ledger, history, all_sent, found)
    fates = in_order_of_receipt(run.fates(ledger.arrived_fixes(arrived)), history, received_us)
    expected = expect(fates, history, expected.now_us, expected.until_us)
    return expected, doubtful_identities(ledger, history, all_sent)


def _by_tracker(
    refused: Counter[Refused], history: RunHistory
) -> dict[tuple[str | None, str], list[int]]:
    """Count, by tracker and reason, how often each message that must be rejected was sent."""
    counts: dict[tuple[str | None, str], list[int]] = defaultdict(list)
    for rejection, count in refused.items():
        counts[history.tracker_ids[rejection.tracker], rejection.reason.value].append(count)
    return counts


def _compare_events(
    expected: Expectation, texts: Sequence[bytes], run: VerifiedRun, visits: Sequence[StoredVisit]
) -> tuple[list[Comparison], list[float]]:
    """Compare events and webhooks. Returns the seconds from each deadline until its event was
    created.
    """
    decoded = [msgspec.json.decode(text) for text in texts]
    after_seq, is_ours = (
        (run.shared.after_seq, run.shared.is_ours) if run.shared else (0, _is_of_asset)
    )
    events = compare_events(expected.events, decoded, expected.until_us, after_seq, is_ours)
    if not expected.events:
        events.differs("none expected", "the run crosses no zone that alerts: it proves nothing")

    def counts(event: Json) -> bool:
        return is_ours(event) and not is_due_after(event, expected.until_us)

    compare_folded(events, filter(counts, decoded), visits, zones_that_tell_all(run.history))
    delays_s = [_delay_s(event) for event in decoded if _is_timed(event) and is_ours(event)]
    if run.receiver is None:
        return [events], delays_s
    by_id = {e["id"]: text for e, text in zip(decoded, texts, strict=True) if counts(e)}
    in_time = [
        webhook
        for webhook in run.receiver.received
        if webhook.webhook_id in by_id or counts(msgspec.json.decode(webhook.body))
    ]
    return [events, compare_webhooks(by_id, in_time)], delays_s


def _is_of_asset(event: Json) -> bool:
    """Return whether an event is about an asset: those of punches are compared by themselves."""
    return event["type"].startswith("asset.")


def _is_timed(event: Mapping[str, Any]) -> bool:
    return event["data"].get("inferred") == TIMER


def _delay_s(event: Mapping[str, Any]) -> float:
    created_us = parse_time_us(event["created_at"])
    return (created_us - parse_time_us(event["occurred_at"])) / 1e6


def as_text(comparisons: Sequence[Comparison], signature_check: str) -> str:
    """Return a table of what was compared, then the first differences of each kind."""
    lines = [f"{'':<10}{'expected':>12}{'found':>12}  differences"]
    for comparison in comparisons:
        text = ", ".join(f"{count:,} {kind}" for kind, count in comparison.counts.items()) or "none"
        lines.append(
            f"{comparison.what:<10}{comparison.expected:>12,}{comparison.found:>12,}  {text}"
        )
    for comparison in comparisons:
        lines += [
            f"allowed: {n:,} {comparison.what} {note}" for note, n in comparison.notes.items()
        ]
    if signature_check:
        lines.append(f"signatures were checked by {signature_check}")
    for comparison in comparisons:
        for kind, examples in comparison.examples.items():
            lines.append(f"\n{comparison.what}, {kind} ({comparison.counts[kind]:,}):")
            lines += [f"  {example}" for example in examples]
    return "\n".join(lines)


def _now_us() -> int:
    return time.time_ns() // 1000
