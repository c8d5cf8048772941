"""Waits that an event cuts short."""

import asyncio


async def pause(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event`, at most `seconds`; whether it came."""
    try:
        async with asyncio.timeout(seconds):
            return await event.wait()
    except TimeoutError:
        return False
