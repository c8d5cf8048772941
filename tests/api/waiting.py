"""Waiting for what has its effect within a bounded time."""

import asyncio
import time

from tests.api.running import Answer, Client

_WITHIN_S = 10  # two seconds are promised; a slow machine is no fault


async def until_let_in(client: Client) -> Answer:
    """Return the first good answer to the caller."""
    return await until_refused(client, 200)


async def until_refused(client: Client, status: int = 401) -> Answer:
    """Return the first answer of `status` to the caller."""
    deadline_s = time.monotonic() + _WITHIN_S
    while True:
        answer = await client.get("/v1/assets")
        if answer.status == status:
            return answer
        assert time.monotonic() < deadline_s, f"still {answer.status}"
        await asyncio.sleep(0.05)
