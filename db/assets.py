"""Assets: what carries a tracker and enters zones.

Writers take the revision first (`db.revision.bump`) and pass it on.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.conditions import Conditions
from db.connect import Connection

_COLUMNS = sql.SQL("id, name, external_id, make, model, created_at, updated_at")


class Asset(NamedTuple):
    """One row."""

    id: UUID
    name: str
    external_id: str | None
    make: str | None
    model: str | None
    created_at: datetime
    updated_at: datetime


class AssetKey(NamedTuple):
    """Where a row stands in the list: newest first."""

    created_at: datetime
    id: UUID


async def find(conn: Connection, asset_id: UUID) -> Asset | None:
    """The tenant's asset of this id."""
    async with conn.cursor(row_factory=args_row(Asset)) as cursor:
        await cursor.execute(
            sql.SQL("SELECT {} FROM assets WHERE id = %s").format(_COLUMNS), (asset_id,)
        )
        return await cursor.fetchone()


async def exists(conn: Connection, asset_id: UUID) -> bool:
    """Whether the tenant has an asset of this id."""
    cursor = await conn.execute("SELECT FROM assets WHERE id = %s", (asset_id,))
    return cursor.rowcount == 1


async def listing(
    conn: Connection, *, after: AssetKey | None, limit: int, offset: int
) -> list[Asset]:
    """A page, newest first: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = Conditions()
    if after is not None:
        conditions.add("(created_at, id) < (%(created_at)s, %(id)s)", **after._asdict())
    statement = sql.SQL(
        "SELECT {} FROM assets {} ORDER BY created_at DESC, id DESC"
        " LIMIT %(limit)s OFFSET %(offset)s"
    ).format(_COLUMNS, conditions.where())
    async with conn.cursor(row_factory=args_row(Asset)) as cursor:
        await cursor.execute(statement, conditions.values | {"limit": limit, "offset": offset})
        return await cursor.fetchall()


async def count(conn: Connection) -> int:
    """How many assets the tenant has."""
    cursor = await conn.execute("SELECT count(*) FROM assets")
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]


async def insert(conn: Connection, asset: Asset, revision: int) -> None:
    """A new row. Raises psycopg.errors.UniqueViolation for an external_id that is taken."""
    await conn.execute(
        """
        INSERT INTO assets (org_id, id, name, external_id, make, model, created_at, updated_at,
                            revision)
        VALUES (current_org_id(), %(id)s, %(name)s, %(external_id)s, %(make)s, %(model)s,
                %(created_at)s, %(updated_at)s, %(revision)s)
        """,
        asset._asdict() | {"revision": revision},
    )


async def update(conn: Connection, asset: Asset, revision: int) -> None:
    """Writes what may change. Raises psycopg.errors.UniqueViolation as `insert` does."""
    await conn.execute(
        """
        UPDATE assets
           SET name = %(name)s, external_id = %(external_id)s, make = %(make)s, model = %(model)s,
               updated_at = %(updated_at)s, revision = %(revision)s
         WHERE id = %(id)s
        """,
        asset._asdict() | {"revision": revision},
    )
