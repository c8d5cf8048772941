"""Waiting for what comes about beside a test, however slow the machine is."""

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 120
"""Long, since nothing waits for it but a test that fails, and a machine may be very busy."""


async def until(condition: Callable[[], object], *, wait_s: float = PATIENCE_S) -> None:
    """Wait until `condition` holds, which may be a coroutine function; fails the test where it does
    not come to that.
    """
    async with asyncio.timeout(wait_s):
        while True:
            answer = condition()
            if isinstance(answer, Awaitable):
                answer = await answer
            if answer:
                return
            await asyncio.sleep(0.02)
