"""The turns of movements: those of one part wait for each other before they take a connection.

The database locks a level until a movement commits. Requests that wait for it there would have all
connections of the process, and nobody else would be answered. Here one waits for the lock at most,
and the others wait in order of arrival, for as long as a request may take.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from api.http.problems import unavailable
from api.limits.turns import TooManyOfAll, TooManyOfOne
from api.request.access import Access
from db.core.connect import Connection


@asynccontextmanager
async def stock_transaction(access: Access, part_id: UUID) -> AsyncIterator[Connection]:
    """Provide the transaction of a movement of a part. Raises Problem (503)."""
    turn = access.state.stock_turns.turn((access.caller.org_id, part_id))
    try:
        async with turn, access.transaction() as conn:
            yield conn
    except (TooManyOfOne, TooManyOfAll):
        raise unavailable("Too many movements of stock wait.") from None
