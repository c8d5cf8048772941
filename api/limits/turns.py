"""Turns: a bounded queue for each organization, or thing, of the requests for costly work.

A request waits for those of its own key. Where keys share one thread, each has one request there at
most: they are served round robin. Where a request may take seconds, `api.limits.fair_turns` shares
the time.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from api.http.problems import busy, unavailable

MOST_OF_EACH = 16  # requests of an organization that are under way or wait
MOST_ORGANIZATIONS = 64


class TooManyOfOne(Exception):
    """The queue of the organization, or the thing, is full."""


class TooManyOfAll(Exception):
    """There are as many queues as there may be."""


class TurnOver(Exception):
    """The turn was ended, since others waited."""


@contextmanager
def refusing_when_full(things: str) -> Iterator[None]:
    """Raise Problem in place of TooManyOfOne and TurnOver (429), and TooManyOfAll (503). things:
    what waits, in the plural.
    """
    try:
        yield
    except TooManyOfOne:
        raise busy(f"Too many {things} of the organization at once.") from None
    except TurnOver:
        detail = f"The {things} of the organization took long, and others wait: try again later."
        raise busy(detail) from None
    except TooManyOfAll:
        raise unavailable(f"Too many {things} at once: try again in a second.") from None


@dataclass(slots=True)
class _Queue:
    """The requests of a key. slots: of those that are under way."""

    slots: asyncio.Semaphore
    length: int = 0


class Turns:
    """The turns of keys, like the ids of organizations: `at_once` requests of each at a time, in
    order of arrival. most_of_each: requests of a key that are under way or wait. most: keys.
    """

    def __init__(
        self,
        *,
        at_once: int = 1,
        most_of_each: int = MOST_OF_EACH,
        most: int = MOST_ORGANIZATIONS,
    ) -> None:
        self._queues: dict[Hashable, _Queue] = {}
        self._at_once, self._most_of_each, self._most = at_once, most_of_each, most

    def check_room(self, key: Hashable) -> None:
        """Raise TooManyOfOne where the key has as many requests as it may."""
        if key in self._queues and self._queues[key].length >= self._most_of_each:
            raise TooManyOfOne

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the key's turn. Raises TooManyOfOne or TooManyOfAll at once."""
        self.check_room(key)
        queue = self._queues.get(key) or _Queue(asyncio.Semaphore(self._at_once))
        if queue.length == 0 and len(self._queues) >= self._most:
            raise TooManyOfAll
        self._queues[key] = queue
        queue.length += 1
        try:
            async with queue.slots:
                yield
        finally:
            queue.length -= 1
            if queue.length == 0:
                del self._queues[key]
