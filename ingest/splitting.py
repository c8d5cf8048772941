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

An exception that nobody foresaw ends the term, too, wherever it comes from: decoding, planning or
storing. A batch with messages that were there at MOST_ENDED such ends is split in the same way, and
from then on, until the process ends, each batch that fails so and has messages of the organization
whose message was found: it ends no more terms, whatever it sends.
"""

import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from hashlib import sha256

import numpy as np
import structlog
from numpy.typing import NDArray

from db.core.errors import DatabaseError, UniqueViolation
from ingest.id_index import UNKNOWN
from ingest.planning.decoded_batch import DecodedBatch
from ingest.planning.deferral import by_organization, defer, joined, part_of
from ingest.planning.memory import Memory
from ingest.planning.poison_messages import DATA_ERRORS, NOT_ABOUT_MESSAGES, refuse
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
MOST_ENDED = 3
"""The terms that a batch ends by an exception that nobody foresaw, before it is split."""
MOST_BLAMED = 100_000  # messages that are remembered

_log = structlog.get_logger("ingest")


async def store_in_parts(
    term: LeaderTerm,
    arrivals: DecodedBatch,
    sources: Sequence[Source],
    error: Exception,
    on_committed: Callable[[Stored], None],
) -> None:
    """Store what could not be stored for an error of DATA_ERRORS, or one that is blamed on its
    messages (`blame`). The caller plans nothing.

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
            stored = await _store(term, part, sources)
        except NOT_ABOUT_MESSAGES:
            raise
        except Exception as failure:  # noqa: BLE001
            if not isinstance(failure, DATA_ERRORS):
                blame(term, part.messages, failure)
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
            on_committed(await _store(term, _refused(term, part, failure), sources))
        else:
            on_committed(stored)
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
    """Raise `error` where the message has not ended a term for it yet."""
    known = b"unique" + _digest(refused)
    if term.ended_terms.pop(known, 0):
        return
    _count(term, [known])
    raise error


def blame(term: LeaderTerm, messages: Sequence[RawMessage], error: Exception) -> None:
    """Raise an error that ends the term, unless one of the messages is to blame: it was there at
    MOST_ENDED such ends, or comes from an organization one of whose messages was found before.
    """
    digests = {_digest(one) for one in messages}
    suspects = digests | _owners(term, messages)
    if any(term.ended_terms.get(suspect, 0) >= MOST_ENDED for suspect in suspects):
        return
    _count(term, digests)
    raise error


def _count(term: LeaderTerm, digests: Collection[bytes]) -> None:
    if len(term.ended_terms) + len(digests) > MOST_BLAMED:
        term.ended_terms.clear()
    for digest in digests:
        term.ended_terms[digest] = term.ended_terms.get(digest, 0) + 1


def _owners(term: LeaderTerm, messages: Sequence[RawMessage]) -> set[bytes]:
    """Return the organizations of messages, as they are remembered. Those without one have one in
    common.
    """
    registry = term.memory.registry
    each = np.unique(organizations_of(messages, registry)).tolist()
    return {b"" if one == UNKNOWN else registry.organizations[one].bytes for one in each}


def decode_in_parts(
    term: LeaderTerm,
    messages: Sequence[RawMessage],
    decode: Callable[[Sequence[int]], DecodedBatch],
) -> DecodedBatch:
    """Decode messages, of which one may raise what nobody foresaw: it is found by halving, and
    refused. decode: takes the numbers of those to decode.
    """

    def decoded(numbers: Sequence[int]) -> DecodedBatch:
        try:
            return decode(numbers)
        except NOT_ABOUT_MESSAGES:
            raise
        except Exception as error:  # noqa: BLE001
            if len(numbers) == 1:
                part = decode(())
                return _refused(term, replace(part, messages=[messages[numbers[0]]]), error)
        middle = len(numbers) // 2
        return joined([decoded(numbers[:middle]), decoded(numbers[middle:])])

    return decoded(range(len(messages)))


def _digest(sent: RawMessage) -> bytes:
    return sha256(sent.topic.encode() + b"\0" + sent.payload).digest()


def _refused(term: LeaderTerm, part: DecodedBatch, error: Exception) -> DecodedBatch:
    """Return the one message refused. The words of the error may name what is not the tenant's: the
    log has them. Where nobody foresaw the error, its organization is remembered.
    """
    name, topic = type(error).__name__, part.messages[0].topic
    if isinstance(error, DatabaseError):
        facts = {"topic": topic, "error": name, "detail": message(error)}
        _log.warning("message refused by the database", **facts)
        detail = f"{name}, SQLSTATE {error.sqlstate}"
    else:
        _log.error(
            "message refused: it fails in a way that nobody foresaw", topic=topic, exc_info=error
        )
        detail = f"{name}: a fault on our side, which the log of ingest has"
        term.ended_terms.update(dict.fromkeys(_owners(term, part.messages), MOST_ENDED))
    decoded = refuse(part.decoded, {0: detail}, Reason.REFUSED_BY_DATABASE)
    return replace(part, decoded=decoded)
