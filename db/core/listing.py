"""A WHERE clause that is put together from what a caller asks for.

Only conditions that are asked for stand in the statement, so the planner sees each of them plainly
and not behind an `OR parameter IS NULL`.
"""

from typing import LiteralString

from psycopg import sql

_FOLDED = '(lower(%(prefix)s::text COLLATE pg_c_utf8) COLLATE "C")'
_BEHIND = r"""((lower(%(prefix)s::text COLLATE pg_c_utf8) || U&'\+10FFFF') COLLATE "C")"""


class Conditions:
    """A conjunction with its named parameters."""

    def __init__(self) -> None:
        self._conditions: list[sql.Composable] = []
        self.values: dict[str, object] = {}

    def add(self, condition: LiteralString, **values: object) -> None:
        """Add one more condition, with the values of the `%(name)s` in it."""
        self._conditions.append(sql.SQL(condition))
        self.values.update(values)

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

    def where(self) -> sql.Composable:
        """Write `WHERE ...`, or nothing."""
        if not self._conditions:
            return sql.SQL("")
        return sql.SQL("WHERE ") + sql.SQL(" AND ").join(self._conditions)

    def and_also(self) -> sql.Composable:
        """Write `AND ...` behind other conditions, or nothing."""
        return sql.SQL("").join(sql.SQL(" AND ") + condition for condition in self._conditions)
