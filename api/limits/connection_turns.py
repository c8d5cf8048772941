"""Turns at the database connections of a process, by the time that organizations use them.

Of those who wait, the organization that used connections for the least time in the last 10 s comes
first. One statement may take as long as a thousand others: shares by number would be no shares. The
time of connections that an organization still has counts, too.

- An organization has half of the connections at most. Those that used more than 1 s have one half
  together, and the other half stays for the others.
- The last free connection, of each half, goes to an organization that has none.
- What is of no organization (a credential that is looked up, a sign-in, a count that is written,
  health) comes first and has half of the connections at most. Its statements are all short, and
  everybody's requests begin with one.

`Shares` decides and has no clock and no loop; `ConnectionTurns` lets requests wait.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from math import floor
from uuid import UUID

from db.core.errors import NoConnection

WINDOW_S = 10
HEAVY_S = 1.0
MOST_WAIT_S = 2.0
MOST_WAITING = 512  # requests of an organization: fifty dashboards that come back at once

NOBODY = UUID(int=0)
"""Has what is of no organization."""


class _Use:
    """The use of connections by an organization. begun_s: when the use of those that it has began.
    by_second: connection seconds that are over, by the second of the clock in which they were.
    """

    __slots__ = ("begun_s", "by_second")

    def __init__(self) -> None:
        self.begun_s: list[float] = []
        self.by_second: dict[int, float] = {}

    def used_s(self, now_s: float) -> float:
        """Return the connection seconds of the last WINDOW_S, and of up to one second before."""
        since_s = now_s - WINDOW_S
        over_s = sum(used for second, used in self.by_second.items() if second + 1 > since_s)
        return over_s + sum(now_s - max(begun_s, since_s) for begun_s in self.begun_s)

    def end(self, begun_s: float, now_s: float) -> None:
        """Count a use that is over, by the seconds that it lasted."""
        self.begun_s.remove(begun_s)
        at_s = max(begun_s, now_s - WINDOW_S)
        while at_s < now_s:
            second = floor(at_s)
            until_s = min(second + 1.0, now_s)
            self.by_second[second] = self.by_second.get(second, 0.0) + until_s - at_s
            at_s = until_s
        if len(self.by_second) > WINDOW_S + 2:
            self.forget_old(now_s)

    def forget_old(self, now_s: float) -> None:
        """Forget the seconds before the window."""
        since_s = now_s - WINDOW_S
        for second in [second for second in self.by_second if second + 1 <= since_s]:
            del self.by_second[second]


class Shares:
    """The shares of organizations in `size` connections, by a clock that never goes back."""

    def __init__(self, size: int) -> None:
        self._size, self._half = size, max(1, size // 2)
        self._uses: dict[UUID, _Use] = {}
        self._places = Counter[UUID]()  # connections that each has, or is about to get
        self._swept_s = 0.0

    def used_s(self, org_id: UUID, now_s: float) -> float:
        """Return the connection seconds that count against an organization."""
        use = self._uses.get(org_id)
        return 0.0 if use is None or org_id == NOBODY else use.used_s(now_s)

    def is_heavy(self, org_id: UUID, now_s: float) -> bool:
        """Return whether an organization has used so much that it shares a half with its like."""
        return self.used_s(org_id, now_s) > HEAVY_S

    def first_of(self, waiting: Iterable[UUID], now_s: float) -> UUID | None:
        """Return whose turn it is, of those that wait; None: nobody's for now."""
        free = self._size - self._places.total()
        if not free:
            return None
        for used_s, _, org_id in sorted(
            (self.used_s(org_id, now_s), place, org_id) for place, org_id in enumerate(waiting)
        ):
            places = self._places[org_id]
            left = free
            if used_s > HEAVY_S:
                left = min(free, self._half - self._heavy_places(now_s))
            if places < self._half and left > min(places, 1):
                return org_id
        return None

    def _heavy_places(self, now_s: float) -> int:
        places = self._places.items()
        return sum(number for org_id, number in places if self.is_heavy(org_id, now_s))

    def add(self, org_id: UUID, now_s: float) -> None:
        """Give a place to an organization whose turn it is."""
        if now_s >= self._swept_s + WINDOW_S:
            self._sweep(now_s)
        self._places[org_id] += 1

    def begin(self, org_id: UUID, now_s: float) -> None:
        """Count the time from now on: the organization has its connection."""
        self._uses.setdefault(org_id, _Use()).begun_s.append(now_s)

    def give_back(self, org_id: UUID, begun_s: float | None, now_s: float) -> None:
        """Take a place back. begun_s: when its use began; None: there was no connection."""
        self._places[org_id] -= 1
        if not self._places[org_id]:
            del self._places[org_id]
        if begun_s is not None:
            self._uses[org_id].end(begun_s, now_s)

    def _sweep(self, now_s: float) -> None:
        """Forget the organizations without any use in the window."""
        self._swept_s = now_s
        for org_id, use in list(self._uses.items()):
            use.forget_old(now_s)
            if not (use.begun_s or use.by_second):
                del self._uses[org_id]


