"""Messages put together into batches, bounded by count, bytes and age."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar
from uuid import UUID

from telemetry.formats.packed import RECORD_BYTES

IDLE_S = 0.25  # time passes for assets without messages too
LOOK_S = 0.004
"""Between two looks for more messages of a batch: each message would wake us up."""


class FirstWait:
    """The wait for the first message of a batch, which another source may cut short."""

    def __init__(self) -> None:
        self._timeout: asyncio.Timeout | None = None

    def cut(self, at_s: float) -> None:
        """End the wait, if there is one, no later than at that time of the event loop."""
        timeout = self._timeout
        if timeout is not None and not timeout.expired():
            until_s = timeout.when()
            timeout.reschedule(at_s if until_s is None else min(until_s, at_s))

    @asynccontextmanager
    async def of(self, seconds: float) -> AsyncIterator[None]:
        """Raise TimeoutError where the block takes so long, or is cut short."""
        try:
            async with asyncio.timeout(seconds) as self._timeout:
                yield
        finally:
            self._timeout = None


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """The limits of a batch, which ends at the first one that it reaches.

    latency_ms: how long its oldest message may wait for others; a batch costs the same whatever is
    in it. idle_s: the longest wait for the first message, and wait: that wait itself. paused:
    organizations whose messages are not taken. is_full: too many fixes are deferred: take messages
    only from sources that know the organization of each.
    """

    messages: int
    bytes: int
    latency_ms: float
    idle_s: float = IDLE_S
    paused: frozenset[UUID] = frozenset()
    is_full: bool = False
    wait: FirstWait = field(default_factory=FirstWait, compare=False)

    def divided(self, by: int) -> "BatchLimits":
        """Return smaller batches: at least one message each."""
        return replace(self, messages=max(1, self.messages // by), bytes=max(1, self.bytes // by))

    def within(self, most_bytes: int) -> "BatchLimits":
        """Return the same limits with at most that many bytes, and at least one."""
        return replace(self, bytes=max(1, min(self.bytes, most_bytes)))


class Sized(Protocol):
    """A message as a batch sees it."""

    @property
    def payload(self) -> bytes: ...


M = TypeVar("M", bound="Sized")


class Receiver(Protocol[M]):
    """Something that messages are received from."""

    async def receive(self, max_messages: int, max_bytes: int) -> list[M]:
        """Wait for a message, then return the oldest messages within both bounds."""
        ...


class FixSize:
    """The bytes of a fix, as seen in the last batches: packed it has a fifth of the bytes of JSON.

    The cost of a batch depends on its fixes, and the number of fixes in a message is known only
    when the message is decoded.
    """

    _WEIGHT = 0.2  # of the newest batch

    def __init__(self) -> None:
        self._bytes = float(RECORD_BYTES)  # the least, so that the first batches are not too large

    def bytes_of(self, fixes: int) -> int:
        """Return the bytes that a number of fixes take."""
        return int(fixes * self._bytes)

    def saw(self, fixes: int, payload_bytes: int) -> None:
        """Learn from a batch, unless it had no fix."""
        if fixes:
            size = max(float(RECORD_BYTES), payload_bytes / fixes)
            self._bytes += self._WEIGHT * (size - self._bytes)


async def batch(
    session: Receiver[M], limits: BatchLimits, oldest_s: Callable[[Sequence[M]], float]
) -> list[M]:
    """Return the next messages in order of receipt; none where none came within `idle_s`.

    oldest_s: since when the first of some messages waits, in time of the event loop. While the
    consumer is busy messages gather in the session, so a slow consumer gets full batches and a
    quick one waits until a message has waited for `latency_ms`. Raises the error that ended the
    session.
    """
    gathered = more = await _first(session, limits)
    size, due_s = 0, math.inf
    while more:
        size += sum(len(message.payload) for message in more)
        due_s = min(due_s, oldest_s(more) + limits.latency_ms / 1000)
        is_full = len(gathered) >= limits.messages or size >= limits.bytes
        left_s = due_s - asyncio.get_running_loop().time()
        if is_full or left_s <= 0:
            break
        await asyncio.sleep(min(left_s, LOOK_S))
        try:
            async with asyncio.timeout_at(due_s):
                more = await session.receive(limits.messages - len(gathered), limits.bytes - size)
        except TimeoutError:
            break
        gathered = [*gathered, *more]
    return gathered


async def _first(session: Receiver[M], limits: BatchLimits) -> list[M]:
    """Wait for at least one message, or return none after `idle_s` or where the wait is cut."""
    try:
        async with limits.wait.of(limits.idle_s):
            return await session.receive(limits.messages, limits.bytes)
    except TimeoutError:
        return []
