"""API keys: a user's rights, or a part of them, for a program."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one, value_of
from db.core.listing import (
    NEWEST_FIRST,
    Columns,
    Conditions,
    Order,
    PageRows,
    RowKey,
    page,
    read_page,
)
from db.core.wakeups import Channel
from db.identity.credentials import note_changed

_ENOUGH = timedelta(seconds=30)  # a use that was noted so lately is not noted again
_COLUMNS = sql.SQL(
    "id, user_id, name, scopes, last4, previous_expires_at, created_at, updated_at, expires_at,"
    " last_used_at, made_by"
)
_KEY = Columns()


class ApiKey(NamedTuple):
    """One row without its secret."""

    id: UUID
    user_id: UUID
    name: str
    scopes: list[str] | None
    last4: str
    previous_expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    made_by: UUID | None


async def find(conn: Connection, key_id: UUID, *, lock: bool = False) -> ApiKey | None:
    """Return the tenant's key of this id, unless it is revoked; with `lock` nobody else changes it
    until the transaction ends.
    """
    query = sql.SQL("SELECT {} FROM api_keys WHERE id = %s AND revoked_at IS NULL {}").format(
        _COLUMNS, sql.SQL("FOR UPDATE" if lock else "")
    )
    async with conn.cursor(row_factory=args_row(ApiKey)) as cursor:
        await cursor.execute(query, (key_id,))
        return await cursor.fetchone()


async def listing(
    conn: Connection, *, order: Order = NEWEST_FIRST, after: RowKey | None, limit: int, offset: int
) -> PageRows[ApiKey]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = Conditions()
    conditions.add("revoked_at IS NULL")
    cut = page(conditions, limit, offset)
    _KEY.go_on(conditions, order, after)
    statement = sql.SQL("SELECT {} FROM api_keys {} {} {}").format(
        _COLUMNS, conditions.where(), _KEY.order_by(order, conditions), cut
    )
    return await read_page(conn, ApiKey, statement, conditions.values)


async def count(conn: Connection) -> int:
    return await value_of(conn, "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL")


async def insert(conn: Connection, key: ApiKey, key_hash: bytes) -> None:
    await conn.execute(
        """
        INSERT INTO api_keys (org_id, id, user_id, name, scopes, secret_hash, last4, created_at,
                              updated_at, expires_at, made_by)
        VALUES (current_org_id(), %(id)s, %(user_id)s, %(name)s, %(scopes)s, %(secret_hash)s,
                %(last4)s, %(created_at)s, %(updated_at)s, %(expires_at)s, %(made_by)s)
        """,
        key._asdict() | {"secret_hash": key_hash},
    )


async def rotate(
    conn: Connection, key_id: UUID, key_hash: bytes, last4: str, overlap: timedelta, made_by: UUID
) -> ApiKey:
    """Rotate a key's secret; the one before is good for `overlap` more. made_by: who gets to know
    the new one.

    One that was still good from an earlier rotation ends at once.
    """
    statement = sql.SQL(
        """
        UPDATE api_keys
           SET secret_hash = %s, last4 = %s, previous_hash = secret_hash,
               previous_expires_at = now() + %s, updated_at = now(), made_by = %s,
               previous_made_by = made_by
         WHERE id = %s
        RETURNING org_id, {}
        """
    ).format(_COLUMNS)
    cursor = await conn.execute(statement, (key_hash, last4, overlap, made_by, key_id))
    org_id, *key = await fetch_one(cursor)
    conn.note(Channel.RIGHTS, org_id)
    return ApiKey(*key)


async def revoke(conn: Connection, key_id: UUID) -> None:
    revoked = await conn.execute(
        """
        UPDATE api_keys SET revoked_at = now(), updated_at = now()
         WHERE id = %s AND revoked_at IS NULL
        RETURNING org_id
        """,
        (key_id,),
    )
    await note_changed(conn, revoked)


async def revoke_all(conn: Connection, user_id: UUID) -> None:
    revoked = await conn.execute(
        """
        UPDATE api_keys SET revoked_at = now(), updated_at = now()
         WHERE user_id = %s AND revoked_at IS NULL
        RETURNING org_id
        """,
        (user_id,),
    )
    await note_changed(conn, revoked)


async def note_use(conn: Connection, key_ids: Sequence[UUID]) -> None:
    """Note that keys were used just now."""
    await conn.execute(
        """
        UPDATE api_keys SET last_used_at = now()
         WHERE id = ANY (%s)
           AND (last_used_at IS NULL OR last_used_at < now() - %s::interval)
        """,
        (list(key_ids), _ENOUGH),
    )
