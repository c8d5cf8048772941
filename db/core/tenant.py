"""One unit of work of one organization.

Row-level security reads the setting `app.org_id`, and the audit trigger `app.actor`. Both are set
inside a transaction only and end with it, so a connection that goes back to the pool belongs to
nobody.

They are set by CALL, which is a statement of its own: what is smuggled into a statement of the API
cannot call it, and has no other way (docs/decisions/0032-tenants-by-call.md).
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

_ACT_FOR: LiteralString = "CALL act_for(%s, %s)"
_READ_FOR: LiteralString = "CALL read_for(%s)"


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

    Commits at the end; an exception rolls back. Raises OperationalError where no connection comes
    free in time.
    """
    async with connections.connection(org_id=org_id) as conn, conn.transaction():
        await act_for(conn, org_id, actor)
        yield conn
        status = conn.pgconn.transaction_status
        assert status != TransactionStatus.INERROR, "COMMIT would undo everything, and not fail"


@asynccontextmanager
async def reading(connections: Pool, org_id: UUID) -> AsyncIterator[Connection]:
    """Provide a connection inside one transaction that sees the rows of `org_id` alone, and can
    change nothing. Each statement sees what was committed when it began.

    Raises OperationalError where no connection comes free in time.
    """
    async with connections.connection(org_id=org_id) as conn, conn.transaction():
        await read_for(conn, org_id)
        yield conn


@asynccontextmanager
async def as_application(
    connections: Pool, org_id: UUID, actor: Actor | None = None
) -> AsyncIterator[Connection]:
    """Provide what `tenant` does to a role that acts for all organizations: as opsc_app, so that
    row-level security holds until the transaction ends.
    """
    async with connections.connection(org_id=org_id) as conn, conn.transaction():
        await become_application(conn, org_id, actor)
        yield conn


async def become_application(conn: Connection, org_id: UUID, actor: Actor | None = None) -> None:
    """Go on as opsc_app for `org_id` until the transaction ends that is open on `conn`."""
    await conn.execute("SET LOCAL ROLE opsc_app")
    await act_for(conn, org_id, actor)


async def act_for(conn: Connection, org_id: UUID, actor: Actor | None = None) -> None:
    """Make `org_id` the tenant of the transaction that is open on `conn`."""
    written_down = "" if actor is None else msgspec.json.encode(actor).decode()
    await conn.execute(_ACT_FOR, (org_id, written_down))


async def read_for(conn: Connection, org_id: UUID) -> None:
    """Make `org_id` the tenant of the transaction that is open on `conn`, which only reads."""
    await conn.execute(_READ_FOR, (org_id,))


async def is_row_security_bypassed(conn: Connection) -> bool:
    """Return whether the role of `conn` sees the rows of every tenant, as a superuser does."""
    return await value_of(
        conn, "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
