"""Trackers: what sends fixes. A tracker signs in with its id and its own secret.

The secret is random (256 bits), so its SHA-256 is enough to know it again: nothing can be guessed
from the hash. Writers take the revision first (`db.core.registry_revision.bump`) and pass it on.
"""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core import row_counts
from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.orders import NEWEST_FIRST, Columns, NameKey, Order, RowKey, page
from db.listener.device_connections import IS_CONNECTED

_COLUMNS = Columns(time="t.created_at", id="t.id")
_TRACKERS = sql.SQL(
    """
    SELECT t.id, t.name, t.external_id, t.receipts, a.asset_id, a.assigned_from, t.revoked_at,
           t.created_at, t.updated_at
      FROM trackers t
      LEFT JOIN tracker_assignments a
        ON a.org_id = t.org_id AND a.tracker_id = t.id AND a.assigned_to IS NULL
    """
)


class Tracker(NamedTuple):
    """One row, with the asset that it is assigned to now."""

    id: UUID
    name: str | None
    external_id: str | None
    receipts: bool
    asset_id: UUID | None
    assigned_from: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class TrackerFilter:
    """A filter of trackers. assigned: on an asset now, or on none. revoked: revoked ones, or the
    others.

    connected: trackers that are connected now, or that are not.
    """

    external_id: str | None = None
    asset_id: UUID | None = None
    assigned: bool | None = None
    revoked: bool | None = None
    connected: bool | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_equal(external_id=self.external_id, asset_id=self.asset_id)
        conditions.add_null("asset_id", null=None if self.assigned is None else not self.assigned)
        conditions.add_null("revoked_at", null=None if self.revoked is None else not self.revoked)
        if self.connected is not None:
            conditions.add(IS_CONNECTED if self.connected else "NOT " + IS_CONNECTED)
        return conditions


def secret_hash(secret: str) -> bytes:
    """Return the hash that is stored of a tracker's secret."""
    return sha256(secret.encode("ascii")).digest()


async def find(conn: Connection, tracker_id: UUID) -> Tracker | None:
    """Return the tenant's tracker of this id."""
    async with conn.cursor(row_factory=args_row(Tracker)) as cursor:
        await cursor.execute(_TRACKERS + sql.SQL("WHERE t.id = %s"), (tracker_id,))
        return await cursor.fetchone()


async def exists(conn: Connection, tracker_id: UUID) -> bool:
    """Return whether the tenant has a tracker of this id."""
    cursor = await conn.execute("SELECT FROM trackers WHERE id = %s", (tracker_id,))
    return await cursor.fetchone() is not None


async def listing(
    conn: Connection,
    wanted: TrackerFilter,
    *,
    order: Order = NEWEST_FIRST,
    after: RowKey | NameKey | None,
    limit: int,
    offset: int,
) -> list[Tracker]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    _COLUMNS.go_on(conditions, order, after)
    statement = sql.SQL("{} {} {} {}").format(
        _TRACKERS, conditions.where(), _COLUMNS.order_by(order), cut
    )
    async with conn.cursor(row_factory=args_row(Tracker)) as cursor:
        await cursor.execute(statement, conditions.values)
        return await cursor.fetchall()


async def count(conn: Connection, wanted: TrackerFilter) -> int:
    """Count the trackers."""
    if wanted == TrackerFilter():
        return await row_counts.read(conn, "trackers")
    conditions = wanted.conditions()
    statement = sql.SQL("SELECT count(*) FROM ({} {}) AS found").format(
        _TRACKERS, conditions.where()
    )
    cursor = await conn.execute(statement, conditions.values)
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]


async def insert(conn: Connection, tracker: Tracker, secret: str, revision: int) -> None:
    """Insert a new row, not yet assigned.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await conn.execute(
        """
        INSERT INTO trackers (org_id, id, name, external_id, receipts, secret_hash,
                              created_at, updated_at, revision)
        VALUES (current_org_id(), %(id)s, %(name)s, %(external_id)s, %(receipts)s,
                %(secret_hash)s, %(created_at)s, %(updated_at)s, %(revision)s)
        """,
        tracker._asdict() | {"secret_hash": secret_hash(secret), "revision": revision},
    )


async def update(conn: Connection, tracker: Tracker, revision: int) -> None:
    """Update name, external_id and receipts. Raises as `insert` does."""
    await conn.execute(
        """
        UPDATE trackers
           SET name = %(name)s, external_id = %(external_id)s, receipts = %(receipts)s,
               updated_at = %(updated_at)s, revision = %(revision)s
         WHERE id = %(id)s
        """,
        tracker._asdict() | {"revision": revision},
    )


async def rotate(conn: Connection, tracker: Tracker, secret: str, revision: int) -> None:
    """Rotate the secret from `tracker.updated_at` on; the one before is good for nothing."""
    await conn.execute(
        """
        UPDATE trackers
           SET secret_hash = %(secret_hash)s, updated_at = %(updated_at)s,
               revision = %(revision)s
         WHERE id = %(id)s
        """,
        tracker._asdict() | {"secret_hash": secret_hash(secret), "revision": revision},
    )


async def revoke(conn: Connection, tracker: Tracker, revision: int) -> None:
    """Revoke the tracker: nothing of it is taken any more, from `revoked_at` on. There is no way
    back.
    """
    await conn.execute(
        """
        UPDATE trackers
           SET revoked_at = %(revoked_at)s, updated_at = %(updated_at)s,
               revision = %(revision)s
         WHERE id = %(id)s
        """,
        tracker._asdict() | {"revision": revision},
    )
