"""One unit of work of one organization.

Row-level security reads the setting `app.org_id`, and the audit trigger `app.actor`. Both are set
inside a transaction only and end with it, so a connection that goes back to the pool belongs to
nobody.

They are set by CALL, which is a statement of its own: what is smuggled into a statement of the API
cannot call it, and has no other way (docs/decisions/0032-tenants-by-call.md).

What is only read is asked statement by statement, each in a transaction of its own that begins with
its tenant (`db.core.pipeline_cursor`): as in one transaction of PostgreSQL's usual kind, each sees
what was committed when it began.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg.pq import TransactionStatus

from db.core.connect import Connection, Pool
from db.core.fetch import value_of
from db.core.pipeline_cursor import Asked

_ACT_FOR: LiteralString = "CALL act_for(%s, %s)"


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a transaction's changes, as the audit notes it."""

    user_id: UUID
    via: str
    credential_id: UUID
    request_id: str


@asynccontextmanager
async def tenant(
    connections: Pool, org_id: UUID, actor: Actor | None = None
) -> AsyncIterator[Connection]:
    """Provide a connection inside one transaction that sees the rows of `org_id` alone.

    Commits at the end; an exception rolls back. BEGIN goes out with the first statement, and COMMIT
    with what is still queued (`Connection.later`). Raises OperationalError where no connection
    comes free in time.
    """
    async with connections.connection(org_id=org_id) as conn:  # which rolls back
        conn.later(("BEGIN", None), acting_for(org_id, actor))
        try:
            yield conn
            status = conn.pgconn.transaction_status
            assert status != TransactionStatus.INERROR, "COMMIT would undo everything, and not fail"
            await conn.together(("COMMIT", None))
        finally:
            conn.forget_queued()


@asynccontextmanager
async def reading(connections: Pool, org_id: UUID) -> AsyncIterator[Connection]:
    """Provide a connection that sees the rows of `org_id` alone, and can change nothing.

    Raises OperationalError where none comes free in time.
    """
    async with connections.lent(org_id) as conn:  # not connection(), which asks whether to commit
        try:
            conn.read_for(org_id)
            yield conn
        finally:
            conn.read_for(None)


async def act_for(conn: Connection, org_id: UUID, actor: Actor | None = None) -> None:
    """Make `org_id` the tenant of the transaction that is open on `conn`."""
    await conn.execute(*acting_for(org_id, actor))


def acting_for(org_id: UUID, actor: Actor | None = None) -> Asked:
    """Return the statement of `act_for`, to go out together with others."""
    written_down = "" if actor is None else msgspec.json.encode(actor).decode()
    return _ACT_FOR, (org_id, written_down)


async def is_row_security_bypassed(conn: Connection) -> bool:
    """Return whether the role of `conn` sees the rows of every tenant, as a superuser does."""
    return await value_of(
        conn, "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
