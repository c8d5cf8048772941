"""A check that a login is under row-level security at all: a superuser is not, whatever the
policies.
"""

from db.core.connect import Connection


async def is_bypassed(conn: Connection) -> bool:
    """Return whether the role of `conn` sees the rows of every tenant."""
    cursor = await conn.execute(
        "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
    )
    row = await cursor.fetchone()
    assert row is not None  # one's own role exists
    return row[0]
