"""A WHERE clause that is put together from what a caller asks for.

Only conditions that are asked for stand in the statement, so the planner sees each of them plainly
and not behind an `OR parameter IS NULL`.
"""

from typing import LiteralString

from psycopg import sql


class Conditions:
    """A conjunction with its named parameters."""

    def __init__(self) -> None:
        self._conditions: list[sql.SQL] = []
        self.values: dict[str, object] = {}

    def add(self, condition: LiteralString, **values: object) -> None:
        """One more condition, with the values of the `%(name)s` in it."""
        self._conditions.append(sql.SQL(condition))
        self.values.update(values)

    def where(self) -> sql.Composable:
        """`WHERE ...`, or nothing."""
        if not self._conditions:
            return sql.SQL("")
        return sql.SQL("WHERE ") + sql.SQL(" AND ").join(self._conditions)

    def and_also(self) -> sql.Composable:
        """`AND ...` behind other conditions, or nothing."""
        return sql.SQL("").join(sql.SQL(" AND ") + condition for condition in self._conditions)
