"""The requests of an organization in a minute, counted over all processes together.

One row of the database has the count (`db/requests/request_minutes.py`). A process takes tokens
from it in blocks, for the requests that wait and some more, as many as it needed recently, and
gives back what it has not used after a second. So most requests cost no round trip, and never are
more let in than the limit. Nor are fewer: where the row has no tokens left, but other processes
have some that they may give back, requests wait for these, no more of them than there are tokens to
hope for. A process that dies keeps its block until the minute ends.

Time is the database's for the minute, and the monotonic clock for how long a block is good here,
counted from before it was asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from uuid import UUID

import psycopg
import structlog
from psycopg_pool import PoolTimeout, TooManyRequests

from api.http.rate_limit_headers import Quota
from db.core.connect import Pool
from db.requests import request_minutes
from db.requests.request_minutes import Block, Settlement, Wish

_log = structlog.get_logger("api")
_KEEP_S = 1.0
_BACK_S = 0.5  # a block is settled at the latest so long after it is good no more
_SETTLE_EVERY_S = 0.1
_SETTLED_AT_ONCE = 50
_ASK_AGAIN_S = 0.05
_MOST_EXTRA = 256
_REMEMBERED = 10_000


class _Minute:
    """The facts that this process knows of an organization's minute, and its block."""

    def __init__(self) -> None:
        self.per_minute = 0
        self.began_at: datetime | None = None
        self.ends_s = 0.0
        self.remaining = 0  # in the row, when last asked
        self.is_spent = False
        self.granted = 0  # the block
        self.tokens = 0  # what is left of it
        self.kept = 0  # what the row counts as spare
        self.good_until_s = 0.0
        self.extra = 0
        self.waiting = 0
        self.places: int | None = None  # for waiting requests, where tokens are hoped for
        self.asking: asyncio.Task[None] | None = None

    def use(self, now_s: float) -> bool:
        if self.tokens == 0 or now_s >= self.good_until_s:
            return False
        self.tokens -= 1
        return True

    def refuses(self, now_s: float, per_minute: int) -> bool:
        if self.places is not None and self.waiting >= self.places:
            return True
        return self.is_spent and now_s < self.ends_s and per_minute == self.per_minute

    def hand_back(self, now_s: float) -> Settlement | None:
        """End the block, and learn from it how large the next one should be."""
        if self.began_at is None:
            return None
        if self.tokens:
            self.extra = max(self.kept - self.tokens, 0)
        elif self.granted and now_s < self.good_until_s:
            self.extra = min(2 * self.extra + 1, _MOST_EXTRA)
        settled = Settlement(self.began_at, self.kept, self.tokens)
        is_empty = self.kept == self.tokens == 0
        self.granted = self.kept = self.tokens = 0
        return None if is_empty else settled

    def receive(self, block: Block, per_minute: int, asked_s: float) -> None:
        self.per_minute = per_minute
        self.began_at = block.began_at
        self.ends_s = asked_s + block.left_s
        self.good_until_s = min(asked_s + _KEEP_S, self.ends_s)
        self.granted = self.tokens = block.granted
        self.kept = block.kept
        self.remaining = block.remaining

    def is_due(self, now_s: float) -> bool:
        """Return whether its block is to be settled, and nobody does so already."""
        return self.asking is None and (self.tokens == 0 or now_s >= self.good_until_s)

    def quota(self, per_minute: int, now_s: float, *, is_admitted: bool) -> Quota:
        left_s = max(self.ends_s - now_s, 0.001)
        remaining = self.remaining + self.tokens if is_admitted else 0
        retry_s = 0.0 if is_admitted else left_s
        return Quota("organization", per_minute, remaining, left_s, retry_s)


class RequestLimits:
    """The limits of the organizations whose requests this process has seen recently."""

    def __init__(self, connections: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._connections = connections
        self._clock = clock
        self._minutes: OrderedDict[UUID, _Minute] = OrderedDict()
        self._holding: dict[UUID, _Minute] = {}
        self._holds = asyncio.Event()

    async def take(self, org_id: UUID, per_minute: int) -> Quota:
        """Count one request. Raises what the database may raise."""
        minute = self._minute(org_id)
        while True:
            now_s = self._clock()
            if minute.use(now_s):
                return minute.quota(per_minute, now_s, is_admitted=True)
            if minute.refuses(now_s, per_minute):
                return minute.quota(per_minute, now_s, is_admitted=False)
            await self._wait(org_id, minute, per_minute)

    async def run(self) -> None:
        """Give back what is not used, until it is cancelled."""
        while True:
            await self._holds.wait()
            await asyncio.sleep(_SETTLE_EVERY_S)
            now_s = self._clock()
            await self._settle({k: m for k, m in self._holding.items() if m.is_due(now_s)})
            if not self._holding:
                self._holds.clear()

    async def give_back(self) -> None:
        """Give everything back: the process ends."""
        await self._settle(dict(self._holding))

    async def _wait(self, org_id: UUID, minute: _Minute, per_minute: int) -> None:
        minute.waiting += 1
        try:
            if minute.asking is None:
                minute.asking = asyncio.create_task(self._ask(org_id, minute, per_minute))
            await asyncio.shield(minute.asking)
        finally:
            minute.waiting -= 1

    async def _ask(self, org_id: UUID, minute: _Minute, per_minute: int) -> None:
        try:
            while True:
                block = await self._next_block(org_id, minute, per_minute)
                if block.granted:
                    self._holding[org_id] = minute
                    self._holds.set()
                    return
                if block.spare == 0 or block.spare_left_s == 0:
                    minute.is_spent = True
                    return
                minute.places = block.spare
                await asyncio.sleep(_ASK_AGAIN_S)
        finally:
            minute.places = minute.asking = None

    async def _next_block(self, org_id: UUID, minute: _Minute, per_minute: int) -> Block:
        async with self._connections.connection() as conn:
            asked_s = self._clock()
            settled = minute.hand_back(asked_s)
            wish = Wish(per_minute, max(minute.waiting, 1), minute.extra, _KEEP_S + _BACK_S)
            block = await request_minutes.take(conn, org_id, wish, settled)
        minute.is_spent = False
        minute.receive(block, per_minute, asked_s)
        return block

    async def _settle(self, due: dict[UUID, _Minute]) -> None:
        """Settle what is due; a block that cannot be given back is kept until its minute ends."""
        now_s = self._clock()
        settlements = []
        for org_id, minute in due.items():
            self._holding.pop(org_id, None)
            settled = minute.hand_back(now_s)
            if settled is not None:
                settlements.append((org_id, settled))
        waiting = iter(settlements)
        while some := list(islice(waiting, _SETTLED_AT_ONCE)):
            try:
                async with self._connections.connection() as conn:
                    await request_minutes.settle(conn, some)
            except (psycopg.OperationalError, PoolTimeout, TooManyRequests) as error:
                _log.warning("reserved requests not returned", error=type(error).__name__)

    def _minute(self, org_id: UUID) -> _Minute:
        minute = self._minutes.setdefault(org_id, _Minute())
        self._minutes.move_to_end(org_id)
        if len(self._minutes) > _REMEMBERED:
            self._minutes.popitem(last=False)
        return minute
