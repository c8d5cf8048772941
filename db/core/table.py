"""Tables whose columns are the fields of a NamedTuple, listed newest first unless another order is
asked for.

`Table` finds one row, lists a page, counts and writes. A row has `id`, `created_at` and, if it can
be soft-deleted, `deleted_at`. Names of tables and columns are constants, never input.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, LiteralString, Protocol, Self, TypeAlias, TypeVar
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import (
    NEWEST_FIRST,
    Columns,
    Conditions,
    ListKey,
    Order,
    PageRows,
    page,
    read_page,
)

Filter: TypeAlias = Callable[[Conditions, Any], None]
"""The condition that a parameter of a list adds, from the parameter's value."""

_FILTERS: Mapping[str, Filter] = {
    "q": Conditions.add_name_prefix,
    "deleted": Conditions.add_deleted,
}


class Row(Protocol):
    """A NamedTuple with the fields that every row has."""

    _fields: Any

    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...
    def _asdict(self) -> dict[str, Any]: ...
    def _replace(self, **changes: Any) -> Self: ...


_ROW = TypeVar("_ROW", bound=Row)


class Table(Generic[_ROW]):
    """One table.

    jsonb: the columns that hold JSON. computed: the fields of a row that are no column here, with
    their expression. joins: the tables that these expressions read. fixed: the columns that never
    change. filters: by the name of a list's parameter, the condition that it adds; a
    parameter without one is a column and its value. has_row_count: the database keeps the number
    of rows (`row_count`).
    """

    def __init__(
        self,
        name: LiteralString,
        row: type[_ROW],
        *,
        jsonb: Sequence[str] = (),
        computed: Mapping[str, LiteralString] | None = None,
        joins: LiteralString = "",
        fixed: Sequence[str] = (),
        filters: Mapping[str, Filter] | None = None,
        has_row_count: bool = False,
    ) -> None:
        self.name: LiteralString = name
        self.row = row
        self._name = sql.Identifier(name)
        self._computed = computed or {}
        self._columns = sql.SQL(", ").join(map(self._expression, row._fields))
        self._joins = sql.SQL(joins)
        self._has_row_count = has_row_count
        self._jsonb = tuple(jsonb)
        self._written = tuple(name for name in row._fields if name not in self._computed)
        self._read = attrgetter(*self._written)
        self._fixed = frozenset({"id", "created_at", *fixed})
        self._filters: Mapping[str, Filter] = {**_FILTERS, **(filters or {})}
        by_id: LiteralString = f"{name}.id = %s"
        self._finding = self.selection(by_id)
        lock = sql.SQL("SELECT FROM {} WHERE id = %s FOR NO KEY UPDATE").format(self._name)
        self._locking = lock.as_bytes()
        self._insertions: dict[tuple[str, ...], bytes] = {}
        self._changes: dict[tuple[str, ...], bytes] = {}

    def _expression(self, field: str) -> sql.Composable:
        computed = self._computed.get(field)
        return sql.Identifier(self.name, field) if computed is None else sql.SQL(computed)

    async def find(self, conn: Connection, row_id: UUID, *, lock: bool = False) -> _ROW | None:
        """Return the tenant's row of this id, deleted or not. `lock`: against other writers.

        A row is locked before it is read: a statement that waits for a lock sees the row as it is
        then, and what is computed of other rows as that was before.
        """
        if lock:
            await conn.execute(self._locking, (row_id,))
        async with conn.cursor(row_factory=args_row(self.row)) as cursor:
            await cursor.execute(self._finding, (row_id,))
            return await cursor.fetchone()

    async def get(self, conn: Connection, row_id: UUID, *, lock: bool = False) -> _ROW:
        """Return a row that is there for sure: locked, referenced, or just inserted."""
        row = await self.find(conn, row_id, lock=lock)
        assert row is not None
        return row

    def selection(self, condition: LiteralString) -> bytes:
        """Return the statement that reads the rows of a condition."""
        statement = sql.SQL("SELECT {} FROM {} {} WHERE {}")
        condition_sql = sql.SQL(condition)
        return statement.format(self._columns, self._name, self._joins, condition_sql).as_bytes()

    async def listing(
        self,
        conn: Connection,
        wanted: Mapping[str, Any],
        *,
        order: Order = NEWEST_FIRST,
        after: ListKey | None,
        limit: int,
        offset: int,
    ) -> PageRows[_ROW]:
        """Return a page of the rows that the filters, by name, let through: `limit` rows behind
        `after`, or behind the first `offset`.
        """
        conditions = self._conditions(wanted)
        cut = page(conditions, limit, offset)
        value = self._computed.get(order.column, f"{self.name}.{order.column}")
        keys = Columns(value, f"{self.name}.name_key", f"{self.name}.id")
        keys.go_on(conditions, order, after)
        statement = sql.SQL("SELECT {} FROM {} {} {} {} {}").format(
            self._columns,
            self._name,
            self._joins,
            conditions.where(),
            keys.order_by(order, conditions),
            cut,
        )
        return await read_page(conn, self.row, statement, conditions.values)

    def keeps_count(self, wanted: Mapping[str, Any]) -> bool:
        """Return whether the database keeps how many rows the filters, by name, let through."""
        return self._has_row_count and wanted.items() <= {"deleted": False}.items()

    async def count(
        self, conn: Connection, wanted: Mapping[str, Any], at_most: int | None = None
    ) -> int:
        """Count the rows that the filters, by name, let through; up to `at_most` unless the
        database keeps the number.
        """
        if self.keeps_count(wanted):
            return await row_count(conn, self.name)
        conditions = self._conditions(wanted)
        own = _FILTERS.keys() | self.row._fields
        joins = (
            self._joins if wanted.keys() - own or wanted.keys() & self._computed else sql.SQL("")
        )
        statement = sql.SQL("SELECT count(*) FROM (SELECT FROM {} {} {} LIMIT {}) AS found").format(
            self._name, joins, conditions.where(), sql.Literal(at_most)
        )
        return await value_of(conn, statement, conditions.values)

    async def counts(
        self,
        conn: Connection,
        wanted: Mapping[str, Any],
        column: LiteralString,
        values: Sequence[str],
        at_most: int,
    ) -> dict[str, int]:
        """Count the rows that the filters, by name, let through, by these values of a column of
        text; up to `at_most` of each.
        """
        conditions = self._conditions(wanted)
        conditions.add(f"{self.name}.{column} = counted.value", counted=list(values))
        statement = sql.SQL(
            "SELECT value, (SELECT count(*) FROM (SELECT FROM {} {} {} LIMIT {}) AS found)"
            " FROM unnest(%(counted)s::text[]) AS counted (value)"
        ).format(self._name, self._joins, conditions.where(), sql.Literal(at_most))
        return dict(await (await conn.execute(statement, conditions.values)).fetchall())

    def _conditions(self, wanted: Mapping[str, Any]) -> Conditions:
        conditions = Conditions()
        for name, value in wanted.items():
            if name in self._filters:
                self._filters[name](conditions, value)
            else:
                conditions.add_equal(**{name: value})
        return conditions

    async def insert(self, conn: Connection, row: _ROW, **more: object) -> None:
        """Insert a new row, with columns that are not read back.

        Raises psycopg.errors.UniqueViolation for what another row has.
        """
        values = self._values(row) | more
        names = tuple(values)
        if names not in self._insertions:
            self._insertions[names] = self._insertion(names)
        await conn.execute(self._insertions[names], values)

    def _insertion(self, names: Sequence[str]) -> bytes:
        return (
            sql.SQL("INSERT INTO {} (org_id, {}) VALUES (current_org_id(), {})")
            .format(
                self._name,
                sql.SQL(", ").join(map(sql.Identifier, names)),
                sql.SQL(", ").join(map(sql.Placeholder, names)),
            )
            .as_bytes()
        )

    async def update(self, conn: Connection, row: _ROW, **more: object) -> None:
        """Write all columns but the fixed ones. Raises as `insert` does."""
        values = self._values(row) | more
        names = tuple(values)
        if names not in self._changes:
            self._changes[names] = self._change(names)
        await conn.execute(self._changes[names], values)

    def _change(self, names: Sequence[str]) -> bytes:
        changes = [
            sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name))
            for name in names
            if name not in self._fixed
        ]
        statement = sql.SQL("UPDATE {} SET {} WHERE id = %(id)s")
        return statement.format(self._name, sql.SQL(", ").join(changes)).as_bytes()

    def _values(self, row: _ROW) -> dict[str, Any]:
        values = dict(zip(self._written, self._read(row), strict=True))
        for name in self._jsonb:
            if values[name] is not None:
                values[name] = Jsonb(values[name])
        return values


async def db_now(conn: Connection) -> datetime:
    """Read the database's clock: one for all processes that write."""
    return await value_of(conn, "SELECT clock_timestamp()")


async def row_count(conn: Connection, table: str) -> int:
    """Return how many rows of a table the tenant has that are not deleted, or revoked.

    The database keeps these totals by triggers (`db/make_resource.sql`), exact as of each COMMIT:
    to count the rows of a large organization would take longer than to read a page of them.
    """
    cursor = await conn.execute("SELECT rows FROM row_counts WHERE table_name = %s", (table,))
    row = await cursor.fetchone()
    return 0 if row is None else row[0]
