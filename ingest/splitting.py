"""Batches that the database refuses, split until the messages that it refuses are found.

A poison message fails with an error that is about the data, not about a connection, a lock or a
resource. The turn goes on meanwhile: memory is undone, and the batch is stored in halves, each in a
transaction of its own, down to the one message, which goes into quarantine. The first cuts are
between organizations, and the groups of organizations that come of them take turns: one that is not
refused is stored after a few transactions, whatever becomes of the others. After SEARCH_S, or
MOST_FAILURES transactions that failed, the rest is left over for the next batch: others wait for no
more than these, however many messages are refused. The organizations of which something was refused
are suspects: they are cut off first, and a batch has little of them
(`ingest.planning.leftovers.shared`), until one has passed with nothing refused.

A row that is there although memory does not know it may mean that memory is wrong: the first time
this ends the turn, so that memory is read back. A message that fails so once more is refused.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import psycopg
import structlog
from numpy.typing import NDArray
from psycopg.errors import UniqueViolation

from ingest.pipeline import Stored, Turn, plan_asking, store
from ingest.planning.decoded_batch import Arrivals
from ingest.planning.leftovers import joined, leave, part_of
from ingest.planning.plan import Memory
from ingest.planning.poison_messages import DATA_ERRORS, refuse
from ingest.sources.source import RawMessage, Source
from service.exceptions import message
from telemetry.rejection import Reason

MOST_FAILURES = 32
MOST_SEARCHED_FIXES = 5_000
"""More of one organization are left over, to be searched in smaller batches."""
SEARCH_S = 0.5
"""Once a message was found, the rest is left over after so long."""
MOST_DOUBTED = 1_000

_log = structlog.get_logger("ingest")


async def store_in_parts(
    turn: Turn,
    arrivals: Arrivals,
    sources: Sequence[Source],
    error: psycopg.Error,
    settled: Callable[[Stored], None],
) -> None:
    """Store what `store` could not store for an error of DATA_ERRORS; the caller holds `planning`.

    settled: called after each COMMIT. Raises `error` where no message is at fault.
    """
    if not arrivals.messages:
        raise error
    turn.memory.take_back()
    groups, failures = deque(_groups(turn.memory, [], arrivals)), 1
    rest, suspects, refused = list[Arrivals](), set[int](), False
    ends_s = time.monotonic() + SEARCH_S
    while groups and failures < MOST_FAILURES:
        if refused and time.monotonic() > ends_s:
            break
        group = groups.popleft()
        part = group.pop()
        try:
            settled(await _store(turn, part, sources))
        except DATA_ERRORS as failure:
            failures += 1
            turn.memory.take_back()
            whose = set(turn.memory.registry.organizations_of(part.messages).tolist())
            if len(whose) == 1:
                suspects |= whose
            if len(whose) == 1 and len(part.decoded.batch) > MOST_SEARCHED_FIXES:
                rest += [part, *reversed(group)]
                continue
            if len(part.messages) > 1:
                groups += _groups(turn.memory, group, part)
                continue
            if isinstance(failure, UniqueViolation):
                _check_not_new(turn, part.messages[0], failure)
            refused = True
            settled(await _store(turn, _refused(part, failure), sources))
        if turn.memory.left is not None:  # what follows of the group has to wait behind it
            rest += [turn.memory.left, *reversed(group)]
        elif group:
            groups.append(group)
    turn.memory.suspects = frozenset(suspects) or turn.memory.suspects
    rest += [part for group in groups for part in reversed(group)]
    _leave(turn.memory, rest if arrivals.behind is None else [*rest, arrivals.behind])


def acquit(memory: Memory, arrivals: Arrivals) -> None:
    """Clear of suspicion the organizations of messages that were all stored."""
    if memory.suspects and arrivals.messages:
        memory.suspects -= set(memory.registry.organizations_of(arrivals.messages).tolist())


def _leave(memory: Memory, parts: Sequence[Arrivals]) -> None:
    left: Arrivals | None = None
    for part in parts:
        left = joined(left, part)
    leave(memory, left)


async def _store(turn: Turn, part: Arrivals, sources: Sequence[Source]) -> Stored:
    plan = await plan_asking(turn.conn, part, turn.memory, turn.now_us)
    return await store(turn, part, plan, sources)


def _groups(memory: Memory, group: list[Arrivals], part: Arrivals) -> list[list[Arrivals]]:
    """Group what failed as two parts: each a group where they have no organization in common, else
    both in `group`, of whose parts the last comes first.
    """
    if len(part.messages) == 1:
        return [[*group, replace(part_of(part, [0]), alone=True)]]
    organization = memory.registry.organizations_of(part.messages)
    order = np.argsort(organization, kind="stable")
    is_suspect = np.isin(organization[order], list(memory.suspects))
    if is_mixed := 0 < is_suspect.sum() < len(order):
        order = np.concatenate((order[~is_suspect], order[is_suspect]))
        middle = int(len(order) - is_suspect.sum())
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


def _check_not_new(turn: Turn, refused: RawMessage, error: UniqueViolation) -> None:
    """Raise `error` where the message has not ended a turn yet."""
    digest = sha256(refused.topic.encode() + b"\0" + refused.payload).digest()
    if digest in turn.doubted:
        turn.doubted.remove(digest)
        return
    if len(turn.doubted) >= MOST_DOUBTED:
        turn.doubted.clear()
    turn.doubted.add(digest)
    raise error


def _refused(part: Arrivals, error: psycopg.Error) -> Arrivals:
    """Return the one message refused. The words of the database may name what is not the tenant's:
    the log has them.
    """
    name = type(error).__name__
    told = {"topic": part.messages[0].topic, "error": name, "detail": message(error)}
    _log.warning("message refused by the database", **told)
    details = {0: f"{name}, SQLSTATE {error.sqlstate}"}
    decoded = refuse(part.decoded, details, Reason.REFUSED_BY_DATABASE)
    return replace(part, decoded=decoded)
