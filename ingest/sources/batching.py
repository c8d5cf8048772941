"""Messages put together into batches, bounded by count, bytes and age."""

import asyncio
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar
from uuid import UUID

from telemetry.formats.packed import RECORD_BYTES

IDLE_S = 0.25  # time passes for assets without messages too


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch ends at the first of these. age_ms counts from its first message; idle_s says how
    long the first is waited for. held: organizations that nothing is taken of. is_crowded: only
    sources that can tell organizations apart give more.
    """

    messages: int
    bytes: int
    age_ms: float
    idle_s: float = IDLE_S
    held: frozenset[UUID] = frozenset()
    is_crowded: bool = False

    def divided(self, by: int) -> "BatchLimits":
        """Return smaller batches: at least one message each."""
        return replace(self, messages=max(1, self.messages // by), bytes=max(1, self.bytes // by))

    def within(self, most_bytes: int) -> "BatchLimits":
        """Return the same with no more bytes than that, one at least."""
        return replace(self, bytes=max(1, min(self.bytes, most_bytes)))


class Sized(Protocol):
    """A message as a batch sees it."""

    @property
    def payload(self) -> bytes: ...


M = TypeVar("M", bound="Sized")


class Receiver(Protocol[M]):
    """Something that messages are received from."""

    async def receive(self, max_messages: int, max_bytes: int) -> list[M]:
        """Return the oldest within both bounds, one at least: it is waited for."""
        ...


class FixSize:
    """The bytes that a fix takes, as seen in the last batches: packed it is a fifth of JSON.

    What a batch costs goes by its fixes, and how many a message has is known only when it is read.
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


async def batch(session: Receiver[M], limits: BatchLimits) -> list[M]:
    """Return the next messages in order of receipt; none where none came within `idle_s`.

    While the consumer is busy messages gather in the session, so a slow consumer gets full batches
    and a quick one waits `age_ms` at most. Raises the error that ended the session.
    """
    clock = asyncio.get_running_loop()
    gathered = await _first(session, limits)
    size = sum(len(message.payload) for message in gathered)
    due = clock.time() + limits.age_ms / 1000
    while gathered and len(gathered) < limits.messages and size < limits.bytes:
        if clock.time() >= due:
            break
        try:
            async with asyncio.timeout_at(due):
                more = await session.receive(limits.messages - len(gathered), limits.bytes - size)
        except TimeoutError:
            break
        gathered += more
        size += sum(len(message.payload) for message in more)
    return gathered


async def _first(session: Receiver[M], limits: BatchLimits) -> list[M]:
    """Wait for at least one message, or return none after `idle_s`."""
    try:
        async with asyncio.timeout(limits.idle_s):
            return await session.receive(limits.messages, limits.bytes)
    except TimeoutError:
        return []
