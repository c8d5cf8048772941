"""Tokens of an organization's minute, taken in blocks by the processes that let requests in.

One row per organization says how many were given out since its minute began. So the sum over all
processes never exceeds the limit, whatever becomes of a process: what it took is taken until the
minute ends.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.core.tenant import act_for


class TokenGrant(NamedTuple):
    """Tokens that were given. `remaining` more are left of the limit; the minute lasts `left_s`."""

    granted: int
    remaining: int
    left_s: float


class Running(NamedTuple):
    """The minute that runs; `taken` counts what processes have in their blocks, too."""

    taken: int
    ends_at: datetime


async def take(conn: Connection, org_id: UUID, per_minute: int, extra: int) -> TokenGrant:
    """Take one token, and up to `extra` more; none where none are left.

    `conn` is in no transaction.
    """
    async with conn.transaction():
        await act_for(conn, org_id)
        cursor = await conn.execute("SELECT * FROM take_requests(%s, %s)", (per_minute, extra))
    return TokenGrant(*await fetch_one(cursor))


async def running(conn: Connection) -> Running | None:
    """Return the tenant's minute; None where none runs."""
    async with conn.cursor(row_factory=args_row(Running)) as cursor:
        await cursor.execute(
            """
            SELECT taken, began_at + interval '60 seconds' FROM request_minutes
             WHERE began_at BETWEEN now() - interval '60 seconds' AND now() + interval '60 seconds'
            """
        )
        return await cursor.fetchone()
