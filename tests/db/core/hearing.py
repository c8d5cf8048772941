"""A process that listens to wake-ups, for tests of whoever sends them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from db.core.connect import connect
from db.core.wakeups import Channel, WakeUpLimits, WakeUps
from tests.waiting import until

Heard = list[UUID | None]


def wake_ups_at(url: str) -> WakeUps:
    """Return the wake-ups of a process; at most three organizations are named in one."""
    return WakeUps(partial(connect, url, "test-wakeups"), WakeUpLimits(organizations=3))


@asynccontextmanager
async def listening(url: str, *channels: Channel) -> AsyncIterator[Heard]:
    """Provide the organizations that a process hears of from now on."""
    wake_ups, heard = wake_ups_at(url), Heard()
    for channel in channels:
        wake_ups.on(channel, heard.append)
    async with wake_ups.running():
        await until(lambda: wake_ups.is_listening)
        assert heard == [None] * len(channels)  # it may have missed some before
        heard.clear()
        yield heard
