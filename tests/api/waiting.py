"""Waiting for what has its effect within a bounded time, which passes by the clock of the API."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from tests.api.running import CLOCK, Answer, Client

_STEPS_S = [0.5] * 5  # two seconds are promised
_WITHIN_S = 60  # a slow machine is no fault


async def until_answered(ask: Callable[[], Awaitable[Answer]], status: int) -> Answer:
    """Ask again and again, and return the first answer of `status`."""
    deadline_s = time.monotonic() + _WITHIN_S
    steps_s = iter(_STEPS_S)
    while True:
        answer = await ask()
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline_s, f"still {answer.status}"
        CLOCK.let_pass(next(steps_s, 0.0))
        await asyncio.sleep(0.05)


async def until_let_in(client: Client) -> Answer:
    """Return the first good answer to the caller."""
    return await until_refused(client, 200)


async def until_refused(client: Client, status: int = 401) -> Answer:
    """Return the first answer of `status` to the caller."""
    return await until_answered(lambda: client.get("/v1/assets"), status)
