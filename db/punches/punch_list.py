"""Stored punches: one, a page of them by claimed time, and what somebody decides of one.

A stored punch stays as it was judged. Only its review changes, and the audit has each change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Columns, Conditions, FilteredList

Review: TypeAlias = Literal["accepted", "rejected"]


class StoredPunch(NamedTuple):
    """One row, see db/schema.sql. reasons: objects with rule, makes, figures."""

    id: UUID
    employee_id: UUID
    kind: str
    claimed_at: datetime
    received_at: datetime
    tracker_id: UUID | None
    entered_by: UUID | None
    entry_reason: str | None
    note: str | None
    fix_time: datetime | None
    lat: float | None
    lon: float | None
    accuracy_m: float | None
    mock: bool
    verdict: str
    reasons: Sequence[Mapping[str, Any]]
    site_id: UUID | None
    zone_id: UUID | None
    zone_version: int | None
    distance_m: float | None
    margin_m: float | None
    fix_age_s: float | None
    asset_id: UUID | None
    machine_distance_m: float | None
    pay_time: datetime
    pay_time_source: str
    server_time: datetime | None
    revision: int
    review: Review | None
    review_note: str | None
    reviewed_by: UUID | None
    reviewed_at: datetime | None


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, StoredPunch._fields))


@dataclass(frozen=True, slots=True)
class PunchFilter:
    """A filter of punches: those claimed in [since, until). None: all."""

    employee_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    verdict: str | None = None
    reviewed: bool | None = None
    site_id: UUID | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_equal(
            employee_id=self.employee_id, verdict=self.verdict, site_id=self.site_id
        )
        conditions.add_null("review", null=None if self.reviewed is None else not self.reviewed)
        if self.since is not None:
            conditions.add("claimed_at >= %(since)s", since=self.since)
        if self.until is not None:
            conditions.add("claimed_at < %(until)s", until=self.until)
        return conditions


async def find(conn: Connection, punch_id: UUID) -> StoredPunch | None:
    """Return the tenant's punch of this id."""
    async with conn.cursor(row_factory=args_row(StoredPunch)) as cursor:
        statement = sql.SQL("SELECT {} FROM punches WHERE id = %s").format(_COLUMNS)
        await cursor.execute(statement, (punch_id,))
        return await cursor.fetchone()


async def of_ids(conn: Connection, punch_ids: Sequence[UUID]) -> list[StoredPunch]:
    """Return the tenant's punches of these ids, by the time that counts for pay."""
    async with conn.cursor(row_factory=args_row(StoredPunch)) as cursor:
        statement = sql.SQL("SELECT {} FROM punches WHERE id = ANY (%s) ORDER BY pay_time, id")
        await cursor.execute(statement.format(_COLUMNS), (list(punch_ids),))
        return await cursor.fetchall()


PUNCHES = FilteredList(StoredPunch, _COLUMNS, "punches", Columns("claimed_at"))


async def write_review(
    conn: Connection,
    punch: StoredPunch,
    review: Review,
    note: str | None,
    by: UUID,
    at: datetime,
) -> StoredPunch:
    """Write what user `by` decides of a punch, and return the punch as it is then."""
    changed = punch._replace(
        review=review,
        review_note=note,
        reviewed_by=by,
        reviewed_at=at,
        revision=punch.revision + 1,
    )
    await conn.execute(
        """
        UPDATE punches
           SET review = %(review)s, review_note = %(review_note)s, reviewed_by = %(reviewed_by)s,
               reviewed_at = %(reviewed_at)s, revision = %(revision)s
         WHERE id = %(id)s
        """,
        {
            name: getattr(changed, name)
            for name in ("id", "review", "review_note", "reviewed_by", "reviewed_at", "revision")
        },
    )
    return changed
