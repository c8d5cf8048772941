"""Users: who may sign in to an organization."""

from datetime import datetime
from typing import Literal, LiteralString, NamedTuple, TypeAlias
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table
from languages.language import Language

Role: TypeAlias = Literal["viewer", "technician", "dispatcher", "admin"]
Units: TypeAlias = Literal["metric", "imperial"]
Clock: TypeAlias = Literal["24", "12"]


class Login(NamedTuple):
    """The stored facts that a sign-in is compared with."""

    user_id: UUID
    role: Role
    password_hash: str


class User(NamedTuple):
    """One row without its password."""

    id: UUID
    email: str
    name: str | None
    role: Role
    deactivated_at: datetime | None  # may lie ahead: rights last until then
    is_active: bool
    is_invited: bool  # and has not accepted yet
    is_service: bool  # has API keys and no password
    created_at: datetime
    updated_at: datetime
    language: Language | None  # None: the organization's
    units: Units | None  # None: metric
    clock: Clock | None  # None: the usual one of the language
    timezone: str | None  # None: the browser's


_IS_ACTIVE: LiteralString = "(deactivated_at IS NULL OR deactivated_at > now())"


def _active(conditions: Conditions, active: bool) -> None:
    conditions.add(_IS_ACTIVE if active else f"NOT {_IS_ACTIVE}")


table = Table(
    "users",
    User,
    computed={"is_active": _IS_ACTIVE, "is_invited": "password_hash IS NULL AND NOT is_service"},
    fixed=["email", "is_service"],
    filters={"active": _active},
    has_row_count=True,
)
"""Users but for their passwords. A new user has none yet."""


async def find_login(conn: Connection, email: str) -> Login | None:
    """Return the user who may sign in with this address to the tenant, or None. `email` in lower
    case.
    """
    return await _login(conn, "email = %s", email)


async def login_of(conn: Connection, user_id: UUID) -> Login | None:
    """Find a login as `find_login` does, by id."""
    return await _login(conn, "id = %s", user_id)


async def _login(conn: Connection, condition: str, value: object) -> Login | None:
    query = sql.SQL(
        "SELECT id, role, password_hash FROM users WHERE {} AND password_hash IS NOT NULL AND {}"
    ).format(sql.SQL(_IS_ACTIVE), sql.SQL(condition))  # pyright: ignore
    async with conn.cursor(row_factory=args_row(Login)) as cursor:
        await cursor.execute(query, (value,))
        return await cursor.fetchone()


async def id_of(conn: Connection, email: str) -> UUID | None:
    """Return the user of this address who is not deactivated, or None. `email` in lower case."""
    cursor = await conn.execute(
        "SELECT id FROM users WHERE org_id = current_org_id() AND email = %s"
        " AND NOT is_service AND (deactivated_at IS NULL OR deactivated_at > now())",
        (email,),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def all_of_tenant(conn: Connection) -> list[User]:
    """List all users of the tenant as opsc_owner, who sees the users of others too: the oldest
    first.
    """
    async with conn.cursor(row_factory=args_row(User)) as cursor:
        await cursor.execute(
            """
            SELECT id, email, name, role, deactivated_at,
                   deactivated_at IS NULL OR deactivated_at > now(),
                   password_hash IS NULL AND NOT is_service, is_service, created_at, updated_at,
                   language, units, clock, timezone
              FROM users WHERE org_id = current_org_id() ORDER BY created_at, id
            """
        )
        return await cursor.fetchall()


async def set_password(conn: Connection, user_id: UUID, password_hash: str) -> None:
    await conn.execute(
        "UPDATE users SET password_hash = %s, updated_at = now() WHERE id = %s",
        (password_hash, user_id),
    )


async def set_deactivated_at(conn: Connection, user_id: UUID, at: datetime | None) -> bool:
    """Let the rights of a user who is active end at `at`; None: they stay. Return whether that is
    another time than before.
    """
    cursor = await conn.execute(
        """
        UPDATE users SET deactivated_at = %(at)s, updated_at = now()
         WHERE id = %(id)s AND (deactivated_at IS NULL OR deactivated_at > now())
           AND deactivated_at IS DISTINCT FROM %(at)s
        """,
        {"id": user_id, "at": at},
    )
    return cursor.rowcount > 0


async def hold_admins(conn: Connection) -> set[UUID]:
    """Lock and return the admins who can sign in and do not leave. Nobody else changes one of them
    until the transaction ends: two who would each leave the other as the last come one after the
    other.
    """
    cursor = await conn.execute(
        """
        SELECT id FROM users
         WHERE role = 'admin' AND deactivated_at IS NULL AND password_hash IS NOT NULL
         ORDER BY id FOR UPDATE
        """
    )
    return {user_id for (user_id,) in await cursor.fetchall()}
