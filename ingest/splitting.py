"""Batches that the database refuses, split until the messages that it refuses are found.

A poison message fails with an error that is about the data, not about a connection, a lock or a
resource. The turn goes on meanwhile: memory is undone, and the batch is stored in halves, each in a
transaction of its own, down to the one message, which goes into quarantine. Organizations lie side
by side in the halves, so that what the database refuses of one of them separates from all others
soon. After MOST_FAILURES transactions that failed the rest is left over for the next batch: others
wait for no more than these, however many messages are refused.

A row that is there although memory does not know it may mean that memory is wrong: the first time
this ends the turn, so that memory is read back. A message that fails so once more is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import psycopg
import structlog
from psycopg.errors import UniqueViolation

from ingest.arrivals import Arrivals
from ingest.condemned import DATA_ERRORS, refuse
from ingest.leftovers import joined, part_of
from ingest.pipeline import Stored, Turn, plan_asking, store
from ingest.registry import Registry
from ingest.sources import RawMessage, Source
from service.exceptions import message
from telemetry.rejection import Reason

MOST_FAILURES = 64
MOST_DOUBTED = 1_000

_log = structlog.get_logger("ingest")


async def store_in_parts(
    turn: Turn,
    arrivals: Arrivals,
    sources: Sequence[Source],
    error: psycopg.Error,
    settled: Callable[[Stored], None],
) -> None:
    """Stores what `store` could not store for an error of DATA_ERRORS; the caller holds `planning`.

    settled: called after each COMMIT. Raises `error` where no message is at fault.
    """
    parts, failures = _halves(turn, arrivals, error), 1
    while parts and failures < MOST_FAILURES:
        part = joined(turn.memory.left, parts.pop())
        turn.memory.left = None
        try:
            settled(await _store(turn, part, sources))
        except DATA_ERRORS as failure:
            failures += 1
            if len(part.messages) > 1:
                parts += _halves(turn, part, failure)
                continue
            turn.memory.take_back()
            if isinstance(failure, UniqueViolation):
                _check_not_new(turn, part.messages[0], failure)
            settled(await _store(turn, _refused(part, failure), sources))
    for part in reversed(parts):
        turn.memory.left = joined(turn.memory.left, part)
    if arrivals.behind is not None:
        turn.memory.left = joined(turn.memory.left, arrivals.behind)


async def _store(turn: Turn, part: Arrivals, sources: Sequence[Source]) -> Stored:
    plan = await plan_asking(turn.conn, part, turn.memory, turn.now_us)
    return await store(turn, part, plan, sources)


def _halves(turn: Turn, arrivals: Arrivals, error: psycopg.Error) -> list[Arrivals]:
    """What failed, undone in memory, as two parts; the second comes first."""
    if not arrivals.messages:
        raise error
    turn.memory.take_back()
    numbers = _by_organization(arrivals, turn.memory.registry)
    middle = (len(numbers) + 1) // 2
    halves = (numbers[middle:], numbers[:middle])
    return [replace(part_of(arrivals, half), alone=True) for half in halves if half]


def _by_organization(arrivals: Arrivals, registry: Registry) -> list[int]:
    """The numbers of the messages: by organization, then in order of receipt."""
    return np.argsort(registry.organizations_of(arrivals.messages), kind="stable").tolist()


def _check_not_new(turn: Turn, refused: RawMessage, error: UniqueViolation) -> None:
    """Raises `error` where the message has not ended a turn yet."""
    digest = sha256(refused.topic.encode() + b"\0" + refused.payload).digest()
    if digest in turn.doubted:
        turn.doubted.remove(digest)
        return
    if len(turn.doubted) >= MOST_DOUBTED:
        turn.doubted.clear()
    turn.doubted.add(digest)
    raise error


def _refused(part: Arrivals, error: psycopg.Error) -> Arrivals:
    """The one message refused. The words of the database may name what is not the tenant's: the log
    has them.
    """
    name = type(error).__name__
    told = {"topic": part.messages[0].topic, "error": name, "detail": message(error)}
    _log.warning("message refused by the database", **told)
    details = {0: f"{name}, SQLSTATE {error.sqlstate}"}
    decoded = refuse(part.decoded, details, Reason.REFUSED_BY_DATABASE)
    return replace(part, decoded=decoded)
