"""Shifts as they are stored: written by difference, listed. `use_cases.hours.derive` derives them.

An open shift is stored together with what it becomes and when, and is read that way from then on.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import columns
from db.core.listing import Columns, Conditions, FilteredList

_SECOND_US = 1_000_000


class StoredFlag(TypedDict):
    """A flag as it is stored. time_s: the credited time of the punch, seconds since 1970."""

    name: str
    punch_id: str
    time_s: int
    is_settled: bool


class ShiftRow(NamedTuple):
    """A shift. closed_by: the `out`. verdicts: how many of its punches have each verdict."""

    id: UUID
    employee_id: UUID
    opened_by: UUID
    closed_by: UUID | None
    started_at: datetime
    ended_at: datetime | None
    break_s: int
    worked_s: int
    server_worked_s: int | None
    site_id: UUID | None
    asset_id: UUID | None
    work_order_id: UUID | None
    verdicts: Mapping[str, int]
    flags: list[StoredFlag]


_REMOVE = """
DELETE FROM shifts USING unnest(%b::uuid[], %b::uuid[]) AS stale (org_id, punch_id)
 WHERE shifts.org_id = stale.org_id AND shifts.opened_by = stale.punch_id
"""
_WRITTEN = ("org_id", *ShiftRow._fields, "lapses_at", "lapsed")
_CHANGING = [name for name in _WRITTEN if name not in ("org_id", "id", "employee_id", "opened_by")]


def _columns(names: Iterable[str], table: str) -> sql.Composable:
    return sql.SQL(", ").join(sql.Identifier(table, name) for name in names)


_WRITE = (
    sql.SQL(
        "INSERT INTO shifts ({columns})"
        " SELECT {values} FROM jsonb_populate_recordset(NULL::shifts, %s::jsonb) AS new"
        " ON CONFLICT (org_id, id) DO UPDATE SET ({changing}) = ROW ({changed})"
        " WHERE ({stored}) IS DISTINCT FROM ({changed})"
    )
    .format(
        columns=sql.SQL(", ").join(map(sql.Identifier, _WRITTEN)),
        values=_columns(_WRITTEN, "new"),
        changing=sql.SQL(", ").join(map(sql.Identifier, _CHANGING)),
        changed=_columns(_CHANGING, "excluded"),
        stored=_columns(_CHANGING, "shifts"),
    )
    .as_bytes()
)


async def write(
    conn: Connection, stale: Sequence[tuple[UUID, UUID]], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Remove shifts, then write what differs: a shift that is open no more before the next opens.

    stale: organizations, and punches that open no shift. rows: `Derived.stored`, in order.
    """
    if stale:
        await conn.execute(_REMOVE, columns(stale))
    if rows:
        await conn.execute(_WRITE, (msgspec.json.encode(rows).decode(),))


# Lists --------------------------------------------------------------------------------------------

_HAS_LAPSED = "lapses_at < date_trunc('second', now())"
_LISTED = sql.SQL("{}, lapsed, CASE WHEN " + _HAS_LAPSED + " THEN lapses_at END").format(
    sql.SQL(", ").join(map(sql.Identifier, ShiftRow._fields))
)


@dataclass(frozen=True, slots=True)
class ShiftFilter:
    """A filter of shifts: those that share an instant with [since, until), of an employee.

    open: True for shifts that are open, False for shifts that have ended.
    """

    employee_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    open: bool | None = None

    def conditions(self) -> Conditions:
        """Return the conditions of a statement."""
        conditions = Conditions()
        conditions.add_equal(employee_id=self.employee_id)
        if self.since is not None:
            conditions.add(
                "(ended_at IS NULL AND lapses_at > %(since)s OR ended_at > %(since)s"
                " OR started_at >= %(since)s)",
                since=self.since,
            )
        if self.until is not None:
            conditions.add("started_at < %(until)s", until=self.until)
        if self.open is not None:
            is_open = "(ended_at IS NULL AND NOT (" + _HAS_LAPSED + "))"
            conditions.add(is_open if self.open else "NOT " + is_open)
        return conditions


def _read(*columns: Any) -> ShiftRow:
    *stored, lapsed, lapsed_at = columns
    row = ShiftRow(*stored)
    return row if lapsed_at is None else row._replace(ended_at=lapsed_at, **lapsed)


SHIFTS = FilteredList(_read, _LISTED, "shifts", Columns(time="started_at"))
