"""Sign-ins, and the refresh tokens that follow one another within one."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.fetch import fetch_one
from db.identity.credentials import note_changed
from db.identity.users import Clock, Language, Units

MOST_OF_A_USER = 1_000
_ENOUGH = timedelta(seconds=30)  # what was noted so lately is not noted again


class SignIn(NamedTuple):
    """A new one. `secret_hash` is that of a session's cookie, None where tokens are given."""

    id: UUID
    user_id: UUID
    secret_hash: bytes | None
    lifetime: timedelta


class SessionFacts(NamedTuple):
    """The end of a sign-in, and how pages are shown to its user. language: else that of the
    organization. None: nobody has chosen it.
    """

    expires_at: datetime  # however much it is used
    language: Language | None
    units: Units | None
    clock: Clock | None
    timezone: str | None


class Presented(NamedTuple):
    """The known facts of a refresh token that somebody presents."""

    sign_in_id: UUID
    user_id: UUID
    is_over: bool  # expired, signed out, or the user is deactivated
    was_used: bool
    was_used_just_now: bool
    next_hash: bytes | None  # of those that may follow, the one that was given
    next_was_used: bool


async def begin(conn: Connection, sign_in: SignIn, password_hash: str) -> bool:
    """Write a sign-in of a user who has shown the password behind `password_hash`.

    False where that is no longer the user's, or the user is deactivated: then nothing is written.
    A user has MOST_OF_A_USER at a time; the oldest end where it would be more.
    """
    cursor = await conn.execute(
        """
        WITH present AS (
            SELECT id FROM users
             WHERE id = %(user_id)s AND password_hash = %(password_hash)s
               AND (deactivated_at IS NULL OR deactivated_at > now())
               FOR SHARE
        )
        INSERT INTO sign_ins (org_id, id, user_id, kind, secret_hash, expires_at)
        SELECT current_org_id(), %(id)s, id,
               CASE WHEN %(secret_hash)s::bytea IS NULL THEN 'token' ELSE 'session' END,
               %(secret_hash)s, now() + %(lifetime)s
          FROM present
        """,
        sign_in._asdict() | {"password_hash": password_hash},
    )
    if cursor.rowcount == 0:
        return False
    await conn.execute(
        """
        UPDATE sign_ins SET ended_at = now()
         WHERE ended_at IS NULL AND id IN (
            SELECT id FROM sign_ins WHERE user_id = %s AND ended_at IS NULL
             ORDER BY created_at DESC OFFSET %s)
        """,
        (sign_in.user_id, MOST_OF_A_USER),
    )
    return True


async def find_session(conn: Connection, sign_in_id: UUID) -> SessionFacts:
    """Return what is told of a sign-in that is there for sure."""
    async with conn.cursor(row_factory=args_row(SessionFacts)) as cursor:
        await cursor.execute(
            """
            SELECT s.expires_at, coalesce(u.language, o.language), u.units, u.clock, u.timezone
              FROM sign_ins AS s
              JOIN users AS u ON u.org_id = s.org_id AND u.id = s.user_id
              JOIN organizations AS o ON o.org_id = s.org_id
             WHERE s.id = %s
            """,
            (sign_in_id,),
        )
        return await fetch_one(cursor)


async def end(conn: Connection, sign_in_id: UUID) -> None:
    """Sign out: nothing that came from this sign-in is good any more."""
    ended = await conn.execute(
        "UPDATE sign_ins SET ended_at = now() WHERE id = %s AND ended_at IS NULL RETURNING org_id",
        (sign_in_id,),
    )
    await note_changed(conn, ended)


async def end_all(conn: Connection, user_id: UUID, *, but: UUID | None = None) -> None:
    """Sign a user out everywhere, but of one sign-in where that is wanted."""
    ended = await conn.execute(
        """
        UPDATE sign_ins SET ended_at = now()
         WHERE user_id = %s AND ended_at IS NULL AND id IS DISTINCT FROM %s
        RETURNING org_id
        """,
        (user_id, but),
    )
    await note_changed(conn, ended)


async def note_use(conn: Connection, sign_in_ids: Sequence[UUID]) -> None:
    """Note that sign-ins were used just now."""
    await conn.execute(
        """
        UPDATE sign_ins SET last_used_at = now()
         WHERE id = ANY (%s) AND last_used_at < now() - %s::interval
        """,
        (list(sign_in_ids), _ENOUGH),
    )


async def add_refresh_token(
    conn: Connection, sign_in_id: UUID, token_hash: bytes, lifetime: timedelta
) -> None:
    """Insert the next refresh token of a sign-in; good no longer than the sign-in."""
    await conn.execute(
        """
        INSERT INTO refresh_tokens (org_id, token_hash, sign_in_id, expires_at)
        SELECT org_id, %s, id, least(expires_at, now() + %s) FROM sign_ins WHERE id = %s
        """,
        (token_hash, lifetime, sign_in_id),
    )


async def present_refresh_token(
    conn: Connection, token_hash: bytes, next_hashes: list[bytes], grace: timedelta
) -> Presented | None:
    """Read what is known of a refresh token and of the one that follows it: one of `next_hashes`.
    Holds its row, so that two who bring the same one at the same time come one after the other.
    """
    async with conn.cursor(row_factory=args_row(Presented)) as cursor:
        await cursor.execute(
            """
            SELECT s.id, s.user_id,
                   t.expires_at <= now() OR s.ended_at IS NOT NULL OR s.expires_at <= now()
                       OR coalesce(u.deactivated_at <= now(), false),
                   t.used_at IS NOT NULL,
                   coalesce(t.used_at > now() - %s::interval, false),
                   n.token_hash,
                   n.used_at IS NOT NULL
              FROM refresh_tokens AS t
              JOIN sign_ins AS s ON s.org_id = t.org_id AND s.id = t.sign_in_id
              JOIN users AS u ON u.org_id = s.org_id AND u.id = s.user_id
              LEFT JOIN refresh_tokens AS n ON n.token_hash = ANY (%s)
             WHERE t.token_hash = %s
               FOR UPDATE OF t
            """,
            (grace, next_hashes, token_hash),
        )
        return await cursor.fetchone()


async def use_refresh_token(conn: Connection, token_hash: bytes) -> None:
    await conn.execute(
        "UPDATE refresh_tokens SET used_at = now() WHERE token_hash = %s", (token_hash,)
    )


async def sign_in_of_refresh_token(conn: Connection, token_hash: bytes) -> UUID | None:
    """Return the sign-in that a refresh token belongs to."""
    cursor = await conn.execute(
        "SELECT sign_in_id FROM refresh_tokens WHERE token_hash = %s", (token_hash,)
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]
