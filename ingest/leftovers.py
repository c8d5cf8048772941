"""Fixes that a batch left over, because their organization has had its transitions there.

A message is finished, so acknowledged, when the last of its fixes is stored. What is left over goes
before the next batch, where each organization has a share again: so the costs of a tenant who makes
a great many events fall on that tenant. Of an asset with late fixes a fixed number is judged
at once (`plan.MOST_LATE`), whatever they do.
"""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from ingest.arrivals import Arrivals, Before
from ingest.plan import Plan
from ingest.sources import RawMessage
from telemetry.decoded import Decoded
from telemetry.fix import FixBatch

Reasons = dict[tuple[str, bytes], list[str]]  # by topic and payload


def finished(arrivals: Arrivals, plan: Plan) -> list[RawMessage]:
    """The messages of which nothing is left over."""
    if not len(plan.postponed):
        return list(arrivals.messages)
    left = set(plan.postponed.rows["message"].tolist())
    return [message for number, message in enumerate(arrivals.messages) if number not in left]


def left_over(arrivals: Arrivals, plan: Plan) -> Arrivals | None:
    """The fixes that `plan` postponed, with their messages; None where there are none."""
    if not len(plan.postponed):
        return None
    rows = plan.postponed.rows.copy()
    numbers, rows["message"] = np.unique(rows["message"], return_inverse=True)
    stored, unassigned = counts_of(arrivals, plan)
    reasons = reasons_of(plan)
    messages, before = [arrivals.messages[number] for number in numbers.tolist()], list[Before]()
    for number, message in zip(numbers.tolist(), messages, strict=True):
        had = before_of(arrivals, number)
        why = (*had.reasons, *reasons.get((message.topic, message.payload), ()))
        counts = (had.stored + stored[number], had.unassigned + unassigned[number])
        before.append(Before(*counts, why))
    decoded = Decoded(FixBatch(rows, plan.postponed.attributes))
    return Arrivals(messages, decoded, arrivals.received_us, arrivals.oldest_us, before=before)


def joined(left: Arrivals | None, arrivals: Arrivals) -> Arrivals:
    """What is left over, then what has arrived."""
    if left is None:
        return arrivals
    arrived = arrivals.decoded.batch
    arrived.rows["message"] += len(left.messages)
    rejections = [
        replace(one, message=one.message + len(left.messages))
        for one in arrivals.decoded.rejections
    ]
    return replace(
        arrivals,
        messages=[*left.messages, *arrivals.messages],
        decoded=Decoded(FixBatch.concat([left.decoded.batch, arrived]), rejections),
        before=left.before,
    )


def before_of(arrivals: Arrivals, number: int) -> Before:
    """What earlier batches did with a message."""
    return arrivals.before[number] if number < len(arrivals.before) else Before(0, 0, ())


def counts_of(arrivals: Arrivals, plan: Plan) -> tuple[list[int], list[int]]:
    """Of each message how many fixes the plan stores, and how many of them belong to no asset."""
    rows, messages = plan.batch.rows, len(arrivals.messages)
    unassigned = rows["message"][rows["asset"] < 0]
    stored = np.bincount(rows["message"], minlength=messages)
    return stored.tolist(), np.bincount(unassigned, minlength=messages).tolist()


def reasons_of(plan: Plan) -> Reasons:
    """Equal messages are refused alike: topic and payload tell whose reasons they are."""
    found: Reasons = defaultdict(list)
    for refusal in plan.refusals:
        of_message = found[refusal.topic, refusal.payload]
        if refusal.reason not in of_message:
            of_message.append(str(refusal.reason))
    return found
