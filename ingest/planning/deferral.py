"""Deferral: a plan leaves to the next one what is beyond an organization's share of it.

A message is finished, and acknowledged, when the last of its fixes is stored. Deferred fixes go
before the next batch, where each organization has a share again. So a tenant who makes very many
events pays for them alone. Organizations share what is deferred, too; the rest waits behind it,
while others' messages are taken and acknowledged. An organization with too many deferred fixes is
paused: no messages are taken of it. Of an asset with late fixes a fixed number is judged at once
(`ingest.planning.shares`), and of an organization as many as take some milliseconds
(`ingest.planning.pace`).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from ingest.id_index import UNKNOWN
from ingest.planning.decoded_batch import Before, DecodedBatch
from ingest.planning.memory import Memory
from ingest.planning.plan import WritePlan
from ingest.planning.senders import organizations_of
from ingest.registry.registry import Registry
from ingest.sources.source import RawMessage
from telemetry.fix import FixBatch
from telemetry.formats.decoded import Arrived, Decoded, in_order

SHARED_FIXES = 1_000
"""Of an organization, where several send: the others wait for them."""

POISONED_FIXES = 1_000
"""Of an organization whose messages the database refused a batch has no more: all of a batch waits
while they are looked for."""

SLOW_FIXES = 100
"""Of an organization that has more late fixes than one plan judges, each of which is looked up, or
whose messages are refused. A message counts as a fix at least."""

_NOTHING = Before(0, 0, (), was_let_in=False)


def finished(arrivals: DecodedBatch, plan: WritePlan) -> list[RawMessage]:
    """Return the messages without deferred fixes."""
    if not len(plan.deferred):
        return list(arrivals.messages)
    deferred = set(plan.deferred.rows["message"].tolist())
    return [message for number, message in enumerate(arrivals.messages) if number not in deferred]


def deferred_of(arrivals: DecodedBatch, plan: WritePlan) -> DecodedBatch | None:
    """Return the fixes that `plan` deferred, with their messages, and the messages behind; None
    where there are none.
    """
    if not len(plan.deferred):
        return arrivals.behind
    rows = plan.deferred.rows.copy()
    numbers, rows["message"] = np.unique(rows["message"], return_inverse=True)
    stored, unassigned = counts_of(arrivals, plan)
    reasons = reasons_of(plan)
    messages, before = [arrivals.messages[number] for number in numbers.tolist()], list[Before]()
    for number in numbers.tolist():
        had = before_of(arrivals, number)
        why = (*had.reasons, *reasons.get(number, ()))
        counts = (had.stored + stored[number], had.unassigned + unassigned[number])
        before.append(Before(*counts, why))
    decoded = Decoded(FixBatch(rows, plan.deferred.attributes))
    deferred = DecodedBatch(
        messages, decoded, arrivals.received_us, arrivals.oldest_us, before=before
    )
    return deferred if arrivals.behind is None else joined(deferred, arrivals.behind)


def joined(deferred: DecodedBatch | None, arrivals: DecodedBatch) -> DecodedBatch:
    """Return the deferred fixes followed by what has arrived."""
    if deferred is None:
        return arrivals
    rows = arrivals.decoded.batch.rows.copy()
    rows["message"] += len(deferred.messages)
    arrived = FixBatch(rows, arrivals.decoded.batch.attributes)
    shift = len(deferred.messages)
    rejections = [*deferred.decoded.rejections, *_moved(arrivals.decoded.rejections, shift)]
    punches = [*deferred.decoded.punches, *_moved(arrivals.decoded.punches, shift)]
    before = [before_of(deferred, number) for number in range(len(deferred.messages))]
    return replace(
        arrivals,
        messages=[*deferred.messages, *arrivals.messages],
        decoded=Decoded(FixBatch.concat([deferred.decoded.batch, arrived]), rejections, punches),
        before=[*before, *arrivals.before],
    )


def _moved(them: Sequence[Arrived], shift: int) -> list[Arrived]:
    """Return rejections or punches of messages that stand farther back."""
    return [replace(one, message=one.message + shift) for one in them]


def shared(arrivals: DecodedBatch, memory: Memory, most_fixes: int) -> DecodedBatch:
    """Cut the arrivals to about `most_fixes`, with the rest as `behind`.

    Organizations have equal shares, but at most SHARED_FIXES where several send, poisoned ones at
    most POISONED_FIXES, and slow ones at most SLOW_FIXES. Each gets its first messages. The message
    in which a share ends is not cut.
    """
    fixes = np.maximum(arrivals.loads(), 1)
    most_of_each = min(most_fixes, SHARED_FIXES if memory.company.is_shared else most_fixes)
    if fixes.sum() <= most_of_each and not memory.poisoned and not memory.slow:
        return arrivals
    organization = organizations_of(arrivals.messages, memory.registry)
    order = np.argsort(organization, kind="stable")
    before = np.cumsum(fixes[order]) - fixes[order]
    each, first, place = np.unique(organization[order], return_index=True, return_inverse=True)
    share = np.full(len(each), max(1, min(most_of_each, most_fixes // max(1, len(each)))))
    share[np.isin(each, list(memory.poisoned))] = min(POISONED_FIXES, most_fixes)
    share[np.isin(each, list(memory.slow))] = min(SLOW_FIXES, most_fixes)
    is_now = np.empty(len(order), np.bool_)
    is_now[order] = before - before[first][place] < share[place]
    if is_now.all():
        return arrivals
    behind = part_of(arrivals, np.flatnonzero(~is_now).tolist())
    return replace(part_of(arrivals, np.flatnonzero(is_now).tolist()), behind=behind)


def defer(memory: Memory, deferred: DecodedBatch | None) -> None:
    """Keep fixes for the next batch, and pause the organizations with too many."""
    memory.deferred, memory.paused = deferred, frozenset()
    if deferred is not None:
        memory.paused = over_threshold(deferred, memory.registry, memory.most_deferred)


def over_threshold(deferred: DecodedBatch, registry: Registry, most_fixes: int) -> frozenset[UUID]:
    """Return the organizations that have as many deferred fixes as there is room for beside all, or
    more.

    These are the dynamic thresholds of a shared buffer (Choudhury and Hahne, 1998): one alone
    has half of `most_fixes`, two have a third each.
    """
    fixes = deferred.loads()
    organizations, place = np.unique(
        organizations_of(deferred.messages, registry), return_inverse=True
    )
    of_each = np.bincount(place, weights=fixes, minlength=len(organizations))
    over = organizations[(of_each >= most_fixes - fixes.sum()) & (organizations != UNKNOWN)]
    return frozenset(registry.organizations[number] for number in over.tolist())


def part_of(arrivals: DecodedBatch, numbers: Sequence[int]) -> DecodedBatch:
    """Return some of the messages, in the order of the given numbers, without those behind."""
    place = np.full(len(arrivals.messages), -1)
    place[list(numbers)] = np.arange(len(numbers))
    places = place[arrivals.decoded.batch.rows["message"]]
    order = np.argsort(places, kind="stable")
    batch = arrivals.decoded.batch.take(order[places[order] >= 0])
    batch.rows["message"] = place[batch.rows["message"]]
    rejections = [
        replace(one, message=int(place[one.message]))
        for one in arrivals.decoded.rejections
        if place[one.message] >= 0
    ]
    punches = [
        replace(one, message=int(place[one.message]))
        for one in arrivals.decoded.punches
        if place[one.message] >= 0
    ]
    return replace(
        arrivals,
        messages=[arrivals.messages[number] for number in numbers],
        decoded=Decoded(batch, in_order(rejections), in_order(punches)),
        before=[before_of(arrivals, number) for number in numbers],
        behind=None,
    )


def before_of(arrivals: DecodedBatch, number: int) -> Before:
    """Return what earlier batches did with a message."""
    return arrivals.before[number] if number < len(arrivals.before) else _NOTHING


def counts_of(arrivals: DecodedBatch, plan: WritePlan) -> tuple[list[int], list[int]]:
    """Count by message the fixes and punches that the plan stores, and fixes without an asset."""
    rows, messages = plan.batch.rows, len(arrivals.messages)
    unassigned = rows["message"][rows["asset"] < 0]
    stored = np.bincount(rows["message"], minlength=messages)
    for punch in plan.punches:
        stored[punch.message] += 1
    return stored.tolist(), np.bincount(unassigned, minlength=messages).tolist()


def reasons_of(plan: WritePlan) -> Mapping[int, Sequence[str]]:
    """Return, by number of the message, why fixes or punches of it were rejected."""
    found: dict[int, list[str]] = defaultdict(list)
    for refusal in plan.refusals:
        found[refusal.message].append(str(refusal.reason))
    return found
