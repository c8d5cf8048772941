"""Visits as the API lists them: stays of assets in zones, by when they began."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.orders import NEWEST_FIRST, Columns, Order, RowKey, page

_COLUMNS = sql.SQL(
    "id, asset_id, zone_id, zone_version, tracker_id, entered_at, entry_lat, entry_lon,"
    " entry_cause, entry_inferred, dwelled_at, left_at, exit_lat, exit_lon, exit_cause,"
    " exit_inferred, exit_tracker_id, revision, retracted, overspeed_at, overspeed_mps"
)
_KEY = Columns(time="entered_at")


class Visit(NamedTuple):
    """One row."""

    id: UUID
    asset_id: UUID
    zone_id: UUID
    zone_version: int
    tracker_id: UUID
    entered_at: datetime
    entry_lat: float
    entry_lon: float
    entry_cause: str
    entry_inferred: str | None
    dwelled_at: datetime | None
    left_at: datetime | None
    exit_lat: float | None
    exit_lon: float | None
    exit_cause: str | None
    exit_inferred: str | None
    exit_tracker_id: UUID | None
    revision: int
    retracted: bool
    overspeed_at: datetime | None
    overspeed_mps: float | None


@dataclass(frozen=True, slots=True)
class VisitFilter:
    """A filter of visits: those that share an instant with [since, until), of an asset, in a zone.

    open: those that last, or those that have ended. retracted: only retracted visits, instead of
    the others.
    """

    asset_id: UUID | None = None
    zone_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    retracted: bool = False
    open: bool | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add("retracted" if self.retracted else "NOT retracted")
        conditions.add_null("left_at", null=self.open)
        if self.asset_id is not None:
            conditions.add("asset_id = %(asset_id)s", asset_id=self.asset_id)
        if self.zone_id is not None:
            conditions.add("zone_id = %(zone_id)s", zone_id=self.zone_id)
        if self.since is not None:
            # The last part lets a visit that began and ended in one instant count at `since`.
            conditions.add(
                "(left_at IS NULL OR left_at > %(since)s OR entered_at >= %(since)s)",
                since=self.since,
            )
        if self.until is not None:
            conditions.add("entered_at < %(until)s", until=self.until)
        return conditions


async def find(conn: Connection, visit_id: UUID) -> Visit | None:
    """Return the tenant's visit of this id."""
    async with conn.cursor(row_factory=args_row(Visit)) as cursor:
        await cursor.execute(
            sql.SQL("SELECT {} FROM visits WHERE id = %s").format(_COLUMNS), (visit_id,)
        )
        return await cursor.fetchone()


async def listing(
    conn: Connection,
    wanted: VisitFilter,
    *,
    order: Order = NEWEST_FIRST,
    after: RowKey | None,
    limit: int,
    offset: int,
) -> list[Visit]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    _KEY.go_on(conditions, order, after)
    statement = sql.SQL("SELECT {} FROM visits {} {} {}").format(
        _COLUMNS, conditions.where(), _KEY.order_by(order), cut
    )
    async with conn.cursor(row_factory=args_row(Visit)) as cursor:
        await cursor.execute(statement, conditions.values)
        return await cursor.fetchall()


async def count(conn: Connection, wanted: VisitFilter, at_most: int) -> int:
    """Count the visits; counting ends at `at_most`."""
    conditions = wanted.conditions()
    statement = sql.SQL(
        "SELECT count(*) FROM (SELECT FROM visits {} LIMIT %(at_most)s) AS counted"
    ).format(conditions.where())
    cursor = await conn.execute(statement, conditions.values | {"at_most": at_most})
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]
