"""Messages taken from a source together, decoded once, whatever becomes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.planning.poison_messages import refuse
from ingest.sources.source import RawMessage, are_in_database, fix_flags
from telemetry.formats.decode import ANCIENT_BEFORE_US, Decoded, decode, format_of
from telemetry.formats.decoded import oversize_message
from telemetry.rejection import Reason

PUNCH_LOAD = 40
"""The work that a punch is, in fixes."""


class Before(NamedTuple):
    """Earlier batches' part of a message: how many fixes they stored, how many of those belong to
    no asset, why they refused others; whether they let its fixes in by their rate."""

    stored: int
    unassigned: int
    reasons: tuple[str, ...]
    was_let_in: bool = True


@dataclass(frozen=True, slots=True)
class DecodedBatch:
    """Messages in order of receipt, and what their payloads say.

    received_us: when they were taken, by our clock as it is, microseconds since 1970; it judges
    them. feed_us: their place in the feed, which rises from batch to batch whatever the clock does,
    the `received_at` of their fixes; `Memory.in_order` sets it. oldest_us: fixes of before are not
    kept. before: of the first messages, which an earlier batch deferred in part
    (`ingest.planning.deferral`). behind: what waits for the next plan, because what is before it of
    its organizations is enough for this one. alone: what has fallen due and what waits to be judged
    is not looked at (`ingest.splitting`).
    """

    messages: Sequence[RawMessage]
    decoded: Decoded
    received_us: int
    feed_us: int
    oldest_us: int = ANCIENT_BEFORE_US
    before: Sequence[Before] = ()
    behind: "Sequence[Waiting]" = ()
    alone: bool = False

    @property
    def load(self) -> int:
        """The work that it is, in fixes."""
        return len(self.decoded.batch) + PUNCH_LOAD * len(self.decoded.punches)

    def loads(self) -> NDArray[np.int64]:
        """Return the work that each message is, in fixes; (n,)."""
        numbers = self.decoded.batch.rows["message"]
        loads = np.bincount(numbers, minlength=len(self.messages))
        if self.decoded.punches:
            numbers = [punch.message for punch in self.decoded.punches]
            loads += PUNCH_LOAD * np.bincount(numbers, minlength=len(self.messages))
        return loads


class Waiting(NamedTuple):
    """Messages of one organization, by its ordinal, that wait for the next plan."""

    organization: int
    part: DecodedBatch


def decode_batch(
    messages: Sequence[RawMessage],
    received_us: int,
    oldest_us: int = ANCIENT_BEFORE_US,
    opened: Mapping[int, bytes] | None = None,
) -> DecodedBatch:
    """Decode `messages`; who sent them is not asked yet. opened: by number, payloads of those that
    were encrypted.
    """
    formats = [format_of(message.topic) for message in messages]
    payloads = [message.payload for message in messages]
    for number, payload in (opened or {}).items():
        payloads[number] = payload
    decoded = decode(payloads, formats)
    if are_in_database(messages[:1]):  # then all are: a batch is of one source
        flags = np.array([fix_flags(message) for message in messages], np.uint8)
        decoded.batch.rows["flags"] |= flags[decoded.batch.rows["message"]]
    cut = {n: oversize_message(size) for n, m in enumerate(messages) if (size := m.oversize_bytes)}
    decoded = refuse(decoded, cut, Reason.OVERSIZE)
    return DecodedBatch(messages, decoded, received_us, received_us, oldest_us)
