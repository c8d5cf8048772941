"""Webhook endpoints as the API keeps them. The secret is stored sealed (`db.core.secrets`)."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import NEWEST_FIRST, Columns, Conditions, Order, RowKey, page

_COLUMNS = sql.SQL("id, url, types, description, created_at, deleted_at")
_KEY = Columns()


class WebhookEndpoint(NamedTuple):
    """One row without its secret."""

    id: UUID
    url: str
    types: list[str]
    description: str | None
    created_at: datetime
    deleted_at: datetime | None = None


async def find(
    conn: Connection, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint | None:
    """Return the tenant's endpoint of this id, deleted or not; `lock` keeps it as it is until the
    transaction ends.
    """
    async with conn.cursor(row_factory=args_row(WebhookEndpoint)) as cursor:
        await cursor.execute(
            sql.SQL("SELECT {} FROM webhook_endpoints WHERE id = %s {}").format(
                _COLUMNS, sql.SQL("FOR UPDATE" if lock else "")
            ),
            (endpoint_id,),
        )
        return await cursor.fetchone()


async def listing(
    conn: Connection,
    *,
    deleted: bool,
    order: Order = NEWEST_FIRST,
    after: RowKey | None,
    limit: int,
    offset: int,
) -> list[WebhookEndpoint]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`. `deleted`: of those
    that are, instead of the others.
    """
    conditions = Conditions()
    conditions.add_null("deleted_at", null=not deleted)
    cut = page(conditions, limit, offset)
    _KEY.go_on(conditions, order, after)
    statement = sql.SQL("SELECT {} FROM webhook_endpoints {} {} {}").format(
        _COLUMNS, conditions.where(), _KEY.order_by(order), cut
    )
    async with conn.cursor(row_factory=args_row(WebhookEndpoint)) as cursor:
        await cursor.execute(statement, conditions.values)
        return await cursor.fetchall()


async def count(conn: Connection, *, deleted: bool) -> int:
    """Count the endpoints that the tenant has now, or has deleted."""
    cursor = await conn.execute(
        "SELECT count(*) FROM webhook_endpoints WHERE (deleted_at IS NOT NULL) = %s", (deleted,)
    )
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]


async def insert(conn: Connection, endpoint: WebhookEndpoint, secret_encrypted: bytes) -> None:
    """Insert a new row."""
    await conn.execute(
        """
        INSERT INTO webhook_endpoints (org_id, id, url, types, description, secret_encrypted,
                                       created_at)
        VALUES (current_org_id(), %(id)s, %(url)s, %(types)s, %(description)s,
                %(secret_encrypted)s, %(created_at)s)
        """,
        endpoint._asdict() | {"secret_encrypted": secret_encrypted},
    )


async def mark_deleted(conn: Connection, endpoint_id: UUID, *, deleted: bool) -> WebhookEndpoint:
    """Mark an endpoint as deleted, so that nothing more is sent to it, or restore it."""
    async with conn.cursor(row_factory=args_row(WebhookEndpoint)) as cursor:
        await cursor.execute(
            sql.SQL(
                "UPDATE webhook_endpoints SET deleted_at = CASE WHEN %s THEN now() END"
                " WHERE id = %s RETURNING {}"
            ).format(_COLUMNS),
            (deleted, endpoint_id),
        )
        row = await cursor.fetchone()
    assert row is not None  # the caller holds it
    return row
