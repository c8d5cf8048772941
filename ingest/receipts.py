"""Receipts: what became of a message, told to its tracker after COMMIT, if the tracker wants it.

    send(session, receipts(arrivals, plan, registry), metrics)

One for each message, refused ones included, on `trackers/{id}/ack` with QoS 1. A tracker that keeps
its fixes until their receipt loses nothing, whatever happens to the broker. A message that comes
again gets a receipt again. A receipt may be missing, where the leader ends between COMMIT and
sending or where too many wait for a slow broker: then the tracker sends its message again.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

import msgspec
import numpy as np

from ingest.metrics import IngestMetrics
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.deferral import before_of, counts_of, reasons_of
from ingest.planning.plan import WritePlan
from ingest.planning.senders import senders_of
from ingest.registry.registry import Registry
from ingest.sources.source import ListenerSource, RawMessage
from mqtt import PublishQueueFullError, Session
from telemetry.fix import Flag
from telemetry.formats.decode import DECODERS, format_of
from telemetry.formats.last_fix import LastFix
from telemetry.ids import format_id
from telemetry.link import Receipt
from telemetry.times import format_time
from telemetry.topics import ack_topic


class WaysBack(NamedTuple):
    """The ways to trackers: through listeners, and through an external broker."""

    listeners: Sequence[ListenerSource]
    session: Session | None


class ReceiptContent(msgspec.Struct):
    """The payload, as JSON.

    time, seq: of the message's last fix, as it was sent; null where that cannot be read. count: how
    many of its fixes are stored, by this message or before. rejected: why the others are not, each
    reason once. unassigned: how many of the stored ones belong to no asset. Punches count as fixes.
    """

    time: str | None
    seq: int | None
    count: int
    rejected: list[str]
    unassigned: int


def receipts(arrivals: DecodedBatch, plan: WritePlan, registry: Registry) -> list[Receipt]:
    """Make the receipts for the finished messages of a committed plan, in order of receipt."""
    if not registry.wanting_receipts:
        return []
    left = set(plan.deferred.rows["message"].tolist())
    senders = senders_of(arrivals.messages, registry).tolist()
    wanted = [
        (number, message)
        for number, message in enumerate(arrivals.messages)
        if senders[number] in registry.wanting_receipts and number not in left
    ]
    if not wanted:
        return []
    stored, unassigned = counts_of(arrivals, plan)
    reasons, last_rows = reasons_of(plan), _last_rows(plan, [number for number, _ in wanted])
    made: list[Receipt] = []
    for number, message in wanted:
        before = before_of(arrivals, number)
        refused_for = [*before.reasons, *reasons.get(number, ())]
        last = None if refused_for else last_rows.get(number)
        counts = (before.stored + stored[number], before.unassigned + unassigned[number])
        tracker_id = registry.trackers[senders[number]]
        made.append(_receipt(tracker_id, message, last, counts, refused_for))
    return made


def _last_rows(plan: WritePlan, numbers: Sequence[int]) -> dict[int, LastFix]:
    """Return the last stored fix of each message, unless its time was mended."""
    rows = plan.batch.rows[np.isin(plan.batch.rows["message"], numbers)]
    columns = (rows[name].tolist() for name in ("message", "time_us", "seq", "flags"))
    last = {number: fix for number, *fix in zip(*columns, strict=True)}
    return {
        number: LastFix(time_us, seq)
        for number, (time_us, seq, flags) in last.items()
        if not flags & Flag.ROLLOVER
    }


def _receipt(
    tracker_id: UUID,
    message: RawMessage,
    last: LastFix | None,
    counts: tuple[int, int],
    refused_for: list[str],
) -> Receipt:
    """Make one receipt. counts: stored, unassigned."""
    time_us, seq = last or DECODERS[format_of(message.topic)].last_fix(message.payload)
    stored, unassigned = counts
    time = None if time_us is None else format_time(time_us)
    content = ReceiptContent(time, seq, stored, refused_for, unassigned)
    return Receipt(tracker_id, msgspec.json.encode(content), message.correlation_data)


def send(ways_back: WaysBack, made: Sequence[Receipt], metrics: IngestMetrics) -> None:
    """Send receipts without waiting; what has no room is given up."""
    if not made:
        return
    for listeners in ways_back.listeners:
        listeners.tell(made)
    if ways_back.session is not None:
        _publish(ways_back.session, made, metrics)


def _publish(session: Session, made: Sequence[Receipt], metrics: IngestMetrics) -> None:
    for number, receipt in enumerate(made):
        try:
            published = session.publish_nowait(
                ack_topic(format_id("trk", receipt.tracker_id)),
                receipt.payload,
                correlation_data=receipt.correlation_data,
            )
        except PublishQueueFullError:
            metrics.receipts.labels("given up").inc(len(made) - number)
            return
        published.add_done_callback(metrics.receipt_ended)