class ConnectionTurns:
    """The turns of one process. A request waits for MOST_WAIT_S at most."""

    def __init__(self, size: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = Shares(size)
        self._clock = clock
        self._waiting: dict[UUID, deque[asyncio.Future[None]]] = {}
        self._refused = 0

    @asynccontextmanager
    async def turn(self, org_id: UUID | None) -> AsyncIterator[Callable[[], None]]:
        """Wait for the organization's turn at a connection; None: what is of no organization.

        Provides what is to be called when the connection is there: from then on its time counts.
        Raises NoConnection.
        """
        whose = org_id or NOBODY
        await self._acquire(whose)
        begun_s: float | None = None

        def begin() -> None:
            nonlocal begun_s
            begun_s = self._clock()
            self._shares.begin(whose, begun_s)

        try:
            yield begin
        finally:
            self._give_back(whose, begun_s)

    def numbers(self, of_pool: Mapping[str, int]) -> Mapping[str, int]:
        """Return the numbers of the pool, with those who wait and were refused before it."""
        mine = Counter[str](
            requests_waiting=sum(map(len, self._waiting.values())),
            requests_num=self._refused,
            requests_errors=self._refused,
        )
        mine.update(of_pool)
        return mine

    async def _acquire(self, org_id: UUID) -> None:
        queue = self._waiting.setdefault(org_id, deque())
        if len(queue) >= MOST_WAITING:
            raise self._refusal(is_share_used=org_id != NOBODY)
        place = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._lend()
        if place.done():
            return
        try:
            async with asyncio.timeout(MOST_WAIT_S):
                await place
        except BaseException as error:
            if place.cancelled():
                self._leave(org_id, place)
            else:  # its turn came at the same time
                self._give_back(org_id, None)
            if isinstance(error, TimeoutError):
                is_heavy = self._shares.is_heavy(org_id, self._clock())
                raise self._refusal(is_share_used=is_heavy) from None
            raise

    def _lend(self) -> None:
        """Give places to those whose turn it is."""
        now_s = self._clock()
        while (org_id := self._shares.first_of(self._waiting, now_s)) is not None:
            place = self._waiting[org_id][0]
            self._leave(org_id, place)
            if not place.done():
                self._shares.add(org_id, now_s)
                place.set_result(None)

    def _leave(self, org_id: UUID, place: asyncio.Future[None]) -> None:
        """Take a place out of the queue, unless it has left that already."""
        queue = self._waiting.get(org_id)
        if queue is not None and place in queue:
            queue.remove(place)
            if not queue:
                del self._waiting[org_id]

    def _give_back(self, org_id: UUID, begun_s: float | None) -> None:
        self._shares.give_back(org_id, begun_s, self._clock())
        self._lend()

    def _refusal(self, *, is_share_used: bool) -> NoConnection:
        self._refused += 1
        return NoConnection(is_share_used=is_share_used)
