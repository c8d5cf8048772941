"""Fixes that came by an IMEI, noted for its claim (`db.listener.imei_claims`)."""

from uuid import UUID

from db.core.connect import Connection
from db.listener import imei_claims
from listener.stored.writes import Notes


class Claims:
    """The trackers whose fixes came by their IMEIs since the last write."""

    def __init__(self) -> None:
        self._notes: Notes[UUID, None] = Notes()

    def note(self, tracker_id: UUID) -> None:
        self._notes.note(tracker_id, None)

    async def write(self, conn: Connection) -> None:
        """Write a batch of what was noted."""
        await self._notes.write(lambda batch: imei_claims.note_fixes(conn, list(batch)))
