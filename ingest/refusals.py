"""Which messages and fixes go into quarantine, with the reason."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.quarantine import Refusal
from ingest.arrivals import Arrivals
from ingest.registry import UNKNOWN, Registry
from telemetry.decode import check_clock
from telemetry.fix import FixBatch
from telemetry.rejection import Reason, Rejection


def sort_out(arrivals: Arrivals, registry: Registry) -> tuple[FixBatch, list[Refusal]]:
    """The fixes that may be stored, their trackers resolved, and the refusal of all else.

    A message of an unknown or revoked tracker is refused whole, and by that reason alone.
    """
    senders = [registry.sender(message.topic) for message in arrivals.messages]
    refused_senders = _refuse_senders(senders, registry)
    tracker = np.array(senders, np.int32)
    batch = _of_known(arrivals.decoded.batch, tracker, refused_senders)
    credible, implausible = check_clock(batch, arrivals.received_us)
    if len(credible) < len(batch):
        batch = batch.take(credible)
    rejections = [
        *refused_senders.values(),
        *(r for r in arrivals.decoded.rejections if r.message not in refused_senders),
        *implausible,
    ]
    by_reason: dict[tuple[int, Reason], list[Rejection]] = defaultdict(list)
    for rejection in rejections:
        by_reason[rejection.message, rejection.reason].append(rejection)
    refusals = [_refusal(alike, arrivals, senders, registry) for alike in by_reason.values()]
    return batch, refusals


def _refuse_senders(senders: Sequence[int], registry: Registry) -> dict[int, Rejection]:
    refused: dict[int, Rejection] = {}
    for message, tracker in enumerate(senders):
        if tracker == UNKNOWN:
            detail = "no tracker has this topic"
            refused[message] = Rejection(message, None, Reason.UNKNOWN_TRACKER, detail)
        elif registry.is_revoked(tracker):
            detail = "the tracker's registration was revoked"
            refused[message] = Rejection(message, None, Reason.REVOKED_TRACKER, detail)
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


def _refusal(
    alike: Sequence[Rejection], arrivals: Arrivals, senders: Sequence[int], registry: Registry
) -> Refusal:
    """One for all rejections of one message for one reason."""
    first = alike[0]
    message = arrivals.messages[first.message]
    sender = senders[first.message]
    org_id: UUID | None = None
    if sender != UNKNOWN:
        org_id = registry.organizations[registry.organization_of(sender)]
    return Refusal(
        org_id=org_id,
        topic=message.topic,
        reason=first.reason,
        detail=first.detail,
        positions=[one.position for one in alike if one.position is not None],
        payload=message.payload,
    )
