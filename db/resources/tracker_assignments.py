"""The assignments of trackers to assets, from when to when.

At any time a tracker has at most one asset and an asset at most one tracker: the schema's exclusion
constraints hold that, and what breaks them raises psycopg.errors.ExclusionViolation. Writers take
the revision first (`db.core.registry_revision.bump`) and pass it on, which also keeps ingest from
storing fixes between a check and the write that follows it.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from db.core.connect import Connection
from db.core.ids import new_id
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.times import to_datetime

EVER = to_datetime(ANCIENT_BEFORE_US)  # no stored fix is older

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


async def was_ever(conn: Connection, tracker_id: UUID) -> bool:
    """Return whether the tracker is, or was, on an asset."""
    cursor = await conn.execute(
        "SELECT FROM tracker_assignments WHERE tracker_id = %s LIMIT 1", (tracker_id,)
    )
    return await cursor.fetchone() is not None


async def free_since(conn: Connection, asset_ids: Sequence[UUID]) -> dict[UUID, datetime]:
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


async def begin(
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


async def extend(
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


async def end(conn: Connection, *, tracker_id: UUID, assigned_to: datetime, revision: int) -> None:
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
