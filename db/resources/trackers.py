"""Trackers: what sends fixes. A tracker signs in with its id and its own secret.

The secret is random (256 bits), so its SHA-256 is enough to know it again: nothing can be guessed
from the hash.

At any time a tracker has at most one asset and an asset at most one tracker: the schema's exclusion
constraints hold that, and what breaks them raises psycopg.errors.ExclusionViolation.

Writers take the revision first (`db.core.registry_revision.bump`) and pass it on, which also keeps
ingest from storing fixes between a check and the write that follows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.ids import new_id
from db.core.listing import NEWEST_FIRST, Columns, Conditions, NameKey, Order, RowKey, page
from db.core.table import row_count
from db.listener.device_connections import IS_CONNECTED
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.times import to_datetime

EVER = to_datetime(ANCIENT_BEFORE_US)  # no stored fix is older
_COLUMNS = Columns(time="t.created_at", id="t.id")
_TRACKERS = sql.SQL(
    """
    SELECT t.id, t.name, t.external_id, t.receipts, a.asset_id, a.assigned_from, t.revoked_at,
           t.created_at, t.updated_at
      FROM trackers t
      LEFT JOIN tracker_assignments a
        ON a.org_id = t.org_id AND a.tracker_id = t.id AND a.assigned_to IS NULL
       AND a.asset_id IS NOT NULL
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
        return await row_count(conn, "trackers")
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


_HAS_FIX_OF_ASSET = """
SELECT FROM tracker_assignments AS known
 WHERE tracker_id = %(tracker)s AND (assigned_to IS NULL OR assigned_to > %(since)s)
   AND EXISTS (
       SELECT FROM gps_events AS fix
        WHERE fix.tracker_id = known.tracker_id AND fix.time >= %(since)s
          AND fix.time >= known.assigned_from
          AND fix.time < coalesce(known.assigned_to, 'infinity'))
 LIMIT 1
"""


async def has_fix_of_asset(conn: Connection, tracker_id: UUID, since: datetime) -> bool:
    """Return whether a fix of the tracker is stored, at `since` or later, that
    belongs to an asset.
    """
    cursor = await conn.execute(_HAS_FIX_OF_ASSET, {"tracker": tracker_id, "since": since})
    return await cursor.fetchone() is not None


async def first_fix(conn: Connection, tracker_id: UUID, since: datetime) -> datetime | None:
    """Return the time of the first stored fix of the tracker at `since` or later."""
    cursor = await conn.execute(
        "SELECT time FROM gps_events WHERE tracker_id = %s AND time >= %s ORDER BY time LIMIT 1",
        (tracker_id, since),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def was_ever_assigned(conn: Connection, tracker_id: UUID) -> bool:
    """Return whether the tracker is, or was, on an asset."""
    cursor = await conn.execute(
        "SELECT FROM tracker_assignments WHERE tracker_id = %s LIMIT 1", (tracker_id,)
    )
    return await cursor.fetchone() is not None


async def assets_free_since(conn: Connection, asset_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return, by asset, since when it carries no tracker, apart from one that it carries now.

    Assets that never carried one are not in it: `EVER` holds for them.
    """
    cursor = await conn.execute(
        """
        SELECT asset_id, max(assigned_to) FROM tracker_assignments
         WHERE asset_id = ANY (%s) AND assigned_to > %s GROUP BY asset_id
        """,
        (list(asset_ids), EVER),
    )
    return dict(await cursor.fetchall())


async def begin_assignment(
    conn: Connection, *, tracker_id: UUID, asset_id: UUID, assigned_from: datetime, revision: int
) -> None:
    """Assign from `assigned_from` on."""
    await conn.execute(
        """
        INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from, revision)
        VALUES (current_org_id(), %s, %s, %s, %s, %s)
        """,
        (new_id(), tracker_id, asset_id, assigned_from, revision),
    )


async def extend_assignment(
    conn: Connection, *, tracker_id: UUID, assigned_from: datetime, revision: int
) -> None:
    """Let the tracker's assignment that is still open begin earlier."""
    await conn.execute(
        """
        UPDATE tracker_assignments SET assigned_from = %s, revision = %s
         WHERE tracker_id = %s AND assigned_to IS NULL
        """,
        (assigned_from, revision, tracker_id),
    )


async def end_assignment(
    conn: Connection, *, tracker_id: UUID, assigned_to: datetime, revision: int
) -> None:
    """End the tracker's assignment that is still open.

    Raises psycopg.errors.CheckViolation where it began at or after `assigned_to`.
    """
    await conn.execute(
        """
        UPDATE tracker_assignments SET assigned_to = %s, revision = %s
         WHERE tracker_id = %s AND assigned_to IS NULL
        """,
        (assigned_to, revision, tracker_id),
    )
