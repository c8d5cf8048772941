"""Acceptance: which messages and fixes go into quarantine, with the reason."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.history.quarantine import DEFAULT_BOUNDS, Bounds, Refusal
from db.punches.rows import Fate
from ingest.id_index import UNKNOWN
from ingest.late.lookup import Planning
from ingest.planning.clock_rollover import mend
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.punches import SentPunch, rejections, sent_punches
from ingest.planning.rate_limit import Buckets, Rates
from ingest.planning.senders import refused_senders, senders_of, trackers_of
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from ingest.sources.source import RawMessage, released_id
from telemetry.fix import FixBatch
from telemetry.formats.decode import ANCIENT_BEFORE_US, check_clock
from telemetry.formats.decoded import describe_position, in_order, reject_row
from telemetry.rejection import Reason, Rejection
from telemetry.rollover import DAY_US

_HOUR_US = 3_600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The rules of an installation: which fixes it accepts, and how much it keeps of the others.

    max_fixes_per_s: of each tracker. retention_days: older fixes are not stored. None: no limit.
    quarantine_days: rejected messages are removed so long after they were last seen.
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


class Accepted(NamedTuple):
    """The fixes and punches of a batch that may be stored, with who sent them.

    organizations: that sent messages. refusals: all others. buckets: what is left of the trackers'
    rates.
    """

    organizations: Sequence[int]
    batch: FixBatch
    refusals: list[Refusal]
    buckets: Buckets
    punches: Sequence[SentPunch]


def accept(
    arrivals: DecodedBatch, registry: Registry, watermarks: Watermarks, rates: Rates
) -> Planning[Accepted]:
    """Resolve the trackers of fixes, mend their clocks, and refuse what may not be stored.

    A message of an unknown or revoked tracker, or on another's topic, is refused whole, and by that
    reason alone.
    """
    senders = senders_of(arrivals.messages, registry)
    refused = refused_senders(arrivals.messages, senders, registry)
    batch, without_tracker = _with_trackers(arrivals.decoded.batch, senders, refused)
    batch = yield from mend(batch, arrivals.received_us, watermarks)
    oldest_us = registry.oldest_us(batch.rows["tracker"], arrivals.oldest_us, arrivals.received_us)
    credible, implausible = check_clock(batch, arrivals.received_us, oldest_us)
    if len(credible) < len(batch):
        batch = batch.take(credible)
    batch, too_many, buckets = _within_rates(batch, arrivals, rates)
    rejected = [
        *refused.values(),
        *(one for one in arrivals.decoded.rejections if one.message not in refused),
        *without_tracker,
        *implausible,
        *too_many,
    ]
    punches = sent_punches(arrivals, senders, refused, registry)
    refusals = _refusals(rejected, arrivals, senders, registry)
    organizations = np.unique(registry.organizations_of(senders)).tolist()
    return Accepted(organizations, batch, refusals, buckets, punches)


def refuse_conflicts(
    conflicts: FixBatch, arrivals: DecodedBatch, registry: Registry
) -> list[Refusal]:
    """Refuse fixes whose time and seq an earlier fix has, from another place."""
    if not len(conflicts):
        return []
    rejections = [
        reject_row(
            conflicts.rows[row],
            Reason.CONFLICT,
            f"{describe_position(conflicts.rows, row)}: another fix with this time and seq came"
            " first",
        )
        for row in range(len(conflicts))
    ]
    senders = senders_of(arrivals.messages, registry)
    return _refusals(in_order(rejections), arrivals, senders, registry)


def refuse_punches(
    ends: Iterable[tuple[SentPunch, Fate]], arrivals: DecodedBatch, registry: Registry
) -> list[Refusal]:
    """Refuse the punches that were not recorded."""
    rejected = rejections(ends)
    if not rejected:
        return []
    return _refusals(rejected, arrivals, senders_of(arrivals.messages, registry), registry)


def _with_trackers(
    batch: FixBatch, senders: NDArray[np.int32], refused: dict[int, Rejection]
) -> tuple[FixBatch, list[Rejection]]:
    """Return the fixes of messages that are not refused, each with its tracker; the others'
    refusal.
    """
    if refused:
        is_accepted = np.ones(len(senders), bool)
        is_accepted[list(refused)] = False
        batch = batch.take(np.flatnonzero(is_accepted[batch.rows["message"]]))
    batch.rows["tracker"] = trackers_of(batch.rows, senders)
    is_unknown = batch.rows["tracker"] == UNKNOWN
    if not is_unknown.any():
        return batch, []
    detail = "the sender has no tracker for this device"
    unknown = [reject_row(row, Reason.UNKNOWN_TRACKER, detail) for row in batch.rows[is_unknown]]
    return batch.take(np.flatnonzero(~is_unknown)), unknown


def _within_rates(
    batch: FixBatch, arrivals: DecodedBatch, rates: Rates
) -> tuple[FixBatch, list[Rejection], Buckets]:
    """Refuse fixes over the rate, but for messages released from quarantine or let in before."""
    if rates.max_fixes_per_s is None:
        return batch, [], {}
    released = [n for n, message in enumerate(arrivals.messages) if released_id(message)]
    released += [n for n, before in enumerate(arrivals.before) if before.was_let_in]
    held = np.flatnonzero(~np.isin(batch.rows["message"], released))
    over = np.zeros(len(batch), bool)
    over[held], buckets = rates.over(batch.take(held))
    if not over.any():
        return batch, [], buckets
    detail = f"the tracker sent more than {rates.max_fixes_per_s:g} fixes a second"
    rejections = [
        reject_row(batch.rows[row], Reason.RATE, detail) for row in np.flatnonzero(over).tolist()
    ]
    return batch.take(np.flatnonzero(~over)), in_order(rejections), buckets


def _refusals(
    rejections: Sequence[Rejection],
    arrivals: DecodedBatch,
    senders: NDArray[np.int32],
    registry: Registry,
) -> list[Refusal]:
    by_reason: dict[tuple[int, Reason], list[Rejection]] = defaultdict(list)
    for rejection in rejections:
        by_reason[rejection.message, rejection.reason].append(rejection)
    return [_refusal(alike, arrivals, senders, registry) for alike in by_reason.values()]


def _refusal(
    alike: Sequence[Rejection],
    arrivals: DecodedBatch,
    senders: NDArray[np.int32],
    registry: Registry,
) -> Refusal:
    """Return one for all rejections of one message for one reason."""
    first = alike[0]
    message = arrivals.messages[first.message]
    sender = int(senders[first.message])
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
        alike=_alike(first, message, arrivals.received_us),
    )


def _alike(rejection: Rejection, message: RawMessage, received_us: int) -> str:
    """Return what a message has in common with those that make one row of the quarantine; "" where
    it has a row of its own, as what was released has.
    """
    if rejection.kind is None or released_id(message) is not None:
        return ""
    return f"{rejection.kind}\0{received_us // _HOUR_US}"
