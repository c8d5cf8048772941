"""The rows and values of statements, and rows as their parameters."""

from collections.abc import Sequence
from typing import Any, TypeAlias, TypeVar

from psycopg import AsyncCursor
from psycopg.abc import Params, QueryNoTemplate

from db.core.connect import Connection

_ROW = TypeVar("_ROW")

Rows: TypeAlias = list[tuple[Any, ...]]


async def fetch_one(cursor: AsyncCursor[_ROW]) -> _ROW:
    """Return the row that a statement always has: an aggregate, an upsert, a row that is locked."""
    row = await cursor.fetchone()
    assert row is not None
    return row


async def value_of(
    conn: Connection, statement: QueryNoTemplate, values: Params | None = None
) -> Any:
    """Return the first column of the row that the statement always has."""
    return (await fetch_one(await conn.execute(statement, values)))[0]


async def rows_of(
    conn: Connection, statement: QueryNoTemplate, values: Params | None = None
) -> Rows:
    return await (await conn.execute(statement, values)).fetchall()


def columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return rows by column, as arrays of a statement. There must be one row at least."""
    return [list(column) for column in zip(*rows, strict=True)]
