"""The time until a sent fix can be read back, sampled while a run goes on.

Once a second the next message that is sent is chosen and its last fix asked for through the API,
at growing intervals: a latency is told at most a tenth and _FIRST_PAUSE_S too high. Samples are few
(one a second), so that looking does not weigh on what is looked at.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from device_sim.latency import Latencies
from device_sim.ledger import Ledger
from stack.scenario.api_client import ApiClient, ApiError
from stack.verify.fix_fates import Arrived, fates
from stack.verify.run_history import RunHistory
from telemetry.times import format_time

_EVERY_S, _LOOK_EVERY_S = 1.0, 0.005
_FIRST_PAUSE_S, _GROWTH = 0.02, 1.1
_PATIENCE_S = 60.0
_PATIENCE_AFTERWARDS_S = 10.0
_ROWS = 100  # of one tracker and time


@dataclass(frozen=True, slots=True)
class StoredSampler:
    """Samples into `latencies`; a fix that does not come in time is no sample."""

    client: ApiClient
    history: RunHistory
    ledger: Ledger
    is_json: bool
    latencies: Latencies = field(default_factory=Latencies)

    @contextlib.asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Choose fixes as long as the block runs, and wait a while for the last ones."""
        samples: set[asyncio.Task[None]] = set()  # at most _PATIENCE_S / _EVERY_S

        async def choose() -> None:
            while True:
                message = await self.next_sent()
                task = asyncio.create_task(self._sample(message))
                samples.add(task)
                task.add_done_callback(samples.discard)
                await asyncio.sleep(_EVERY_S)

        chooser = asyncio.create_task(choose())
        try:
            yield
            chooser.cancel()
            if samples:
                await asyncio.wait(samples, timeout=_PATIENCE_AFTERWARDS_S)
        finally:
            for task in (chooser, *samples):
                task.cancel()

    async def next_sent(self) -> int:
        """Return the number of a message that was sent a moment ago, once there is one."""
        before = self.ledger.newest_sent
        while True:
            newest = self.ledger.newest_sent
            if newest is not None and newest != before:
                return newest
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _sample(self, message: int) -> None:
        row = self.ledger.messages[message]
        sent_us, first = int(row["sent_us"]), int(row["first"])
        rows = self.ledger.fixes[first : first + int(row["fixes"])]
        stored = fates(Arrived.from_ledger(self.ledger, rows, is_json=self.is_json)).stored
        if not len(stored):
            return
        tracker, time_us, seq = (int(stored[-1][name]) for name in ("tracker", "time_us", "seq"))
        query = {
            "tracker_id": self.history.tracker_ids[tracker],
            "from": format_time(time_us),
            "to": format_time(time_us + 1),
            "limit": _ROWS,
        }
        pause_s = _FIRST_PAUSE_S
        with contextlib.suppress(ApiError, TimeoutError):  # the system may be away for a while
            async with asyncio.timeout(_PATIENCE_S):
                while not await self._is_there(query, seq):
                    await asyncio.sleep(pause_s)
                    pause_s *= _GROWTH
                self.latencies.record(time.time_ns() / 1e9 - sent_us / 1e6)

    async def _is_there(self, query: dict[str, str | int], seq: int) -> bool:
        rows = (await self.client.get("/v1/gps-events", query))["data"]
        return any(row["seq"] == seq for row in rows)
