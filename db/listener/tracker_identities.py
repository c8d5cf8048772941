"""The trackers that may sign in to the listener: those not revoked, with the hash of a secret."""

from collections.abc import AsyncIterator
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection

_ROWS_AT_ONCE = 500


class TrackerIdentity(NamedTuple):
    """secret_hash: SHA-256 of the secret; None where the tracker is revoked. external_id: by which
    a gateway knows it. imei: that it has claimed. revision: of the row's last change.
    """

    tracker_id: UUID
    org_id: UUID
    secret_hash: bytes | None
    receipts: bool
    external_id: str | None
    imei: str | None
    revision: int


async def changed_since(conn: Connection, revision: int) -> AsyncIterator[TrackerIdentity]:
    """Yield the trackers of all organizations that changed after `revision`; -1 yields all of them.

    Revisions are committed in their order (`db.core.registry_revision.bump`): whoever has seen all
    rows up to the highest revision has missed none.
    """
    rows = conn.cursor().stream(
        """
        SELECT id, trackers.org_id, CASE WHEN revoked_at IS NULL THEN secret_hash END, receipts,
               external_id, imei, revision
          FROM trackers LEFT JOIN imei_claims AS claim
            ON claim.org_id = trackers.org_id AND claim.tracker_id = trackers.id
         WHERE revision > %s
        """,
        (revision,),
        binary=True,
        size=_ROWS_AT_ONCE,
    )
    async for row in rows:
        yield TrackerIdentity(*row)
