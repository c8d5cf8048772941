"""The supervisor that keeps the parts of a system running: starts them, restarts what dies, ends
all in order.

Parts are started in the order given; each may wait for the ones before it. A part that fails at its
first start fails the whole (``PartFailed``). One that dies later is started again after a pause
that doubles while it keeps dying, to two seconds. ``stop`` ends the parts in reverse order, one
after the other, but for those that are to end together. Everything runs in one event loop; only
waiting is handed to threads (see ``stack.host.process``).
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from stack.host.pages import open_page
from stack.host.process import Command, PartFailed, Process, how_it_ended, wait_until

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0  # as RestartSec in deploy/systemd: devices wait meanwhile
# Having run so long, a part is taken to be well again.
SETTLED_AFTER_S = 60.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """One child process and how to tell that it does its work."""

    command: Command
    is_ready: Callable[[], bool]
    ready_timeout_s: float = 60.0

    @property
    def name(self) -> str:
        return self.command.name


def answers_ready(url: str, tls: ssl.SSLContext | None = None) -> Callable[[], bool]:
    """Return a readiness check, which asks whether a GET answers 200."""

    def check() -> bool:
        try:
            with open_page(url, 2, tls) as response:
                return response.status == 200
        except OSError:
            return False

    return check


class Supervisor:
    """The parts of a system: ``await start(...)`` parts, then ``await stop()``.

    ``started(name, pid)`` is called for each process, those that replace a dead one included.
    """

    def __init__(self, say: Say, started: Callable[[str, int], None]) -> None:
        self._say, self._started = say, started
        self._processes: dict[str, Process] = {}
        self._ends: list[list[str]] = []  # names that end side by side, the last first
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self, *parts: Part, end_together: bool = False) -> None:
        """Start parts side by side, return when all are ready, and watch them from then on.
        end_together: `stop` ends them side by side, too.
        """
        names = [part.name for part in parts]
        self._ends += [names] if end_together else [[name] for name in names]
        for part in parts:
            self._spawn(part)
        for part in parts:
            await self._ready(part)
        self._watchers += [asyncio.create_task(self._watch(part)) for part in parts]

    async def stop(self) -> None:
        """End every part, the last started first; returns when all are gone."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for names in reversed(self._ends):
            left = [self._processes.pop(name) for name in names if name in self._processes]
            await asyncio.gather(*(asyncio.to_thread(process.stop) for process in left))

    def _spawn(self, part: Part) -> None:
        process = Process(part.command)
        self._processes[part.name] = process
        self._started(part.name, process.pid)

    async def _ready(self, part: Part) -> None:
        process = self._processes[part.name]
        await asyncio.to_thread(wait_until, process, part.is_ready, part.ready_timeout_s)

    async def _watch(self, part: Part) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            how = await self._until_end(part)
            if time.monotonic() - began > SETTLED_AFTER_S:
                pause_s = FIRST_PAUSE_S
            self._say(f"{part.name} ended ({how}); starting it again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            await self._restart(part)

    async def _until_end(self, part: Part) -> str:
        return how_it_ended(await self._processes[part.name].until_end())

    async def _restart(self, part: Part) -> None:
        try:
            self._spawn(part)
            await self._ready(part)
        except PartFailed as failure:
            self._say(str(failure))
            # Not ready in time but alive: leave it no half-started twin.
            await asyncio.to_thread(self._processes[part.name].stop)
        except OSError as error:  # the disk is full, or there are too many processes
            self._say(f"{part.name} cannot be started: {error}")
        else:
            self._say(f"{part.name} is running again")
