"""Assets: what carries a tracker and enters zones.

Tags are history, since a fix is judged by those in force at its own time: each change closes the
open row of `asset_tags` and opens the next one. Writers take the revision and its instant first
(`db.revision.bump`) and pass them on.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.conditions import Conditions
from db.connect import Connection

_ASSETS = sql.SQL(
    """
    SELECT id, name, external_id, make, model, asset_class, tags, created_at, updated_at
      FROM assets
      JOIN asset_tags ON asset_tags.org_id = assets.org_id AND asset_id = id AND valid_to IS NULL
    """
)


class Asset(NamedTuple):
    """One asset, with the tags that it has now, in order."""

    id: UUID
    name: str
    external_id: str | None
    make: str | None
    model: str | None
    asset_class: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime


class AssetKey(NamedTuple):
    """Where a row stands in the list: newest first."""

    created_at: datetime
    id: UUID


async def find(conn: Connection, asset_id: UUID) -> Asset | None:
    """The tenant's asset of this id."""
    async with conn.cursor(row_factory=args_row(Asset)) as cursor:
        await cursor.execute(sql.SQL("{} WHERE id = %s").format(_ASSETS), (asset_id,))
        return await cursor.fetchone()


async def exists(conn: Connection, asset_id: UUID) -> bool:
    """Whether the tenant has an asset of this id."""
    cursor = await conn.execute("SELECT FROM assets WHERE id = %s", (asset_id,))
    return cursor.rowcount == 1


async def missing(conn: Connection, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the ids that the tenant has no asset of."""
    cursor = await conn.execute("SELECT id FROM assets WHERE id = ANY (%s)", (list(asset_ids),))
    return set(asset_ids) - {asset_id for (asset_id,) in await cursor.fetchall()}


async def listing(
    conn: Connection, *, after: AssetKey | None, limit: int, offset: int
) -> list[Asset]:
    """A page, newest first: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = Conditions()
    if after is not None:
        conditions.add("(created_at, id) < (%(created_at)s, %(id)s)", **after._asdict())
    statement = sql.SQL(
        "{} {} ORDER BY created_at DESC, id DESC LIMIT %(limit)s OFFSET %(offset)s"
    ).format(_ASSETS, conditions.where())
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
    """A new asset, whose tags are in force since ever.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await conn.execute(
        """
        INSERT INTO assets (org_id, id, name, external_id, make, model, asset_class, created_at,
                            updated_at, revision)
        VALUES (current_org_id(), %(id)s, %(name)s, %(external_id)s, %(make)s, %(model)s,
                %(asset_class)s, %(created_at)s, %(updated_at)s, %(revision)s)
        """,
        asset._asdict() | {"revision": revision},
    )
    await conn.execute(
        """
        INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)
        VALUES (current_org_id(), %s, %s, '-infinity', %s)
        """,
        (asset.id, asset.tags, revision),
    )


async def update(conn: Connection, asset: Asset, revision: int) -> None:
    """Writes what may change, tags apart. Raises as `insert` does."""
    await conn.execute(
        """
        UPDATE assets
           SET name = %(name)s, external_id = %(external_id)s, make = %(make)s, model = %(model)s,
               asset_class = %(asset_class)s, updated_at = %(updated_at)s, revision = %(revision)s
         WHERE id = %(id)s
        """,
        asset._asdict() | {"revision": revision},
    )


async def change_tags(
    conn: Connection, asset_id: UUID, tags: Sequence[str], at: datetime, revision: int
) -> None:
    """Other tags from `at` on."""
    await conn.execute(
        """
        UPDATE asset_tags SET valid_to = %s, revision = %s
         WHERE asset_id = %s AND valid_to IS NULL
        """,
        (at, revision, asset_id),
    )
    await conn.execute(
        """
        INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)
        VALUES (current_org_id(), %s, %s, %s, %s)
        """,
        (asset_id, list(tags), at, revision),
    )
