"""Users: who may sign in to an organization."""

from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import NEWEST_FIRST, Columns, Conditions, Order, RowKey, page

Role: TypeAlias = Literal["viewer", "technician", "dispatcher", "admin"]

_COLUMNS = sql.SQL(
    "id, email, name, role, deactivated_at, password_hash IS NULL, created_at, updated_at"
)
_KEY = Columns()


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
    deactivated_at: datetime | None
    is_invited: bool  # and has not accepted yet
    created_at: datetime
    updated_at: datetime


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
        "SELECT id, role, password_hash FROM users"
        " WHERE deactivated_at IS NULL AND password_hash IS NOT NULL AND {}"
    ).format(sql.SQL(condition))  # pyright: ignore
    async with conn.cursor(row_factory=args_row(Login)) as cursor:
        await cursor.execute(query, (value,))
        return await cursor.fetchone()


async def id_of(conn: Connection, email: str) -> UUID | None:
    """Return the user of this address who is not deactivated, or None. `email` in lower case."""
    cursor = await conn.execute(
        "SELECT id FROM users"
        " WHERE org_id = current_org_id() AND email = %s AND deactivated_at IS NULL",
        (email,),
    )
    row = await cursor.fetchone()
    return None if row is None else row[0]


async def exists(conn: Connection, user_id: UUID) -> bool:
    """Return whether the tenant has a user of this id."""
    cursor = await conn.execute("SELECT FROM users WHERE id = %s", (user_id,))
    return await cursor.fetchone() is not None


async def find(conn: Connection, user_id: UUID, *, lock: bool = False) -> User | None:
    """Return the tenant's user of this id; with `lock` nobody else changes the row until the
    transaction ends.
    """
    query = sql.SQL("SELECT {} FROM users WHERE id = %s {}").format(
        _COLUMNS, sql.SQL("FOR UPDATE" if lock else "")
    )
    async with conn.cursor(row_factory=args_row(User)) as cursor:
        await cursor.execute(query, (user_id,))
        return await cursor.fetchone()


async def listing(
    conn: Connection,
    *,
    is_active: bool | None,
    order: Order = NEWEST_FIRST,
    after: RowKey | None,
    limit: int,
    offset: int,
) -> list[User]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = _active(is_active)
    cut = page(conditions, limit, offset)
    _KEY.go_on(conditions, order, after)
    statement = sql.SQL("SELECT {} FROM users {} {} {}").format(
        _COLUMNS, conditions.where(), _KEY.order_by(order), cut
    )
    async with conn.cursor(row_factory=args_row(User)) as cursor:
        await cursor.execute(statement, conditions.values)
        return await cursor.fetchall()


async def all_of_tenant(conn: Connection) -> list[User]:
    """List all users of the tenant as opsc_owner, who sees the users of others too: the oldest
    first.
    """
    statement = sql.SQL(
        "SELECT {} FROM users WHERE org_id = current_org_id() ORDER BY created_at, id"
    ).format(_COLUMNS)
    async with conn.cursor(row_factory=args_row(User)) as cursor:
        await cursor.execute(statement)
        return await cursor.fetchall()


async def count(conn: Connection, *, is_active: bool | None) -> int:
    """Count the users."""
    where = _active(is_active).where()
    cursor = await conn.execute(sql.SQL("SELECT count(*) FROM users {}").format(where))
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]


def _active(wanted: bool | None) -> Conditions:
    conditions = Conditions()
    if wanted is not None:
        conditions.add("deactivated_at IS NULL" if wanted else "deactivated_at IS NOT NULL")
    return conditions


async def insert(conn: Connection, user: User) -> None:
    """Insert a new user, who has no password yet.

    Raises psycopg.errors.UniqueViolation for an address that is taken.
    """
    await conn.execute(
        """
        INSERT INTO users (org_id, id, email, name, role, created_at, updated_at)
        VALUES (current_org_id(), %(id)s, %(email)s, %(name)s, %(role)s, %(created_at)s,
                %(updated_at)s)
        """,
        user._asdict(),
    )


async def update(conn: Connection, user: User) -> None:
    """Write what may change."""
    await conn.execute(
        """
        UPDATE users
           SET name = %(name)s, role = %(role)s, deactivated_at = %(deactivated_at)s,
               updated_at = %(updated_at)s
         WHERE id = %(id)s
        """,
        user._asdict(),
    )


async def set_password(conn: Connection, user_id: UUID, password_hash: str) -> None:
    """Set another password."""
    await conn.execute(
        "UPDATE users SET password_hash = %s, updated_at = now() WHERE id = %s",
        (password_hash, user_id),
    )


async def hold_admins(conn: Connection) -> set[UUID]:
    """Lock and return the admins who can sign in. Nobody else changes one of them until the
    transaction ends: two who would each leave the other as the last come one after the other.
    """
    cursor = await conn.execute(
        """
        SELECT id FROM users
         WHERE role = 'admin' AND deactivated_at IS NULL AND password_hash IS NOT NULL
         ORDER BY id FOR UPDATE
        """
    )
    return {user_id for (user_id,) in await cursor.fetchall()}
