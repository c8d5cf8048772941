"""The keys that OwnTracks on phones encrypts with, sealed, one of a tracker."""

from collections.abc import Sequence
from uuid import UUID

from db.core.connect import Connection


async def put(conn: Connection, tracker_id: UUID, sealed: bytes | None) -> None:
    """Set the key of a tracker; None removes it."""
    if sealed is None:
        await conn.execute(
            "DELETE FROM tracker_encryption_keys WHERE tracker_id = %s", (tracker_id,)
        )
        return
    await conn.execute(
        """
        INSERT INTO tracker_encryption_keys (org_id, tracker_id, key_encrypted)
        VALUES (current_org_id(), %s, %s)
        ON CONFLICT (org_id, tracker_id) DO UPDATE SET key_encrypted = excluded.key_encrypted
        """,
        (tracker_id, sealed),
    )


async def of_trackers(conn: Connection, tracker_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the keys of trackers, for a role that is not under row-level security."""
    cursor = await conn.execute(
        "SELECT tracker_id, key_encrypted FROM tracker_encryption_keys WHERE tracker_id = ANY (%s)",
        (list(tracker_ids),),
    )
    return dict(await cursor.fetchall())
