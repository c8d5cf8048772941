"""Filters, orders and pages of lists.

Only conditions that are asked for stand in the statement, so the planner sees each of them plainly
and not behind an `OR parameter IS NULL`.

A list is sorted by a time of its rows, as a rule when they were made, by a rank or by their names,
and by id where these agree. A page goes on behind the key of the last row of the one before. A row
that keeps its key while a list is walked is shown once; rows never change when they were made.

A page ends with the row that brings it to MAX_PAGE_BYTES.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, LiteralString, NamedTuple, Protocol, TypeAlias, TypeVar
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import value_of

_ROW = TypeVar("_ROW")
_FILTERS = TypeVar("_FILTERS", contravariant=True)

MAX_PAGE_BYTES = 4 * 1024 * 1024  # of rows as the server sends them, about as much as their JSON

_FOLDED = '(lower(%(prefix)s::text COLLATE pg_c_utf8) COLLATE "C")'
_BEHIND = r"""((lower(%(prefix)s::text COLLATE pg_c_utf8) || U&'\+10FFFF') COLLATE "C")"""
# As the column `name_key` is made of a name.
_FOLDED_AFTER: LiteralString = '(lower(%(after_name)s::text COLLATE pg_c_utf8) COLLATE "C")'


class Conditions:
    """A WHERE clause: a conjunction with its named parameters."""

    def __init__(self) -> None:
        self._conditions: list[sql.Composable] = []
        self.values: dict[str, object] = {}
        self.has_name_prefix = False

    def add(self, condition: LiteralString | sql.Composable, **values: object) -> None:
        """Add one more condition, with the values of the `%(name)s` in it."""
        is_composed = isinstance(condition, sql.Composable)
        self._conditions.append(condition if is_composed else sql.SQL(condition))
        self.values.update(values)

    def add_all(self, others: "Conditions") -> None:
        """Add the conditions of others, with their values."""
        self._conditions += others._conditions
        self.values.update(others.values)

    def add_equal(self, **wanted: object) -> None:
        """Add `column = value` for each value that is not None. Columns are the program's own
        names.
        """
        for column, value in wanted.items():
            if value is not None:
                condition = sql.SQL("{} = {}")
                place = condition.format(sql.Identifier(column), sql.Placeholder(column))
                self._conditions.append(place)
                self.values[column] = value

    def add_null(self, column: LiteralString, *, null: bool | None) -> None:
        """Add rows without a value of the column, or those with one; None: all."""
        if null is not None:
            self.add(column + (" IS NULL" if null else " IS NOT NULL"))

    def add_deleted(self, deleted: bool) -> None:
        """Add whether to find soft-deleted rows, or the others."""
        self.add_null("deleted_at", null=not deleted)

    def add_name_prefix(self, prefix: str | None, column: LiteralString = "name_key") -> None:
        """Add a prefix of names, whatever the case of letters, by the index on the folded name."""
        if prefix is not None:
            self.add(f"{column} >= {_FOLDED} AND {column} < {_BEHIND}", prefix=prefix)
            self.has_name_prefix = True

    def where(self) -> sql.Composable:
        """Write `WHERE ...`, or nothing."""
        if not self._conditions:
            return sql.SQL("")
        return sql.SQL("WHERE ") + sql.SQL(" AND ").join(self._conditions)

    def and_also(self) -> sql.Composable:
        """Write `AND ...` behind other conditions, or nothing."""
        return sql.SQL("").join(sql.SQL(" AND ") + condition for condition in self._conditions)


class RowKey(NamedTuple):
    """The place of a row in a list by time."""

    at: datetime
    id: UUID


class NameKey(NamedTuple):
    """The place of a row in a list by name, whatever the case of its letters."""

    name: str
    id: UUID


class RankKey(NamedTuple):
    """The place of a row in a list by a rank, like a priority."""

    rank: int
    id: UUID


ListKey: TypeAlias = RowKey | NameKey | RankKey


class _Made(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Order:
    """Newest first, unless it says otherwise. column: by which a list by time or rank is sorted."""

    by: Literal["time", "name", "rank"] = "time"
    descending: bool = True
    column: LiteralString = "created_at"

    @property
    def key_type(self) -> type[ListKey]:
        return {"time": RowKey, "name": NameKey, "rank": RankKey}[self.by]

    def key(self, row: _Made) -> ListKey:
        """Return the place of a row, by its time or rank. By name, the row must have one."""
        if self.by == "name":
            return NameKey(getattr(row, "name"), row.id)  # noqa: B009  # not every row has one
        kind = RowKey if self.by == "time" else RankKey
        return kind(getattr(row, self.column), row.id)


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns by which a statement can be sorted. time: or a rank."""

    time: LiteralString = "created_at"
    name_key: LiteralString = "name_key"
    id: LiteralString = "id"

    def go_on(self, conditions: Conditions, order: Order, after: ListKey | None) -> None:
        """Add a condition: only rows that come behind `after`."""
        than: LiteralString = "<" if order.descending else ">"
        if isinstance(after, NameKey):
            conditions.add(
                f"({self.name_key}, {self.id}) {than} ({_FOLDED_AFTER}, %(after_id)s)",
                after_name=after.name,
                after_id=after.id,
            )
        elif after is not None:
            conditions.add(
                f"({self.time}, {self.id}) {than} (%(after_value)s, %(after_id)s)",
                after_value=after[0],
                after_id=after.id,
            )

    def order_by(self, order: Order, conditions: Conditions) -> sql.SQL:
        """`ORDER BY ...`, of a list that is filtered by the conditions.

        Things that are named alike were often made together. PostgreSQL takes them to be spread
        over the whole list, so it would walk the list by time until it meets enough of them. By a
        value that no index has, it sorts those that the index on names finds.
        """
        column = self.name_key if order.by == "name" else self.time
        if conditions.has_name_prefix and order.by == "time":
            column = f"({column} + interval '0')"
        way: LiteralString = "DESC" if order.descending else "ASC"
        return sql.SQL(f"ORDER BY {column} {way}, {self.id} {way}")


