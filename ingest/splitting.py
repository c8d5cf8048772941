"""Batches that the database refuses, split until the messages that it refuses are found.

A poison message fails with an error that is about the data, not about a connection, a lock or a
resource. The term goes on meanwhile: memory is undone, and the batch is stored in halves, each in a
transaction of its own, down to the one message, which goes into quarantine. The first cuts are
between organizations, and the groups of organizations that come of them take turns: one that is not
refused is stored after a few transactions, whatever becomes of the others. After SEARCH_S, or
MOST_FAILURES transactions that failed, the rest is deferred to the next batch: others wait for no
more than these, however many messages are refused. The organizations of which something was refused
are called poisoned: they are cut off first, and a batch has little of them
(`ingest.planning.deferral.shared`), until one has passed with nothing refused.

A row that is there although memory does not know it may mean that memory is wrong: the first time
this ends the term, so that memory is read back. A message that fails so once more is refused.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import structlog
from numpy.typing import NDArray

from db.core.errors import DatabaseError, UniqueViolation
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.deferral import by_organization, defer, part_of
from ingest.planning.memory import Memory
from ingest.planning.poison_messages import DATA_ERRORS, refuse
from ingest.planning.senders import organizations_of
from ingest.sources.source import RawMessage, Source
from ingest.transaction import LeaderTerm, Stored, plan_with_lookups, store
from service.exceptions import message
from telemetry.rejection import Reason

MOST_FAILURES = 32
MOST_SEARCHED_FIXES = 5_000
"""More of one organization are deferred, to be searched in smaller batches."""
SEARCH_S = 0.5
"""Once a message was found, the rest is deferred after so long."""
MOST_RETRIED = 1_000  # messages that may end a term once

_log = structlog.get_logger("ingest")


async def store_in_parts(
    term: LeaderTerm,
    arrivals: DecodedBatch,
    sources: Sequence[Source],
    error: DatabaseError,
    on_committed: Callable[[Stored], None],
) -> None:
    """Store what `store` could not store for an error of DATA_ERRORS. The caller plans nothing.

    on_committed: called after each COMMIT. Raises `error` where no message is at fault.
    """
    if not arrivals.messages:
        raise error
    term.memory.revert()
    groups, failures = deque(_groups(term.memory, [], arrivals)), 1
    rest, poisoned, refused = list[DecodedBatch](), set[int](), False
    ends_s = time.monotonic() + SEARCH_S
    while groups and failures < MOST_FAILURES:
        if refused and time.monotonic() > ends_s:
            break
        group = groups.popleft()
        part = group.pop()
        try:
            on_committed(await _store(term, part, sources))
        except DATA_ERRORS as failure:
            failures += 1
            term.memory.revert()
            whose = set(organizations_of(part.messages, term.memory.registry).tolist())
            if len(whose) == 1:
                poisoned |= whose
            if len(whose) == 1 and len(part.decoded.batch) > MOST_SEARCHED_FIXES:
                rest += [part, *reversed(group)]
                continue
            if len(part.messages) > 1:
                groups += _groups(term.memory, group, part)
                continue
            if isinstance(failure, UniqueViolation):
                _check_not_new(term, part.messages[0], failure)
            refused = True
            on_committed(await _store(term, _refused(part, failure), sources))
        if term.memory.deferred:  # what follows of the group has to wait behind it
            rest += [*(one.part for one in term.memory.deferred), *reversed(group)]
        elif group:
            groups.append(group)
    term.memory.poisoned = frozenset(poisoned) or term.memory.poisoned
    rest += [part for group in groups for part in reversed(group)]
    waiting = [one for part in rest for one in by_organization(part, term.memory.registry)]
    defer(term.memory, [*waiting, *arrivals.behind])


def clear_poisoned(memory: Memory, arrivals: DecodedBatch) -> None:
    """Note that messages were all stored: their organizations are poisoned no more."""
    if memory.poisoned and arrivals.messages:
        memory.poisoned -= set(organizations_of(arrivals.messages, memory.registry).tolist())


async def _store(term: LeaderTerm, part: DecodedBatch, sources: Sequence[Source]) -> Stored:
    part = term.memory.in_order(part)
    plan = await plan_with_lookups(term.conn, part, term.memory, term.now_us)
    return await store(term, part, plan, sources)


def _groups(
    memory: Memory, group: list[DecodedBatch], part: DecodedBatch
) -> list[list[DecodedBatch]]:
    """Halve what failed: each part a group where they have no organization in common, else both
    in `group`, of whose parts the last comes first.
    """
    if len(part.messages) == 1:
        return [[*group, replace(part_of(part, [0]), alone=True)]]
    organization = organizations_of(part.messages, memory.registry)
    order = np.argsort(organization, kind="stable")
    is_poisoned = np.isin(organization[order], list(memory.poisoned))
    if is_mixed := 0 < is_poisoned.sum() < len(order):
        order = np.concatenate((order[~is_poisoned], order[is_poisoned]))
        middle = int(len(order) - is_poisoned.sum())
    else:
        middle = _middle(organization[order])
        is_mixed = organization[order[0]] != organization[order[-1]]
    first, second = (
        replace(part_of(part, half.tolist()), alone=True)
        for half in (order[:middle], order[middle:])
    )
    return [[first], [second]] if is_mixed else [[*group, second, first]]


def _middle(organization: NDArray[np.int32]) -> int:
    """Return the place of the cut: between two organizations, next to the middle, where there are
    two.

    organization: rising, shape (n,).
    """
    middle = (len(organization) + 1) // 2
    cuts = np.flatnonzero(np.diff(organization)) + 1
    return int(cuts[np.argmin(np.abs(cuts - middle))]) if len(cuts) else middle


def _check_not_new(term: LeaderTerm, refused: RawMessage, error: UniqueViolation) -> None:
    """Raise `error` where the message has not ended a term yet."""
    digest = sha256(refused.topic.encode() + b"\0" + refused.payload).digest()
    if digest in term.retried:
        term.retried.remove(digest)
        return
    if len(term.retried) >= MOST_RETRIED:
        term.retried.clear()
    term.retried.add(digest)
    raise error


def _refused(part: DecodedBatch, error: DatabaseError) -> DecodedBatch:
    """Return the one message refused. The words of the database may name what is not the tenant's:
    the log has them.
    """
    name = type(error).__name__
    facts = {"topic": part.messages[0].topic, "error": name, "detail": message(error)}
    _log.warning("message refused by the database", **facts)
    details = {0: f"{name}, SQLSTATE {error.sqlstate}"}
    decoded = refuse(part.decoded, details, Reason.REFUSED_BY_DATABASE)
    return replace(part, decoded=decoded)
