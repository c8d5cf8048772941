"""The removal of rows that can never be asked for again: by a role that is not under row-level
security.
"""

from db.core.connect import Connection

# Each takes at most so many rows at a time, by the index of its end.
_STATEMENTS = (
    """
    DELETE FROM refresh_tokens WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM refresh_tokens WHERE expires_at < now() LIMIT %(limit)s))
    """,
    """
    DELETE FROM sign_ins WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sign_ins WHERE expires_at < now() - interval '1 day' LIMIT %(limit)s))
    """,
    """
    DELETE FROM sign_ins WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sign_ins WHERE ended_at < now() - interval '1 day' LIMIT %(limit)s))
    """,
    """
    DELETE FROM user_links WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM user_links WHERE expires_at < now() LIMIT %(limit)s))
    """,
    """
    DELETE FROM mail_outbox WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM mail_outbox
         WHERE gave_up_at < now() - interval '30 days' LIMIT %(limit)s))
    """,
    """
    DELETE FROM sign_in_failures WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM sign_in_failures
         WHERE counted_at < now() - interval '2 days'
           AND coalesce(trusted_until < now(), true) LIMIT %(limit)s))
    """,
    """
    DELETE FROM idempotency_keys WHERE (org_id, operation, key) IN (
        SELECT org_id, operation, key FROM idempotency_keys
         WHERE expires_at < now() LIMIT %(limit)s)
    """,
    """
    DELETE FROM request_usage WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM request_usage
         WHERE hour < now() - interval '400 days' LIMIT %(limit)s))
    """,
)


async def remove(conn: Connection, *, limit: int) -> int:
    """Remove up to `limit` rows of each kind; how many it were."""
    removed = 0
    for statement in _STATEMENTS:
        cursor = await conn.execute(statement, {"limit": limit})
        removed += cursor.rowcount
    return removed
