"""Whether something names a thing, so that the thing cannot be deleted."""

from collections.abc import Awaitable, Callable
from typing import LiteralString
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of
from operations.work_orders.states import OPEN


def named_by(
    column: LiteralString, *tables: LiteralString
) -> Callable[[Connection, UUID], Awaitable[bool]]:
    """Return the function that says whether rows of these tables name a thing in the column. Rows
    that are soft-deleted do not count, nor work orders that have ended.
    """
    named = [
        sql.SQL("EXISTS (SELECT FROM {} WHERE {} = %(id)s AND deleted_at IS NULL {})").format(
            sql.Identifier(table),
            sql.Identifier(column),
            sql.SQL("AND state = ANY (%(open)s)" if table == "work_orders" else ""),
        )
        for table in tables
    ]
    statement = sql.SQL("SELECT {}").format(sql.SQL(" OR ").join(named)).as_bytes()

    async def is_in_use(conn: Connection, row_id: UUID) -> bool:
        return await value_of(conn, statement, {"id": row_id, "open": list(OPEN)})

    return is_in_use
