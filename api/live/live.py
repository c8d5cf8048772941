"""The live part of one process: its feeds, and its open connections."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from api.context import ApiState
from api.live.feeds.event_feed import EventFeed
from api.live.feeds.positions import PositionFeed
from api.live.limits import LiveLimits
from api.live.metrics import LiveMetrics
from api.live.streams import Streams
from db.core.wakeups import Channel
from db.history.latest_positions import EMPLOYEES

_log = structlog.get_logger("api")


class Live:
    """Made once per process."""

    def __init__(self, state: ApiState, limits: LiveLimits) -> None:
        self.state = state
        self.limits = limits
        self.events = EventFeed(state.connections, poll_s=limits.poll_s)
        self.positions = PositionFeed(state.connections)
        self.employee_positions = PositionFeed(state.connections, of=EMPLOYEES)
        state.wake_ups.on(Channel.SEQUENCED, self.events.wake)
        self.streams = Streams(state, state.settings.api_max_live_connections, limits)
        state.wake_ups.on(Channel.RIGHTS, self.streams.wake)
        self.metrics = LiveMetrics(
            state.metrics.registry,
            self.streams,
            self.events,
            (self.positions, self.employee_positions),
        )

    def stop(self) -> None:
        """End all connections: the server waits for them before it stops."""
        self.streams.end_all()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the feeds until the block ends."""
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(self.events.run(stop)),
            asyncio.create_task(self.positions.run(stop)),
            asyncio.create_task(self.employee_positions.run(stop)),
            asyncio.create_task(self.streams.run(stop)),
            asyncio.create_task(self.streams.run_woken(stop)),
            asyncio.create_task(self.streams.slots.run(stop)),
        ]
        for task in tasks:
            task.add_done_callback(_ended)
        try:
            yield
        finally:
            self.stop()
            stop.set()
            for task in tasks:
                task.cancel()  # they only read, and may wait for a database that is away
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.streams.slots.leave()


def _ended(task: asyncio.Task[None]) -> None:
    """Stop the process where a feed failed: its readers would wait for ever."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        _log.critical("live feed failed, stopping", exc_info=error)
        signal.raise_signal(signal.SIGTERM)
