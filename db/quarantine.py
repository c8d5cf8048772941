"""What could not be stored as a fix, kept with the reason.

The same refusal of the same bytes is one row that counts how often it was seen: a message that the
broker hands over again after a crash is not kept twice.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from hashlib import sha256
from uuid import UUID

from db.connect import Connection
from db.ids import new_id

KEPT_BYTES = 64 * 1024


@dataclass(frozen=True)
class Refusal:
    """What one message, or the fixes at `positions` of its array, were refused for.

    One for each reason of a message, however many of its fixes: the payload is kept once.
    org_id is None where the sender is not known; detail is that of the first fix.
    """

    org_id: UUID | None
    topic: str
    reason: str
    detail: str
    positions: Sequence[int]
    payload: bytes

    @cached_property
    def payload_sha256(self) -> bytes:
        return sha256(self.payload).digest()

    @cached_property
    def digest(self) -> bytes:
        return sha256(f"{self.topic}\0{self.reason}\0".encode() + self.payload_sha256).digest()


async def keep(conn: Connection, refusals: Sequence[Refusal], received_at: datetime) -> None:
    """Writes the refusals, or counts them up where they are known."""
    if not refusals:
        return
    seen = Counter(refusal.digest for refusal in refusals)
    by_digest = {refusal.digest: refusal for refusal in refusals}
    async with conn.cursor() as cursor:
        await cursor.executemany(
            """
            INSERT INTO quarantine (org_id, id, digest, topic, reason, detail, positions, payload,
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
                    list(refusal.positions),
                    refusal.payload if len(refusal.payload) <= KEPT_BYTES else None,
                    len(refusal.payload),
                    refusal.payload_sha256,
                    seen[digest],
                    received_at,
                    received_at,
                )
                for digest, refusal in by_digest.items()
            ],
        )
