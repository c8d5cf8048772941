"""The orders of lists, and their pages: by a time of the rows, as a rule when they were made, or by
their names, and by id where these agree.

A page goes on behind the key of the last row of the one before. A row that keeps its key while a
list is walked is shown once; rows never change when they were made.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, LiteralString, NamedTuple, Protocol
from uuid import UUID

from psycopg import sql

from db.core.listing import Conditions

# As the column `name_key` is made of a name.
_FOLDED: LiteralString = '(lower(%(after_name)s::text COLLATE pg_c_utf8) COLLATE "C")'


class RowKey(NamedTuple):
    """The place of a row in a list by time."""

    at: datetime
    id: UUID


class NameKey(NamedTuple):
    """The place of a row in a list by name, whatever the case of its letters."""

    name: str
    id: UUID


class _Made(Protocol):
    @property
    def id(self) -> UUID: ...
    @property
    def created_at(self) -> datetime: ...


@dataclass(frozen=True, slots=True)
class Order:
    """Newest first, unless it says otherwise."""

    by: Literal["time", "name"] = "time"
    descending: bool = True

    @property
    def key_type(self) -> type[RowKey] | type[NameKey]:
        return NameKey if self.by == "name" else RowKey

    def key(self, row: _Made) -> RowKey | NameKey:
        """Return the place of a row, by when it was made. By name, the row must have one."""
        if self.by == "name":
            return NameKey(getattr(row, "name"), row.id)  # noqa: B009  # not every row has one
        return RowKey(row.created_at, row.id)


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns by which a statement can be sorted."""

    time: LiteralString = "created_at"
    name_key: LiteralString = "name_key"
    id: LiteralString = "id"

    def go_on(self, conditions: Conditions, order: Order, after: RowKey | NameKey | None) -> None:
        """Add a condition: only rows that come behind `after`."""
        than: LiteralString = "<" if order.descending else ">"
        if isinstance(after, NameKey):
            conditions.add(
                f"({self.name_key}, {self.id}) {than} ({_FOLDED}, %(after_id)s)",
                after_name=after.name,
                after_id=after.id,
            )
        elif after is not None:
            conditions.add(
                f"({self.time}, {self.id}) {than} (%(after_at)s, %(after_id)s)",
                after_at=after.at,
                after_id=after.id,
            )

    def order_by(self, order: Order) -> sql.SQL:
        """`ORDER BY ...`."""
        column = self.name_key if order.by == "name" else self.time
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
