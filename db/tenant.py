"""One unit of work of one organization.

Row-level security reads the setting `app.org_id`. It is set inside a transaction only and ends with
it, so a connection that goes back to the pool belongs to nobody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from db.connect import Connection, Pool


@asynccontextmanager
async def tenant(connections: Pool, org_id: UUID) -> AsyncIterator[Connection]:
    """A connection inside one transaction that sees the rows of `org_id` alone.

    Commits at the end; an exception rolls back. Raises psycopg_pool.PoolTimeout where no connection
    comes free in time.
    """
    async with connections.connection() as conn, conn.transaction():
        await act_for(conn, org_id)
        yield conn


async def act_for(conn: Connection, org_id: UUID) -> None:
    """Makes `org_id` the tenant of the transaction that is open on `conn`."""
    await conn.execute("SELECT set_config('app.org_id', %s, true)", (str(org_id),))
