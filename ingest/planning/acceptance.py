"""Acceptance: the messages and fixes that go into quarantine, with the reason."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.quarantine import DEFAULT_BOUNDS, Bounds, Refusal
from ingest.planning.clock_rollover import mend
from ingest.planning.decoded_batch import Arrivals
from ingest.planning.rate_limit import Buckets, Rates
from ingest.registry.registry import UNKNOWN, Registry
from ingest.registry.watermarks import Watermarks
from ingest.sources.source import RawMessage, released_id
from telemetry.fix import FixBatch
from telemetry.formats.decode import ANCIENT_BEFORE_US, check_clock
from telemetry.formats.decoded import describe_position, in_order, reject_row
from telemetry.rejection import Reason, Rejection
from telemetry.rollover import DAY_US


@dataclass(frozen=True, slots=True)
class Admission:
    """The limits of an installation for fixes, and how much it keeps of those that it rejects.

    max_fixes_per_s: of each tracker. retention_days: older fixes are not stored. None: no limit.
    quarantine_days: what was refused goes so long after it was last seen.
    """

    max_fixes_per_s: float | None = None
    retention_days: int | None = None
    quarantine_days: int = 30
    bounds: Bounds = DEFAULT_BOUNDS

    def oldest_us(self, now_us: int) -> int:
        """Return the time of the oldest fix that is stored, microseconds since 1970."""
        if self.retention_days is None:
            return ANCIENT_BEFORE_US
        return now_us - self.retention_days * DAY_US


def sort_out(
    arrivals: Arrivals, registry: Registry, watermarks: Watermarks, rates: Rates
) -> tuple[FixBatch, list[Refusal], Buckets]:
    """Return the fixes that may be stored, their trackers resolved; the refusal of all else; and
    what is left of the trackers' rates.

    A message of an unknown or revoked tracker, or on another's topic, is refused whole, and by that
    reason alone. Raises
    HistoryNeeded, as `ingest.planning.clock_rollover.mend` does.
    """
    senders = registry.senders(arrivals.messages)
    refused_senders = _refuse_senders(arrivals.messages, senders, registry)
    tracker = np.array(senders, np.int32)
    batch = _of_known(arrivals.decoded.batch, tracker, refused_senders)
    batch = mend(batch, arrivals, watermarks)
    oldest_us = registry.oldest_us(batch.rows["tracker"], arrivals.oldest_us, arrivals.received_us)
    credible, implausible = check_clock(batch, arrivals.received_us, oldest_us)
    if len(credible) < len(batch):
        batch = batch.take(credible)
    batch, too_many, buckets = _within_rates(batch, arrivals, rates)
    rejections = [
        *refused_senders.values(),
        *(r for r in arrivals.decoded.rejections if r.message not in refused_senders),
        *implausible,
        *too_many,
    ]
    return batch, _refusals(rejections, arrivals, senders, registry), buckets


def refuse_twins(twins: FixBatch, arrivals: Arrivals, registry: Registry) -> list[Refusal]:
    """Refuse fixes whose time and seq an earlier fix has, from another place."""
    if not len(twins):
        return []
    rejections = [
        reject_row(
            twins.rows[row],
            Reason.CONFLICT,
            f"{describe_position(twins.rows, row)}: a fix of this time and seq came first",
        )
        for row in range(len(twins))
    ]
    senders = registry.senders(arrivals.messages)
    return _refusals(in_order(rejections), arrivals, senders, registry)


def _within_rates(
    batch: FixBatch, arrivals: Arrivals, rates: Rates
) -> tuple[FixBatch, list[Rejection], Buckets]:
    """Return the fixes within the rate; released messages, and fixes let in before, are not held to
    it.
    """
    if rates.max_fixes_per_s is None:
        return batch, [], {}
    released = [n for n, message in enumerate(arrivals.messages) if released_id(message)]
    released += [n for n, before in enumerate(arrivals.before) if before.was_let_in]
    held = np.flatnonzero(~np.isin(batch.rows["message"], released))
    over = np.zeros(len(batch), bool)
    over[held], buckets = rates.over(batch.take(held))
    if not over.any():
        return batch, [], buckets
    detail = f"more than {rates.max_fixes_per_s:g} fixes a second"
    rejections = [
        reject_row(batch.rows[row], Reason.RATE, detail) for row in np.flatnonzero(over).tolist()
    ]
    return batch.take(np.flatnonzero(~over)), in_order(rejections), buckets


def _refuse_senders(
    messages: Sequence[RawMessage], senders: Sequence[int], registry: Registry
) -> dict[int, Rejection]:
    refused: dict[int, Rejection] = {}
    for message, tracker in enumerate(senders):
        if tracker == UNKNOWN:
            named_by = "topic" if messages[message].identity is None else "id"
            detail = f"no tracker has this {named_by}"
            refused[message] = Rejection(message, None, Reason.UNKNOWN_TRACKER, detail)
        elif registry.is_revoked(tracker):
            detail = "the tracker's registration was revoked"
            refused[message] = Rejection(message, None, Reason.REVOKED_TRACKER, detail)
        elif tracker != (on_topic := registry.sender(messages[message].topic)):
            whose = "nobody's" if on_topic == UNKNOWN else "another tracker's"
            detail = f"the topic is {whose}: a tracker publishes on its own"
            refused[message] = Rejection(message, None, Reason.WRONG_TOPIC, detail)
    return refused


def _of_known(
    batch: FixBatch, tracker: NDArray[np.int32], refused: dict[int, Rejection]
) -> FixBatch:
    if refused:
        known = np.ones(len(tracker), bool)
        known[list(refused)] = False
        batch = batch.take(np.flatnonzero(known[batch.rows["message"]]))
    batch.rows["tracker"] = tracker[batch.rows["message"]]
    return batch


def _refusals(
    rejections: Sequence[Rejection],
    arrivals: Arrivals,
    senders: Sequence[int],
    registry: Registry,
) -> list[Refusal]:
    by_reason: dict[tuple[int, Reason], list[Rejection]] = defaultdict(list)
    for rejection in rejections:
        by_reason[rejection.message, rejection.reason].append(rejection)
    return [_refusal(alike, arrivals, senders, registry) for alike in by_reason.values()]


def _refusal(
    alike: Sequence[Rejection], arrivals: Arrivals, senders: Sequence[int], registry: Registry
) -> Refusal:
    """Return one for all rejections of one message for one reason."""
    first = alike[0]
    message = arrivals.messages[first.message]
    sender = senders[first.message]
    org_id: UUID | None = None
    tracker_id: UUID | None = None
    if sender != UNKNOWN:
        org_id = registry.organizations[registry.organization_of(sender)]
        tracker_id = registry.trackers[sender]
    return Refusal(
        org_id=org_id,
        tracker_id=tracker_id,
        topic=message.topic,
        reason=first.reason,
        detail=first.detail,
        positions=[one.position for one in alike if one.position is not None],
        payload=message.payload,
        released_id=released_id(message),
        oversize_bytes=message.oversize_bytes,
        message=first.message,
    )
