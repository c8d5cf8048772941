"""Trackers: what sends fixes. A tracker signs in with its id and its own secret.

The secret is random (256 bits), so its SHA-256 is enough to know it again: nothing can be guessed
from the hash.

At any time a tracker is on at most one asset, or of one employee, and an asset has at most one
tracker: the schema's exclusion constraints hold that, and what breaks them raises
psycopg.errors.ExclusionViolation. An employee may have several trackers.

Writers take the revision first (`db.core.registry_revision.bump`) and pass it on, which also keeps
ingest from storing fixes between a check and the write that follows it.
"""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.ids import new_id
from db.core.listing import Conditions
from db.core.table import Table
from db.listener.device_connections import IS_CONNECTED
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.times import LATEST_US, to_datetime

EVER = to_datetime(ANCIENT_BEFORE_US)  # no stored fix is older


class Tracker(NamedTuple):
    """One row, with the asset or the employee that it is assigned to now, and the IMEI that it has
    claimed. registered_by: the gateway by which it came, where nobody registered it.
    has_encryption_key: of OwnTracks.
    """

    id: UUID
    name: str | None
    external_id: str | None
    receipts: bool
    asset_id: UUID | None
    assigned_from: datetime | None
    revoked_at: datetime | None
    created_at: datetime
    updated_at: datetime
    is_punch_terminal: bool = False
    employee_id: UUID | None = None
    imei: str | None = None
    registered_by: UUID | None = None
    has_encryption_key: bool = False


def _assigned(conditions: Conditions, assigned: bool) -> None:
    conditions.add_null("assigned_from", null=not assigned)


def _revoked(conditions: Conditions, revoked: bool) -> None:
    conditions.add_null("revoked_at", null=not revoked)


def _connected(conditions: Conditions, connected: bool) -> None:
    conditions.add(IS_CONNECTED if connected else "NOT " + IS_CONNECTED)


table = Table(
    "trackers",
    Tracker,
    computed={
        "asset_id": "a.asset_id",
        "employee_id": "a.employee_id",
        "assigned_from": "a.assigned_from",
        "imei": "claim.imei",
        "has_encryption_key": "encryption.tracker_id IS NOT NULL",
    },
    joins="""
      LEFT JOIN tracker_assignments a
        ON a.org_id = trackers.org_id AND a.tracker_id = trackers.id AND a.assigned_to IS NULL
      LEFT JOIN imei_claims AS claim
        ON claim.org_id = trackers.org_id AND claim.tracker_id = trackers.id
      LEFT JOIN tracker_encryption_keys AS encryption
        ON encryption.org_id = trackers.org_id AND encryption.tracker_id = trackers.id
    """,
    filters={"assigned": _assigned, "revoked": _revoked, "connected": _connected},
    has_row_count=True,
)


def secret_hash(secret: str) -> bytes:
    """Return the hash that is stored of a tracker's secret."""
    return sha256(secret.encode("ascii")).digest()


async def insert(conn: Connection, tracker: Tracker, secret: str, revision: int) -> None:
    """Insert a new row, not yet assigned.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await table.insert(conn, tracker, secret_hash=secret_hash(secret), revision=revision)


async def update(
    conn: Connection, tracker: Tracker, revision: int, *, secret: str | None = None
) -> None:
    """Update what may change, its assignment apart. With `secret`, the one before is good for
    nothing. Raises as `insert` does.
    """
    more = {} if secret is None else {"secret_hash": secret_hash(secret)}
    await table.update(conn, tracker, revision=revision, **more)


_HAS_FIX_OF_ASSET = """
SELECT FROM tracker_assignments AS known
 WHERE tracker_id = %(tracker)s AND (assigned_to IS NULL OR assigned_to > %(since)s)
   AND asset_id IS NOT NULL
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
    """Return whether the tracker is, or was, on an asset or an employee's."""
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


class TrackerSpan(NamedTuple):
    """[since_us, until_us), microseconds since 1970, in which an asset carries a tracker."""

    tracker_id: UUID
    since_us: int
    until_us: int
    is_revoked: bool


async def spans_of_asset(conn: Connection, asset_id: UUID) -> list[TrackerSpan]:
    """Return when the asset carried which tracker, in order of time."""
    cursor = await conn.execute(
        """
        SELECT tracker_id, (extract(epoch FROM assigned_from) * 1000000)::bigint,
               coalesce((extract(epoch FROM assigned_to) * 1000000)::bigint, %s),
               (SELECT revoked_at IS NOT NULL FROM trackers WHERE trackers.id = tracker_id)
          FROM tracker_assignments WHERE asset_id = %s ORDER BY assigned_from
        """,
        (LATEST_US, asset_id),
    )
    return [TrackerSpan(*row) for row in await cursor.fetchall()]


async def find_by_external_id(conn: Connection, external_id: str) -> UUID | None:
    """Return the tracker with this external_id."""
    cursor = await conn.execute("SELECT id FROM trackers WHERE external_id = %s", (external_id,))
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def add_past_assignment(
    conn: Connection,
    *,
    tracker_id: UUID,
    asset_id: UUID,
    span: tuple[datetime, datetime],
    revision: int,
) -> None:
    """Assign to an asset for [since, until), which is over."""
    await conn.execute(
        """
        INSERT INTO tracker_assignments
               (org_id, id, tracker_id, asset_id, assigned_from, assigned_to, revision)
        VALUES (current_org_id(), %s, %s, %s, %s, %s, %s)
        """,
        (new_id(), tracker_id, asset_id, *span, revision),
    )


async def begin_assignment(
    conn: Connection,
    *,
    tracker_id: UUID,
    asset_id: UUID | None = None,
    employee_id: UUID | None = None,
    assigned_from: datetime,
    revision: int,
) -> None:
    """Assign to an asset or to an employee from `assigned_from` on."""
    await conn.execute(
        """
        INSERT INTO tracker_assignments
               (org_id, id, tracker_id, asset_id, employee_id, assigned_from, revision)
        VALUES (current_org_id(), %s, %s, %s, %s, %s, %s)
        """,
        (new_id(), tracker_id, asset_id, employee_id, assigned_from, revision),
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


async def has_any_of_employee(conn: Connection, employee_id: UUID) -> bool:
    """Return whether a tracker is an employee's now."""
    return await value_of(
        conn,
        "SELECT EXISTS (SELECT FROM tracker_assignments"
        " WHERE employee_id = %s AND assigned_to IS NULL)",
        (employee_id,),
    )


async def end_assignments_of_employee(
    conn: Connection, *, employee_id: UUID, assigned_to: datetime, revision: int
) -> None:
    """End the assignments of an employee that are still open."""
    await conn.execute(
        """
        UPDATE tracker_assignments SET assigned_to = %s, revision = %s
         WHERE employee_id = %s AND assigned_to IS NULL
        """,
        (assigned_to, revision, employee_id),
    )
