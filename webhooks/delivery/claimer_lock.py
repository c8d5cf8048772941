"""The lock by which this process claims deliveries, and what it knows of the other claimers.

A claimer holds a lock in a session of its own. A claim whose claimer holds no lock is free. But a
process may live and have lost its session, for example when the database was restarted. So a
claimer is dead only when `misses` looks in a row did not find its lock, in a session of ours that
has lasted as long, and a living one takes its lock again sooner than that.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from db.core.connect import Connection
from db.delivery import webhook_claimers
from service.background.pauses import pause
from webhooks.outages import TROUBLE, Outage


@dataclass(frozen=True, slots=True)
class ClaimerLockLimits:
    """Every bound of the loop."""

    look_s: float = 1.0  # between looks at the locks
    misses: int = 4  # looks in a row without its lock: the claimer is dead

    @property
    def dead_after_s(self) -> float:
        """A claim that is younger has a claimer that may not have been looked for yet."""
        return self.look_s * self.misses


class ClaimerLock:
    """The lock by which this process claims deliveries. connect: makes a session for the lock.
    on_held: called when the lock was taken.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Connection]],
        on_held: Callable[[], None],
        limits: ClaimerLockLimits,
    ) -> None:
        chances = random.Random()
        self.number = chances.randint(1, webhook_claimers.LARGEST)
        self.is_held = False
        self._connect = connect
        self._on_held = on_held
        self._limits = limits
        self._outage = Outage("locks of claims", chances)
        self._looks = 0  # in this session
        self._looked_s = 0.0
        self._missed: dict[int, int] = {}  # looks in a row without the lock, by claimer

    def living(self) -> list[int] | None:
        """Return the claimers that are not dead; None while that is not known."""
        is_old = monotonic() - self._looked_s > 2 * self._limits.look_s
        if not self.is_held or is_old or self._looks < self._limits.misses:
            return None
        return sorted({self.number, *self._missed})

    async def run(self, stop: asyncio.Event) -> None:
        """Hold the lock until `stop`."""
        while not stop.is_set():
            try:
                async with await self._connect() as conn:
                    await self._hold(conn, stop)
            except TROUBLE as error:
                await pause(stop, self._outage.begin(error))
            finally:
                self.is_held, self._looks = False, 0

    async def _hold(self, conn: Connection, stop: asyncio.Event) -> None:
        await webhook_claimers.hold(conn, self.number)
        self._outage.end()
        self.is_held = True
        self._on_held()
        while True:
            self._saw(await webhook_claimers.living(conn))
            if await pause(stop, self._limits.look_s):
                return

    def _saw(self, living: set[int]) -> None:
        missed = {number: count + 1 for number, count in self._missed.items()}
        missed |= dict.fromkeys(living, 0)
        most = self._limits.misses
        self._missed = {number: count for number, count in missed.items() if count < most}
        self._looks += 1
        self._looked_s = monotonic()
