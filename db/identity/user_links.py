"""Links that let a user set a password: an invitation, or a password reset. Each is good once."""

from datetime import timedelta
from typing import Literal, TypeAlias
from uuid import UUID

from db.core.connect import Connection

Purpose: TypeAlias = Literal["invitation", "password_reset"]


async def holder(conn: Connection, token_hash: bytes, purpose: Purpose) -> UUID | None:
    """Return the tenant's user whom a link is for, while it is good."""
    cursor = await conn.execute(
        """
        SELECT user_id FROM user_links
         WHERE token_hash = %s AND purpose = %s AND expires_at > now()
        """,
        (token_hash, purpose),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def use(conn: Connection, token_hash: bytes, purpose: Purpose) -> UUID | None:
    """Return the user as `holder` does, and end all links of the user."""
    cursor = await conn.execute(
        """
        DELETE FROM user_links
         WHERE token_hash = %s AND purpose = %s AND expires_at > now()
        RETURNING user_id
        """,
        (token_hash, purpose),
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    await end_all(conn, row[0])
    return row[0]


async def end_all(conn: Connection, user_id: UUID) -> None:
    await conn.execute("DELETE FROM user_links WHERE user_id = %s", (user_id,))


async def insert(
    conn: Connection,
    org_id: UUID,
    user_id: UUID,
    purpose: Purpose,
    token_hash: bytes,
    lifetime: timedelta,
) -> None:
    """Insert a new link, by a role that is not under row-level security."""
    await conn.execute(
        """
        INSERT INTO user_links (org_id, token_hash, user_id, purpose, expires_at)
        VALUES (%s, %s, %s, %s, now() + %s)
        """,
        (org_id, token_hash, user_id, purpose, lifetime),
    )
