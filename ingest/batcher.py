"""Messages put together into batches, bounded by count, bytes and age."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from mqtt import Message, Session

IDLE_S = 0.25  # time passes for assets without messages too


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch ends at the first of these. age_ms counts from its first message."""

    messages: int
    bytes: int
    age_ms: float

    def divided(self, by: int) -> "BatchLimits":
        """Smaller batches: at least one message each."""
        return BatchLimits(max(1, self.messages // by), max(1, self.bytes // by), self.age_ms)


async def batches(
    session: Session, current_limits: Callable[[], BatchLimits]
) -> AsyncIterator[list[Message]]:
    """Batches in order of receipt, for ever; raises the error that ended the session.

    While the consumer is busy messages gather in the session, so a slow consumer gets full batches
    and a quick one waits `age_ms` at most. Where no message comes for IDLE_S the batch is empty.
    """
    clock = asyncio.get_running_loop()
    while True:
        limits = current_limits()
        batch = await _first(session, limits)
        size = sum(len(message.payload) for message in batch)
        due = clock.time() + limits.age_ms / 1000
        while batch and len(batch) < limits.messages and size < limits.bytes and clock.time() < due:
            try:
                async with asyncio.timeout_at(due):
                    more = await session.receive(limits.messages - len(batch), limits.bytes - size)
            except TimeoutError:
                break
            batch += more
            size += sum(len(message.payload) for message in more)
        yield batch


async def _first(session: Session, limits: BatchLimits) -> list[Message]:
    """At least one message, or none after IDLE_S."""
    try:
        async with asyncio.timeout(IDLE_S):
            return await session.receive(limits.messages, limits.bytes)
    except TimeoutError:
        return []
