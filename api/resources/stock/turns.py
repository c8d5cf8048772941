"""The turns of movements: those of one part wait for each other before they take a connection.

The database locks a level until a movement commits. Requests that wait for it there would have all
connections of the process, and nobody else would be answered. Here one waits for the lock at most,
and the others wait in order of arrival, for as long as a request may take.
"""

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from uuid import UUID

from api.http.problems import unavailable
from api.limits.turns import TooManyOfAll, TooManyOfOne
from api.request.access import Access
from db.core.connect import Connection
from db.core.tenant import reading
from db.stock.work_order_parts import part_ids_of


@asynccontextmanager
async def stock_turns(access: Access, part_ids: Collection[UUID]) -> AsyncIterator[None]:
    """Wait for the turns of parts, one after another in the order of their ids. Raises Problem
    (503).
    """
    async with AsyncExitStack() as turns:
        try:
            for part_id in sorted(set(part_ids)):
                turn = access.state.stock_turns.turn((access.caller.org_id, part_id))
                await turns.enter_async_context(turn)
        except (TooManyOfOne, TooManyOfAll):
            raise unavailable("Too many movements of stock wait.") from None
        yield


@asynccontextmanager
async def stock_transaction(access: Access, *part_ids: UUID) -> AsyncIterator[Connection]:
    """Provide the transaction of movements of parts. Raises Problem (503)."""
    async with stock_turns(access, part_ids), access.transaction() as conn:
        yield conn


@asynccontextmanager
async def order_stock_transaction(access: Access, order_id: UUID) -> AsyncIterator[Connection]:
    """Provide a transaction that may reserve or release all parts of a work order. Raises Problem
    (503).
    """
    async with reading(access.state.connections, access.caller.org_id) as conn:
        part_ids = await part_ids_of(conn, order_id)
    async with stock_transaction(access, *part_ids) as conn:
        yield conn