NEWEST_FIRST = Order()


def page(conditions: Conditions, limit: int, offset: int) -> sql.Composable:
    """`LIMIT ... OFFSET ...`, of a list that is filtered by the conditions, before `go_on`.

    A plan that does not know how few rows are wanted looks dear, so PostgreSQL would make another
    one each time: the numbers stand in the statement, and the plan of a page that is asked for
    often is kept. Not where a list is filtered by values. Then they are parameters, to have a plan
    made for these values: one that is good for frequent ones reads a whole list for a rare one.
    """
    if conditions.values:
        conditions.values.update(limit=limit, offset=offset)
        return sql.SQL("LIMIT %(limit)s OFFSET %(offset)s")
    return sql.SQL("LIMIT {} OFFSET {}").format(sql.Literal(limit), sql.Literal(offset))


class PageRows(list[_ROW]):
    """The rows of a page. is_cut: they end early, at MAX_PAGE_BYTES; more of the page follow.
    goes_on_behind: the key of a row that is not among them, where too many had to be looked at;
    what follows lies behind it.
    """

    is_cut = False
    goes_on_behind: tuple[Any, ...] | None = None


_ROWS_AT_ONCE = 50
# record_send has each column as it is sent, where pg_column_size would have it compressed.
_BOUNDED = sql.SQL("""
SELECT * FROM (
       SELECT page.*, lead(true) OVER () AS row_follows,
              sum(octet_length(record_send(page.*))) OVER (ROWS UNBOUNDED PRECEDING)
              - octet_length(record_send(page.*)) AS bytes_before
         FROM ({}) AS page) AS bounded
 WHERE bytes_before < {}
""")


async def read_page(
    conn: Connection,
    row: Callable[..., _ROW],
    statement: sql.Composable,
    values: Mapping[str, object],
) -> PageRows[_ROW]:
    """Return the rows of a page: those before which it has fewer than MAX_PAGE_BYTES."""
    bounded = _BOUNDED.format(statement, sql.Literal(MAX_PAGE_BYTES))
    cursor, rows, follows = await conn.execute(bounded, values), PageRows[_ROW](), None
    while some := await cursor.fetchmany(_ROWS_AT_ONCE):
        rows += (row(*columns) for *columns, _, _ in some)
        follows = some[-1][-2]
        await asyncio.sleep(0)  # others have a turn: to load a whole page may take long
    rows.is_cut = follows is not None
    return rows


class Listable(Protocol[_FILTERS, _ROW]):
    """Rows that are counted and read by pages: a `Table` or a `FilteredList`."""

    def keeps_count(self, wanted: _FILTERS) -> bool: ...

    async def count(self, conn: Connection, wanted: _FILTERS, at_most: int) -> int: ...

    async def listing(
        self,
        conn: Connection,
        wanted: _FILTERS,
        *,
        order: Order,
        after: ListKey | None,
        limit: int,
        offset: int,
    ) -> PageRows[_ROW]: ...


class ListFilter(Protocol):
    def conditions(self) -> Conditions: ...


@dataclass(frozen=True, slots=True)
class FilteredList(Generic[_ROW]):
    """Rows of a table, filtered and by pages. row: makes a row of the columns."""

    row: Callable[..., _ROW]
    columns: sql.Composable
    table: LiteralString
    keys: Columns

    async def listing(
        self,
        conn: Connection,
        wanted: ListFilter,
        *,
        order: Order = NEWEST_FIRST,
        after: ListKey | None,
        limit: int,
        offset: int,
    ) -> PageRows[_ROW]:
        """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
        conditions = wanted.conditions()
        cut = page(conditions, limit, offset)
        self.keys.go_on(conditions, order, after)
        statement = sql.SQL("SELECT {} FROM {} {} {} {}").format(
            self.columns,
            sql.SQL(self.table),
            conditions.where(),
            self.keys.order_by(order, conditions),
            cut,
        )
        return await read_page(conn, self.row, statement, conditions.values)

    def keeps_count(self, wanted: ListFilter) -> bool:
        """Return whether the database keeps how many rows there are: it never does."""
        return False

    async def count(self, conn: Connection, wanted: ListFilter, at_most: int) -> int:
        """Count the rows; counting ends at `at_most`."""
        return await count_rows(conn, sql.SQL(self.table), wanted.conditions(), at_most)


async def count_rows(
    conn: Connection, source: sql.Composable, conditions: Conditions, at_most: int
) -> int:
    """Count the rows of tables that the conditions let through; counting ends at `at_most`."""
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM {} {} LIMIT %(at_most)s) AS counted"
    ).format(source, conditions.where())
    return await value_of(conn, statement, conditions.values | {"at_most": at_most})
