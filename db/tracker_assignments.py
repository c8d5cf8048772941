"""Which asset carried which tracker, from when to when.

At any time a tracker has at most one asset and an asset at most one tracker: the schema's exclusion
constraints hold that, and what breaks them raises psycopg.errors.ExclusionViolation. Writers take
the revision first (`db.revision.bump`) and pass it on, which also keeps ingest from storing fixes
between a check and the write that follows it.
"""

from datetime import datetime
from uuid import UUID

from db.connect import Connection
from db.ids import new_id


async def has_fix_since(conn: Connection, tracker_id: UUID, since: datetime) -> bool:
    """Whether a fix of the tracker is stored at `since` or later."""
    cursor = await conn.execute(
        "SELECT FROM gps_events WHERE tracker_id = %s AND time >= %s LIMIT 1", (tracker_id, since)
    )
    return await cursor.fetchone() is not None


async def begin(
    conn: Connection, *, tracker_id: UUID, asset_id: UUID, assigned_from: datetime, revision: int
) -> None:
    """Assigns from `assigned_from` on."""
    await conn.execute(
        """
        INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from, revision)
        VALUES (current_org_id(), %s, %s, %s, %s, %s)
        """,
        (new_id(), tracker_id, asset_id, assigned_from, revision),
    )


async def end(conn: Connection, *, tracker_id: UUID, assigned_to: datetime, revision: int) -> None:
    """Ends the tracker's assignment that is still open.

    Raises psycopg.errors.CheckViolation where it began at or after `assigned_to`.
    """
    await conn.execute(
        """
        UPDATE tracker_assignments SET assigned_to = %s, revision = %s
         WHERE tracker_id = %s AND assigned_to IS NULL
        """,
        (assigned_to, revision, tracker_id),
    )
