"""The turns of organizations: costly work of one of them waits for its own, not for the others'."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

MOST_OF_EACH = 16  # requests of an organization that are under way or wait
MOST_ORGANIZATIONS = 64


class TooManyOfOne(Exception):
    """The organization has reached its bound of requests in work."""


class TooManyOfAll(Exception):
    """The queue has reached its bound of waiting organizations."""


@dataclass(slots=True)
class _Line:
    """The requests of an organization."""

    head: asyncio.Lock = field(default_factory=asyncio.Lock)
    length: int = 0


class Turns:
    """The turns of organizations: one request of each at a time, in order of arrival."""

    def __init__(self) -> None:
        self._lines: dict[UUID, _Line] = {}

    @asynccontextmanager
    async def turn(self, org_id: UUID) -> AsyncIterator[None]:
        """Wait for the organization's turn. Raises TooManyOfOne or TooManyOfAll at once."""
        line = self._lines.get(org_id) or _Line()
        if line.length >= MOST_OF_EACH:
            raise TooManyOfOne
        if line.length == 0 and len(self._lines) >= MOST_ORGANIZATIONS:
            raise TooManyOfAll
        self._lines[org_id] = line
        line.length += 1
        try:
            async with line.head:
                yield
        finally:
            line.length -= 1
            if line.length == 0:
                del self._lines[org_id]
