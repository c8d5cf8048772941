"""What could not be stored as a fix, kept with the reason.

The same refusal of the same bytes is one row that counts how often it was seen: a message that the
broker hands over again after a crash is not kept twice.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from db.connect import Connection
from db.ids import new_id

KEPT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Refusal:
    """One message, or the fix at `position` of its array, that was refused.

    org_id is None where the sender is not known.
    """

    org_id: UUID | None
    topic: str
    reason: str
    detail: str
    position: int | None
    payload: bytes

    @property
    def digest(self) -> bytes:
        parts = (self.topic, self.reason, str(self.position), sha256(self.payload).hexdigest())
        return sha256("\0".join(parts).encode()).digest()


async def keep(conn: Connection, refusals: Iterable[Refusal], received_at: datetime) -> None:
    """Writes the refusals, or counts them up where they are known."""
    by_digest = {refusal.digest: refusal for refusal in refusals}
    if not by_digest:
        return
    seen = Counter(refusal.digest for refusal in refusals)
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO quarantine (org_id, id, digest, topic, reason, detail, position, payload,
                                    payload_bytes, payload_sha256, seen, first_received_at,
                                    last_received_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (digest) DO UPDATE
               SET seen = quarantine.seen + excluded.seen,
                   last_received_at = excluded.last_received_at
            """,
            [
                (
                    refusal.org_id,
                    new_id(),
                    digest,
                    refusal.topic.replace("\0", "\\0"),
                    refusal.reason,
                    refusal.detail.replace("\0", "\\0"),
                    refusal.position,
                    refusal.payload if len(refusal.payload) <= KEPT_BYTES else None,
                    len(refusal.payload),
                    sha256(refusal.payload).digest(),
                    seen[digest],
                    received_at,
                    received_at,
                )
                for digest, refusal in by_digest.items()
            ],
        )
