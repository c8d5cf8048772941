"""One unit of work of one organization.

Row-level security reads the setting `app.org_id`, and the audit trigger `app.actor`. Both are set
inside a transaction only and end with it, so a connection that goes back to the pool belongs to
nobody.

What is only read is asked in a pipeline: statements go out together until an answer is waited for,
and there is no BEGIN and no COMMIT, since PostgreSQL takes everything up to the end of a pipeline
for one transaction. An answer has to be fetched; before that a cursor knows no `rowcount`.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import msgspec
from psycopg import AsyncTransaction

from db.connect import Connection, Pool

_READ_FOR = (
    "SELECT set_config('app.org_id', %s, true), set_config('transaction_read_only', 'on', true)"
)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who is written down for what the transaction changes."""

    user_id: UUID
    via: str
    credential_id: UUID
    request_id: str


@asynccontextmanager
async def tenant(
    connections: Pool, org_id: UUID, actor: Actor | None = None
) -> AsyncIterator[Connection]:
    """A connection inside one transaction that sees the rows of `org_id` alone.

    Commits at the end; an exception rolls back. Raises psycopg_pool.PoolTimeout where no connection
    comes free in time.
    """
    async with connections.connection() as conn, AsyncExitStack() as stack:
        async with conn.pipeline():  # one round trip for both
            # Not conn.transaction(), which would stay in the pipeline that it is begun in.
            await stack.enter_async_context(AsyncTransaction(conn))
            await act_for(conn, org_id, actor)
        yield conn


@asynccontextmanager
async def reading(connections: Pool, org_id: UUID) -> AsyncIterator[Connection]:
    """The same, where nothing is written: the transaction is read-only."""
    async with connections.connection() as conn, conn.pipeline():
        await conn.execute(_READ_FOR, (str(org_id),))
        yield conn


async def act_for(conn: Connection, org_id: UUID, actor: Actor | None = None) -> None:
    """Makes `org_id` the tenant of the transaction that is open on `conn`."""
    await conn.execute(
        "SELECT set_config('app.org_id', %s, true), set_config('app.actor', %s, true)",
        (str(org_id), "" if actor is None else msgspec.json.encode(actor).decode()),
    )
