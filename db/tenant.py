"""One unit of work of one organization.

Row-level security reads the setting `app.org_id`, and the audit trigger `app.actor`. Both are set
inside a transaction only and end with it, so a connection that goes back to the pool belongs to
nobody.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import msgspec

from db.connect import Connection, Pool


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
    async with connections.connection() as conn, conn.transaction():
        await act_for(conn, org_id, actor)
        yield conn


async def act_for(conn: Connection, org_id: UUID, actor: Actor | None = None) -> None:
    """Makes `org_id` the tenant of the transaction that is open on `conn`."""
    await conn.execute(
        "SELECT set_config('app.org_id', %s, true), set_config('app.actor', %s, true)",
        (str(org_id), "" if actor is None else msgspec.json.encode(actor).decode()),
    )
