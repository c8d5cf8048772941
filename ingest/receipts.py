"""Receipts: what became of a message, told to its tracker after COMMIT, if the tracker wants it.

    send(session, receipts(arrivals, plan, registry), metrics)

One for each message, refused ones included, on `trackers/{id}/ack` with QoS 1. A tracker that keeps
its fixes until their receipt loses nothing, whatever happens to the broker. A message that comes
again gets a receipt again. A receipt may be missing, where the owner ends between COMMIT and
sending or where too many wait for a slow broker: then the tracker sends its message again.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from ingest.arrivals import Arrivals
from ingest.metrics import Metrics
from ingest.plan import Plan
from ingest.registry import Registry
from ingest.sources import RawMessage
from mqtt import PublishQueueFullError, Session
from telemetry.fix import Flag
from telemetry.last_fix import LastFix, last_fix
from telemetry.times import format_time
from telemetry.topics import ack_topic, parse_topic

Reasons = dict[tuple[str, bytes], list[str]]  # by topic and payload


class Receipt(NamedTuple):
    """A message to a tracker. correlation_data: that of its own message, if there was any."""

    topic: str
    payload: bytes
    correlation_data: bytes | None


class Content(msgspec.Struct):
    """The payload, as JSON.

    time, seq: of the message's last fix, as it was sent; null where that cannot be read. count: how
    many of its fixes are stored, by this message or before. rejected: why the others are not, each
    reason once. unassigned: how many of the stored ones belong to no asset.
    """

    time: str | None
    seq: int | None
    count: int
    rejected: list[str]
    unassigned: int


def receipts(arrivals: Arrivals, plan: Plan, registry: Registry) -> list[Receipt]:
    """For the messages of a committed plan, in order of receipt."""
    if not registry.wanting_receipts:
        return []
    wanted = [
        (number, message)
        for number, message in enumerate(arrivals.messages)
        if registry.sender(message.topic) in registry.wanting_receipts
    ]
    if not wanted:
        return []
    rows, n = plan.batch.rows, len(arrivals.messages)
    stored = np.bincount(rows["message"], minlength=n).tolist()
    unassigned = np.bincount(rows["message"][rows["asset"] < 0], minlength=n).tolist()
    reasons, last_rows = _reasons(plan), _last_rows(plan, [number for number, _ in wanted])
    made: list[Receipt] = []
    for number, message in wanted:
        refused_for = reasons.get((message.topic, message.payload), [])
        last = None if refused_for else last_rows.get(number)
        counts = (stored[number], unassigned[number])
        made.append(_receipt(message, last, counts, refused_for))
    return made


def _reasons(plan: Plan) -> Reasons:
    """Equal messages are refused alike: topic and payload tell whose reasons they are."""
    found: Reasons = defaultdict(list)
    for refusal in plan.refusals:
        of_message = found[refusal.topic, refusal.payload]
        if refusal.reason not in of_message:
            of_message.append(str(refusal.reason))
    return found


def _last_rows(plan: Plan, numbers: Sequence[int]) -> dict[int, LastFix]:
    """Of each message the last stored fix; not where its time was mended."""
    rows = plan.batch.rows[np.isin(plan.batch.rows["message"], numbers)]
    columns = (rows[name].tolist() for name in ("message", "time_us", "seq", "flags"))
    last = {number: fix for number, *fix in zip(*columns, strict=True)}
    return {
        number: LastFix(time_us, seq)
        for number, (time_us, seq, flags) in last.items()
        if not flags & Flag.ROLLOVER
    }


def _receipt(
    message: RawMessage, last: LastFix | None, counts: tuple[int, int], refused_for: list[str]
) -> Receipt:
    """last: None where it has to be looked for in the message. counts: stored, unassigned."""
    parsed = parse_topic(message.topic)
    assert parsed is not None, "the topic has a sender"
    tracker_id, payload_format = parsed
    time_us, seq = last or last_fix(message.payload, payload_format)
    stored, unassigned = counts
    time = None if time_us is None else format_time(time_us)
    content = Content(time, seq, stored, refused_for, unassigned)
    return Receipt(ack_topic(tracker_id), msgspec.json.encode(content), message.correlation_data)


def send(session: Session, made: Sequence[Receipt], metrics: Metrics) -> None:
    """Hands them to the session and does not wait; what has no room there is given up."""
    for number, receipt in enumerate(made):
        try:
            published = session.publish_nowait(
                receipt.topic, receipt.payload, correlation_data=receipt.correlation_data
            )
        except PublishQueueFullError:
            metrics.receipts.labels("given up").inc(len(made) - number)
            return
        published.add_done_callback(metrics.receipt_ended)
