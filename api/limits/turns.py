"""Turns: costly work of one organization, or on one thing, waits for its own and for no others."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass

MOST_OF_EACH = 16  # requests of an organization that are under way or wait
MOST_ORGANIZATIONS = 64


class TooManyOfOne(Exception):
    """The organization, or the thing, has reached its bound of requests in work."""


class TooManyOfAll(Exception):
    """The queue has reached its bound of waiting organizations, or things."""


@dataclass(slots=True)
class _Line:
    """The requests of a key."""

    head: asyncio.Semaphore
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
        self._lines: dict[Hashable, _Line] = {}
        self._at_once, self._most_of_each, self._most = at_once, most_of_each, most

    @asynccontextmanager
    async def turn(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for the key's turn. Raises TooManyOfOne or TooManyOfAll at once."""
        line = self._lines.get(key) or _Line(asyncio.Semaphore(self._at_once))
        if line.length >= self._most_of_each:
            raise TooManyOfOne
        if line.length == 0 and len(self._lines) >= self._most:
            raise TooManyOfAll
        self._lines[key] = line
        line.length += 1
        try:
            async with line.head:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[key]
