"""The requests of an organization in a minute, never more than its limit over all processes.

One row of the database has the count (`db/requests/request_minutes.py`). A process takes tokens
from it in blocks, so most requests cost no round trip. A block is larger where the one before was
used up within a second. Tokens that a process has taken and does not use are lost when the minute
ends: several processes may let in a few requests less than the limit.

Time is the database's for the minute, and the monotonic clock for how long a block is good here,
counted from before it was asked for.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from uuid import UUID

from api.http.rate_limit_headers import Quota
from db.core.connect import Pool
from db.requests import request_minutes

_BUSY_S = 1.0
_REMEMBERED = 10_000


class _Minute:
    """An organization's minute, as far as this process knows it, and its tokens here."""

    def __init__(self) -> None:
        self.per_minute = 0
        self.asked_s = 0.0
        self.ends_s = 0.0
        self.granted = 0  # the block
        self.tokens = 0  # what is left of it
        self.remaining = 0  # in the row, when last asked
        self.asking: asyncio.Task[None] | None = None

    def quota(self, now_s: float) -> Quota | None:
        """Take a token, or refuse where none are left; None: the row has to be asked."""
        if now_s >= self.ends_s or (self.granted > 0 and self.tokens == 0):
            return None
        left_s = self.ends_s - now_s
        if self.granted == 0:
            return Quota("organization", self.per_minute, 0, left_s, left_s)
        self.tokens -= 1
        return Quota("organization", self.per_minute, self.remaining + self.tokens, left_s)


class RequestLimits:
    """The minutes of the organizations that this process has let in."""

    def __init__(self, connections: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._connections = connections
        self._clock = clock
        self._minutes: OrderedDict[UUID, _Minute] = OrderedDict()

    async def spend(self, org_id: UUID, per_minute: int) -> Quota:
        """Count one more request. Raises what the database raises."""
        minute = self._minute(org_id)
        while True:
            if per_minute == minute.per_minute and (quota := minute.quota(self._clock())):
                return quota
            if minute.asking is None:  # requests that wait share one statement
                minute.asking = asyncio.create_task(self._ask(org_id, minute, per_minute))
            await asyncio.shield(minute.asking)

    async def _ask(self, org_id: UUID, minute: _Minute, per_minute: int) -> None:
        try:
            async with self._connections.connection() as conn:
                asked_s = self._clock()
                extra = 2 * minute.granted if asked_s < minute.asked_s + _BUSY_S else 0
                block = await request_minutes.take(conn, org_id, per_minute, extra)
            minute.per_minute, minute.asked_s = per_minute, asked_s
            minute.ends_s = asked_s + block.left_s
            minute.granted = minute.tokens = block.granted
            minute.remaining = block.remaining
        finally:
            minute.asking = None

    def _minute(self, org_id: UUID) -> _Minute:
        minute = self._minutes.setdefault(org_id, _Minute())
        self._minutes.move_to_end(org_id)
        if len(self._minutes) > _REMEMBERED:
            self._minutes.popitem(last=False)
        return minute
