"""Tables whose columns are the fields of a NamedTuple, listed newest first unless another order is
asked for.

What all of them do the same way: find one row, list a page, count, write. A row has `id`,
`created_at` and, where its table is one of things that are deleted softly, `deleted_at`. Names of
tables and columns are the program's own.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, Literal, LiteralString, Protocol, TypeVar
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.listing import NEWEST_FIRST, Columns, Conditions, NameKey, Order, RowKey, page

_COLUMNS = Columns()


class _Fields(Protocol):
    _fields: Any

    def _asdict(self) -> dict[str, Any]: ...


_ROW = TypeVar("_ROW", bound=_Fields)


class Table(Generic[_ROW]):
    """One table; `jsonb` are its columns that hold JSON."""

    def __init__(self, name: LiteralString, row: type[_ROW], *, jsonb: Sequence[str] = ()) -> None:
        self._name = sql.Identifier(name)
        self._row = row
        self._columns = sql.SQL(", ").join(map(sql.Identifier, row._fields))
        self._jsonb = frozenset(jsonb)
        self._is_live = sql.SQL(" AND deleted_at IS NULL" if "deleted_at" in row._fields else "")

    async def find(self, conn: Connection, row_id: UUID, *, lock: bool = False) -> _ROW | None:
        """Return the tenant's row of this id, deleted or not. `lock`: against other writers."""
        statement = sql.SQL("SELECT {} FROM {} WHERE id = %s {}").format(
            self._columns, self._name, sql.SQL("FOR NO KEY UPDATE" if lock else "")
        )
        async with conn.cursor(row_factory=args_row(self._row)) as cursor:
            await cursor.execute(statement, (row_id,))
            return await cursor.fetchone()

    async def existed(self, conn: Connection, row_id: UUID) -> bool:
        """Return whether the tenant has a row of this id, deleted or not."""
        statement = sql.SQL("SELECT FROM {} WHERE id = %s").format(self._name)
        return await (await conn.execute(statement, (row_id,))).fetchone() is not None

    async def held(self, conn: Connection, row_ids: Sequence[UUID]) -> set[UUID]:
        """Return the ids that are there and not deleted, held that way until the
        transaction ends.
        """
        statement = sql.SQL("SELECT id FROM {} WHERE id = ANY (%s){} ORDER BY id FOR SHARE").format(
            self._name, self._is_live
        )
        cursor = await conn.execute(statement, (list(row_ids),))
        return {row_id for (row_id,) in await cursor.fetchall()}

    async def listing(
        self,
        conn: Connection,
        conditions: Conditions,
        *,
        order: Order = NEWEST_FIRST,
        after: RowKey | NameKey | None,
        limit: int,
        offset: int,
    ) -> list[_ROW]:
        """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
        cut = page(conditions, limit, offset)
        _COLUMNS.go_on(conditions, order, after)
        statement = sql.SQL("SELECT {} FROM {} {} {} {}").format(
            self._columns,
            self._name,
            conditions.where(),
            _COLUMNS.order_by(order),
            cut,
        )
        async with conn.cursor(row_factory=args_row(self._row)) as cursor:
            await cursor.execute(statement, conditions.values)
            return await cursor.fetchall()

    async def count(self, conn: Connection, conditions: Conditions) -> int:
        """Count the rows."""
        statement = sql.SQL("SELECT count(*) FROM {} {}").format(self._name, conditions.where())
        cursor = await conn.execute(statement, conditions.values)
        row = await cursor.fetchone()
        assert row is not None  # an aggregate without GROUP BY
        return row[0]

    async def insert(self, conn: Connection, row: _ROW, **more: object) -> None:
        """Insert a new row, with columns that are not read back.

        Raises psycopg.errors.UniqueViolation for what another row has.
        """
        values = self._values(row) | more
        statement = sql.SQL("INSERT INTO {} (org_id, {}) VALUES (current_org_id(), {})").format(
            self._name,
            sql.SQL(", ").join(map(sql.Identifier, values)),
            sql.SQL(", ").join(map(sql.Placeholder, values)),
        )
        await conn.execute(statement, values)

    async def update(self, conn: Connection, row: _ROW, **more: object) -> None:
        """Write all columns but those of its making. Raises as `insert` does."""
        values = self._values(row) | more
        changes = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in values
            if name not in ("id", "created_at")
        ]
        statement = sql.SQL("UPDATE {} SET {} WHERE id = %(id)s").format(
            self._name, sql.SQL(", ").join(changes)
        )
        await conn.execute(statement, values)

    def _values(self, row: _ROW) -> dict[str, Any]:
        return {
            name: Jsonb(value) if name in self._jsonb else value
            for name, value in row._asdict().items()
        }


async def instant(conn: Connection) -> datetime:
    """Read the database's clock: one for all processes that write."""
    cursor = await conn.execute("SELECT clock_timestamp()")
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def row_count(conn: Connection, table: Literal["assets", "trackers", "zones"]) -> int:
    """Return how many rows of the table the tenant has that are not deleted.

    The database keeps these totals by triggers, exact as of each COMMIT (`0010_quick_lists.sql`):
    to count the rows of a large organization would take longer than to read a page of them.
    """
    cursor = await conn.execute("SELECT rows FROM row_counts WHERE table_name = %s", (table,))
    row = await cursor.fetchone()
    return 0 if row is None else row[0]
