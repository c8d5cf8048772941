"""Deferral: a plan leaves to the next one what is beyond an organization's share of it.

A message is finished, and acknowledged, when the last of its fixes is stored. Deferred fixes go
before the next batch, where each organization has a share again. So a tenant who makes very many
events pays for them alone. Organizations share what is deferred, too; the rest waits behind it,
while others' messages are taken and acknowledged. An organization with too many deferred fixes is
paused: no messages are taken of it. Of an asset with late fixes a fixed number is judged at once
(`ingest.planning.shares`), and of an organization as many as take some milliseconds
(`ingest.planning.pace`).
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from ingest.id_index import UNKNOWN
from ingest.planning.decoded_batch import Before, DecodedBatch, Waiting
from ingest.planning.memory import Memory
from ingest.planning.plan import WritePlan
from ingest.planning.senders import organizations_of
from ingest.registry.registry import Registry
from ingest.sources.source import RawMessage
from telemetry.fix import FixBatch
from telemetry.formats.decoded import Arrived, Decoded, in_order
from telemetry.punch import Punch
from telemetry.rejection import Rejection

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


def deferred_of(arrivals: DecodedBatch, plan: WritePlan, registry: Registry) -> Sequence[Waiting]:
    """Return the fixes that `plan` deferred, with their messages, and what waits behind them."""
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
    deferred = replace(
        arrivals, messages=messages, decoded=decoded, before=before, behind=(), alone=False
    )
    return (*by_organization(deferred, registry), *arrivals.behind)


def by_organization(arrivals: DecodedBatch, registry: Registry) -> Iterator[Waiting]:
    """Yield the messages of each organization."""
    organization = organizations_of(arrivals.messages, registry)
    each = np.unique(organization).tolist()
    for one in each:
        own = np.flatnonzero(organization == one).tolist()
        yield Waiting(one, arrivals if len(each) == 1 else part_of(arrivals, own))


def joined(parts: Sequence[DecodedBatch]) -> DecodedBatch:
    """Return the messages of all parts, one after the other, taken when the last one was."""
    if len(parts) == 1:
        return parts[0]
    messages, before = list[RawMessage](), list[Before]()
    batches, rejections, punches = list[FixBatch](), list[Rejection](), list[Punch]()
    for part in parts:
        shift, rows = len(messages), part.decoded.batch.rows.copy()
        rows["message"] += shift
        batches.append(FixBatch(rows, part.decoded.batch.attributes))
        rejections += _moved(part.decoded.rejections, shift)
        punches += _moved(part.decoded.punches, shift)
        before += [before_of(part, number) for number in range(len(part.messages))]
        messages += part.messages
    decoded = Decoded(FixBatch.concat(batches), rejections, punches)
    return replace(parts[-1], messages=messages, decoded=decoded, before=before)


def _moved(them: Sequence[Arrived], shift: int) -> list[Arrived]:
    """Return rejections or punches of messages that stand farther back."""
    return [replace(one, message=one.message + shift) for one in them]


def shared(taken: DecodedBatch, memory: Memory, most_fixes: int) -> DecodedBatch:
    """Return about `most_fixes` of what is deferred and of what was taken, with the rest as
    `behind`.

    Organizations have equal shares, but at most SHARED_FIXES where several send, poisoned ones at
    most POISONED_FIXES, and slow ones at most SLOW_FIXES. Each gets its first messages. The message
    in which a share ends is not cut.
    """
    most_of_each = min(most_fixes, SHARED_FIXES if memory.company.is_shared else most_fixes)
    fixes = np.maximum(taken.loads(), 1)
    is_plain = not (memory.deferred or memory.poisoned or memory.slow)
    if is_plain and fixes.sum() <= most_of_each:
        return taken
    organization = organizations_of(taken.messages, memory.registry)
    each, place = np.unique(organization, return_inverse=True)
    senders = {one.organization for one in memory.deferred}.union(each.tolist())
    room = dict.fromkeys(senders, max(1, min(most_of_each, most_fixes // max(1, len(senders)))))
    for one in memory.poisoned & senders:
        room[one] = min(POISONED_FIXES, most_fixes)
    for one in memory.slow & senders:
        room[one] = min(SLOW_FIXES, most_fixes)
    now, behind = list[DecodedBatch](), list[Waiting]()
    for waiting in memory.deferred:
        first, rest = _cut(waiting.part, room[waiting.organization])
        if first is not None:
            now.append(first)
            room[waiting.organization] -= int(np.maximum(first.loads(), 1).sum())
        if rest is not None:
            behind.append(Waiting(waiting.organization, rest))
    order = np.argsort(organization, kind="stable")
    before = np.cumsum(fixes[order]) - fixes[order]
    _, begins = np.unique(organization[order], return_index=True)
    is_now = np.empty(len(order), np.bool_)
    rooms = np.array([room[one] for one in each.tolist()], np.int64)[place[order]]
    is_now[order] = before - before[begins][place[order]] < rooms
    if not is_now.all():
        rest = part_of(taken, np.flatnonzero(~is_now).tolist())
        behind += by_organization(rest, memory.registry)
        taken = part_of(taken, np.flatnonzero(is_now).tolist())
    return replace(joined([*now, taken]), behind=tuple(behind))


def _cut(part: DecodedBatch, room: int) -> tuple[DecodedBatch | None, DecodedBatch | None]:
    """Return the first messages, up to that in which the room ends, and the others."""
    if room <= 0:
        return None, part
    fixes = np.maximum(part.loads(), 1)
    count = int(np.searchsorted(np.cumsum(fixes) - fixes, room))
    if count == len(fixes):
        return part, None
    return part_of(part, range(count)), part_of(part, range(count, len(fixes)))


def defer(memory: Memory, deferred: Sequence[Waiting]) -> None:
    """Keep what the next plan is to have, and pause the organizations with too much of it."""
    memory.deferred, memory.paused = deferred, frozenset()
    if deferred:
        memory.paused = over_threshold(deferred, memory.registry, memory.most_deferred)


def over_threshold(
    deferred: Sequence[Waiting], registry: Registry, most_fixes: int
) -> frozenset[UUID]:
    """Return the organizations that have as many deferred fixes as there is room for beside all, or
    more.

    These are the dynamic thresholds of a shared buffer (Choudhury and Hahne, 1998): one alone
    has half of `most_fixes`, two have a third each.
    """
    of_each = Counter[int]()
    for one in deferred:
        of_each[one.organization] += one.part.load
    room = most_fixes - of_each.total()
    return frozenset(
        registry.organizations[organization]
        for organization, fixes in of_each.items()
        if fixes >= room and organization != UNKNOWN
    )


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
        behind=(),
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
