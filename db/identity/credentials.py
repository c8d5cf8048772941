"""The owners of credentials, and their present rights: asked before the organization is known.

One look-up is one round trip. It goes through functions of the owner, which take a hash, ids or an
address and give ids: the application's role sees no row of anybody by it. None: there is no such
credential, or it is no longer good, or its user is not.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import AsyncCursor
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.wakeups import Channel
from db.identity.users import Role


class Principal(NamedTuple):
    """The rights of a credential at this moment. made_by: who made an API key, where known."""

    org_id: UUID
    user_id: UUID
    credential_id: UUID
    role: Role
    scopes: list[str] | None
    expires_at: datetime | None
    made_by: UUID | None = None


async def of_api_key(conn: Connection, key_hash: bytes) -> Principal | None:
    """Find a credential by the hash of an API key."""
    async with conn.cursor(row_factory=args_row(Principal)) as cursor:
        await cursor.execute("SELECT * FROM caller_of_api_key(%s)", (key_hash,))
        return await cursor.fetchone()


async def of_session(conn: Connection, cookie_hash: bytes, idle: timedelta) -> Principal | None:
    """Find a credential by the hash of a session's cookie; a session that was not used for `idle`
    is over.
    """
    async with conn.cursor(row_factory=args_row(Principal)) as cursor:
        await cursor.execute("SELECT * FROM caller_of_session(%s, %s)", (cookie_hash, idle))
        return await cursor.fetchone()


async def of_sign_in(conn: Connection, org_id: UUID, sign_in_id: UUID) -> Principal | None:
    """Find the credential of an access token, by the token's claims."""
    async with conn.cursor(row_factory=args_row(Principal)) as cursor:
        await cursor.execute("SELECT * FROM caller_of_sign_in(%s, %s)", (org_id, sign_in_id))
        return await cursor.fetchone()


class CredentialBatch(NamedTuple):
    """Credentials of many callers: tokens as (org_id, sign_in_id), keys and sessions by hash."""

    sign_ins: Sequence[tuple[UUID, UUID]]
    key_hashes: Sequence[bytes]
    cookie_hashes: Sequence[bytes]


async def of_many(
    conn: Connection, asked: CredentialBatch, idle: timedelta
) -> dict[bytes, Principal]:
    """Find those that are good of many credentials. The keys of the result are the hashes, and the
    bytes of org_id and sign_in_id of a token.
    """
    org_ids = [org_id for org_id, _ in asked.sign_ins]
    sign_in_ids = [sign_in_id for _, sign_in_id in asked.sign_ins]
    cursor = await conn.execute(
        """
        SELECT uuid_send(asked.org_id) || uuid_send(asked.id), caller.*
          FROM unnest(%s::uuid[], %s::uuid[]) AS asked (org_id, id)
         CROSS JOIN LATERAL caller_of_sign_in(asked.org_id, asked.id) AS caller
        UNION ALL
        SELECT asked.hash, caller.* FROM unnest(%s::bytea[]) AS asked (hash)
         CROSS JOIN LATERAL caller_of_api_key(asked.hash) AS caller
        UNION ALL
        SELECT asked.hash, caller.* FROM unnest(%s::bytea[]) AS asked (hash)
         CROSS JOIN LATERAL caller_of_session(asked.hash, %s) AS caller
        """,
        (org_ids, sign_in_ids, list(asked.key_hashes), list(asked.cookie_hashes), idle),
    )
    return {bytes(key): Principal(*rest) for key, *rest in await cursor.fetchall()}


async def note_changed(conn: Connection, changed: AsyncCursor[tuple[Any, ...]]) -> None:
    """Note that credentials are not what they were, if any was changed. changed: an UPDATE that
    returns `org_id`.
    """
    row = await changed.fetchone()
    if row is not None:
        conn.note(Channel.RIGHTS, row[0])


async def org_of_refresh_token(conn: Connection, token_hash: bytes) -> UUID | None:
    """Return the organization that gave a refresh token, whether it is still good or not."""
    return await _org(conn, "SELECT org_of_refresh_token(%s)", token_hash)


async def org_of_link(conn: Connection, token_hash: bytes) -> UUID | None:
    """Return the organization of an invitation or a password reset."""
    return await _org(conn, "SELECT org_of_user_link(%s)", token_hash)


async def org_of_email(conn: Connection, email: str) -> UUID | None:
    """Return the organization of an address in lower case, if it is known in one alone."""
    return await _org(conn, "SELECT org_of_email(%s)", email)


async def _org(conn: Connection, query: str, value: bytes | str) -> UUID | None:
    return await value_of(conn, query.encode(), (value,))
