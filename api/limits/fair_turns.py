"""Turns at one thing, such as a process, by the time that keys, such as organizations, used it.

Of those who wait, who used it least in the last seconds is next: one request may take as long as a
thousand others, so turns by number would be no shares. A turn may last: after TURN_S it is ended as
soon as somebody waits who used less, its own time included.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from api.limits.turns import (
    MOST_OF_EACH,
    MOST_ORGANIZATIONS,
    TooManyOfAll,
    TooManyOfOne,
    TurnOver,
)

TURN_S = 3.0
_LOOK_AGAIN_S = 0.25
_FORGOTTEN_S = 10.0  # after this time 1/e of a use still counts
_NEGLIGIBLE_S = 0.001


class _Used:
    """The time that each key used, which is forgotten little by little."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._used: dict[Hashable, tuple[float, float]] = {}  # how much, and when that was right

    def of(self, key: Hashable) -> float:
        """Return the time that still counts, in seconds."""
        used_s, at_s = self._used.get(key, (0.0, 0.0))
        return used_s * math.exp((at_s - self._clock()) / _FORGOTTEN_S)

    def add(self, key: Hashable, used_s: float) -> None:
        """Count a use that is over."""
        now_s = self._clock()
        left = {key: self.of(key) for key in self._used}
        left[key] = left.get(key, 0.0) + used_s
        self._used = {key: (s, now_s) for key, s in left.items() if s > _NEGLIGIBLE_S}


@dataclass(slots=True)
class _Turn:
    """The turn under way. limit: ends it; None while its task has not gone on yet."""

    key: Hashable
    begun_s: float
    limit: asyncio.Timeout | None = None


class FairTurns:
    """The turns at one thing, one at a time. most_of_each: requests of a key that are under way or
    wait, in order of arrival. most: keys.
    """

    def __init__(
        self,
        *,
        turn_s: float = TURN_S,
        most_of_each: int = MOST_OF_EACH,
        most: int = MOST_ORGANIZATIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turn_s, self._most_of_each, self._most = turn_s, most_of_each, most
        self._clock = clock
        self._used = _Used(clock)
        self._waiting: dict[Hashable, deque[asyncio.Future[None]]] = {}
        self._turn: _Turn | None = None

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the key's turn. Raises TooManyOfOne or TooManyOfAll at once, and TurnOver where
        the block was cancelled for others.
        """
        self._check_room(key)
        turn = await self._wait(key)
        limit = turn.limit = asyncio.timeout(None)
        try:
            async with limit:
                self._look_later(turn)
                yield
        except TimeoutError:
            if limit.expired():
                raise TurnOver from None
            raise
        finally:
            self._end(turn)

    def _check_room(self, key: Hashable) -> None:
        keys = set(self._waiting)
        own = len(self._waiting.get(key, ()))
        if self._turn is not None:
            keys.add(self._turn.key)
            own += self._turn.key == key
        if own >= self._most_of_each:
            raise TooManyOfOne
        if key not in keys and len(keys) >= self._most:
            raise TooManyOfAll

    async def _wait(self, key: Hashable) -> _Turn:
        place = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(key, deque())
        queue.append(place)
        self._begin_next()
        try:
            await place
        except asyncio.CancelledError:
            if place in queue:
                self._leave(key, place)
            elif not place.cancelled():  # the turn came at the same time
                assert self._turn is not None
                self._end(self._turn)
            raise
        assert self._turn is not None
        return self._turn

    def _begin_next(self) -> None:
        while self._turn is None and self._waiting:
            key = min(self._waiting, key=self._used.of)  # of equals who waits longest
            place = self._waiting[key][0]
            self._leave(key, place)
            if not place.done():
                self._turn = _Turn(key, self._clock())
                place.set_result(None)

    def _leave(self, key: Hashable, place: asyncio.Future[None]) -> None:
        self._waiting[key].remove(place)
        if not self._waiting[key]:
            del self._waiting[key]

    def _end(self, turn: _Turn) -> None:
        self._used.add(turn.key, self._clock() - turn.begun_s)
        self._turn = None
        self._begin_next()

    def _look_later(self, turn: _Turn) -> None:
        lasted_s = self._clock() - turn.begun_s
        later_s = max(self._turn_s - lasted_s, _LOOK_AGAIN_S)
        asyncio.get_running_loop().call_later(later_s, self._look, turn)

    def _look(self, turn: _Turn) -> None:
        """End a turn that lasts where somebody waits who used less."""
        if self._turn is not turn or turn.limit is None:
            return
        used_s = self._used.of(turn.key) + self._clock() - turn.begun_s
        if any(self._used.of(key) < used_s for key in self._waiting if key != turn.key):
            turn.limit.reschedule(asyncio.get_running_loop().time())
        else:
            self._look_later(turn)
