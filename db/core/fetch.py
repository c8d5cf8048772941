"""Rows and values of statements that always return one: an aggregate, an upsert, a row that the
caller has locked.
"""

from typing import Any, TypeVar

from psycopg import AsyncCursor
from psycopg.abc import Params, QueryNoTemplate

from db.core.connect import Connection

_ROW = TypeVar("_ROW")


async def fetch_one(cursor: AsyncCursor[_ROW]) -> _ROW:
    """Return the row that the statement always has."""
    row = await cursor.fetchone()
    assert row is not None
    return row


async def value_of(
    conn: Connection, statement: QueryNoTemplate, values: Params | None = None
) -> Any:
    """Return the first column of the row that the statement always has."""
    return (await fetch_one(await conn.execute(statement, values)))[0]
