"""Users: who may sign in to an organization."""

from typing import Literal, NamedTuple, TypeAlias
from uuid import UUID

from psycopg.rows import args_row

from db.connect import Connection

Role: TypeAlias = Literal["viewer", "technician", "dispatcher", "admin"]


class Login(NamedTuple):
    """What a sign-in is held against."""

    user_id: UUID
    role: Role
    password_hash: str


async def find_login(conn: Connection, email: str) -> Login | None:
    """The user with this address in the tenant, or None. `email` in lower case."""
    async with conn.cursor(row_factory=args_row(Login)) as cursor:
        await cursor.execute("SELECT id, role, password_hash FROM users WHERE email = %s", (email,))
        return await cursor.fetchone()


async def exists(conn: Connection, user_id: UUID) -> bool:
    """Whether the tenant has a user of this id."""
    cursor = await conn.execute("SELECT FROM users WHERE id = %s", (user_id,))
    return cursor.rowcount == 1
