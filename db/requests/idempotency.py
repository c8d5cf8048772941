"""Answers that are kept for a day, for requests that are repeated with the same Idempotency-Key.

A key is one operation's of one organization. Whoever runs it holds an advisory lock to the end of
the transaction, in which the answer is kept too: of two at the same time one runs, in whatever
process.
"""

from typing import NamedTuple
from uuid import UUID

import msgspec

from db.core.connect import Connection
from db.core.fetch import value_of

KEPT_HOURS = 24
MOST_ANSWERS = 10_000  # of an organization; the oldest go first
MOST_BYTES = 64 * 1024 * 1024


class KeptAnswer(NamedTuple):
    """The kept answer, sealed, with the fingerprint of its request."""

    fingerprint: bytes
    answer_encrypted: bytes


_CLAIM = """
SELECT pg_try_advisory_xact_lock(
    hashtextextended(concat_ws('/', current_org_id(), %s::text, %s::text), 9))
"""
_FIND = """
SELECT fingerprint, answer_encrypted FROM idempotency_keys
 WHERE operation = %s AND key = %s AND expires_at > now()
"""
_KEEP = """
INSERT INTO idempotency_keys (org_id, operation, key, fingerprint, answer_encrypted, expires_at)
VALUES (current_org_id(), %s, %s, %s, %s, now() + make_interval(hours => %s))
ON CONFLICT (org_id, operation, key) DO UPDATE
   SET fingerprint = excluded.fingerprint, answer_encrypted = excluded.answer_encrypted,
       created_at = excluded.created_at, expires_at = excluded.expires_at
"""


def owner(org_id: UUID, operation: str, key: str) -> bytes:
    """Return the owner that a kept answer is sealed for."""
    return msgspec.msgpack.encode([org_id.bytes, operation, key])


async def claim(conn: Connection, operation: str, key: str) -> tuple[bool, KeptAnswer | None]:
    """Return whether nobody else runs it, and what is kept. The key is the caller's until the
    transaction ends. The kept answer is read after the claim, so what ended before it is seen.
    """
    is_ours: bool = await value_of(conn, _CLAIM, (operation, key))
    kept = await (await conn.execute(_FIND, (operation, key))).fetchone()
    return is_ours, None if kept is None else KeptAnswer(*kept)


async def keep(conn: Connection, operation: str, key: str, answer: KeptAnswer) -> None:
    """Keep an answer, over one that has expired."""
    values = operation, key, answer.fingerprint, answer.answer_encrypted, KEPT_HOURS
    await conn.execute(_KEEP, values)


async def trim(conn: Connection) -> None:
    """Remove the tenant's answers that are expired or beyond what is kept of it."""
    await conn.execute(
        """
        DELETE FROM idempotency_keys WHERE (operation, key) IN (
            SELECT operation, key FROM idempotency_keys
             WHERE expires_at <= now() OR created_at <= (
                SELECT max(created_at)
                  FROM (SELECT created_at, row_number() OVER newest AS answers,
                               sum(octet_length(answer_encrypted)) OVER newest AS bytes
                          FROM idempotency_keys
                        WINDOW newest AS (ORDER BY created_at DESC)) AS kept
                 WHERE answers > %s OR bytes > %s)
               FOR UPDATE SKIP LOCKED)
        """,
        (MOST_ANSWERS, MOST_BYTES),
    )
