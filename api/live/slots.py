"""The places for connections of organizations, over all processes never more than their limits.

A process takes places from the database in blocks, as it takes tokens of requests
(`api.limits.organization_quota`), so most connections cost no round trip. Every `share_s` it gives
back those that no connection has, and shows that it lives. The places of a process that was killed
are free after `DEAD_ROUNDS` rounds.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Set
from contextlib import suppress
from uuid import UUID, uuid4

from db.core.connect import Pool
from db.core.errors import InternalError, OperationalError
from db.requests import live_slots

DEAD_ROUNDS = 3
REFUSED_S = 0.5  # that an organization without a free place is refused without another look
_LEAVE_S = 1.0  # that the end of a process waits for the database
_TROUBLE = (OperationalError, InternalError)


class LiveSlots:
    """The open connections of one process, and the places that it has for more."""

    def __init__(self, connections: Pool, share_s: float) -> None:
        self._connections = connections
        self._share_s = share_s
        self._process_id = uuid4()
        self._open = Counter[UUID]()
        self._slots: dict[UUID, int] = {}  # with those that have a connection
        self._refused_until_s: dict[UUID, float] = {}
        self._is_known = False  # whether the database has a row of this process
        self._turn = asyncio.Lock()

    @property
    def organizations(self) -> Set[UUID]:
        return self._open.keys()

    async def acquire(self, org_id: UUID, most: int) -> bool:
        """Count one more connection, where all processes have fewer than `most`. Returns whether
        there was room. Raises what the database raises.
        """
        if self._must_ask(org_id, most):
            async with self._turn:
                if self._must_ask(org_id, most):  # still, after the wait
                    await self._ask(org_id, most)
        if not self._has_slot(org_id, most):
            return False
        self._open[org_id] += 1
        return True

    def give_back(self, org_id: UUID) -> None:
        """Count one connection less."""
        self._open[org_id] -= 1
        if not self._open[org_id]:
            del self._open[org_id]

    async def run(self, stop: asyncio.Event) -> None:
        """Give back what is not used, and show that the process lives, until `stop`."""
        while not stop.is_set():
            await asyncio.sleep(self._share_s)
            if self._open or self._is_known:
                async with self._turn:
                    self._slots = dict(self._open)
                    self._refused_until_s.clear()
                    with suppress(*_TROUBLE):  # then nobody is let in either
                        await self._share()

    async def leave(self) -> None:
        """Give all places back, since the process stops."""
        if self._is_known:
            self._slots.clear()
            with suppress(TimeoutError, *_TROUBLE):
                async with asyncio.timeout(_LEAVE_S):
                    await self._share()

    def _has_slot(self, org_id: UUID, most: int) -> bool:
        return self._open[org_id] < min(self._slots.get(org_id, 0), most)

    def _must_ask(self, org_id: UUID, most: int) -> bool:
        is_refused = time.monotonic() < self._refused_until_s.get(org_id, 0.0)
        return not (is_refused or self._has_slot(org_id, most))

    async def _ask(self, org_id: UUID, most: int) -> None:
        self._slots[org_id] = self._open[org_id]
        self._slots[org_id] = await self._share(org_id, most)
        if not self._has_slot(org_id, most):
            self._refused_until_s[org_id] = time.monotonic() + REFUSED_S

    async def _share(self, wanting: UUID | None = None, most: int = 0) -> int:
        async with self._connections.connection() as conn:
            slots = await live_slots.share(
                conn,
                self._process_id,
                self._slots,
                wanting=wanting,
                most=most,
                dead_after_s=DEAD_ROUNDS * self._share_s,
            )
        self._is_known = bool(self._slots)
        return slots
