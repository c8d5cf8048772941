"""Assets: what carries a tracker and enters zones.

Tags are history, since a fix is judged by those in force at its own time: each change closes the
open row of `asset_tags` and opens the next one. Who changes what fixes are judged by, or what
events say (name, class, tags), takes the revision and its instant first
(`db.core.registry_revision.bump`) and passes them on. A new asset has revision 0: no fix can be
judged by it before it has a tracker, and ingest reads it with that assignment
(`db.ingest.registry`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row

from db.core.connect import Connection
from db.core.listing import NEWEST_FIRST, Columns, Conditions, NameKey, Order, RowKey, page
from db.core.table import row_count

_COLUMNS = Columns("a.created_at", "a.name_key", "a.id")
_ASSETS = sql.SQL(
    """
    SELECT a.id, a.name, a.external_id, a.make, a.model, a.asset_class, g.tags, a.created_at,
           a.updated_at, a.serial, a.year, a.client_id, a.site_id, a.mechanical_state,
           a.odometer_m, a.odometer_at, a.engine_hours_h, a.engine_hours_at, t.tracker_id,
           a.deleted_at
      FROM assets a
      JOIN asset_tags g ON g.org_id = a.org_id AND g.asset_id = a.id AND g.valid_to IS NULL
      LEFT JOIN tracker_assignments t
        ON t.org_id = a.org_id AND t.asset_id = a.id AND t.assigned_to IS NULL
    """
)
_FIND = (_ASSETS + sql.SQL("WHERE a.id = %s")).as_bytes()


class Asset(NamedTuple):
    """One asset, with the tags that it has now, in order, and the tracker that it carries now.

    odometer_m, engine_hours_h: as somebody read them off, at odometer_at and engine_hours_at.
    """

    id: UUID
    name: str
    external_id: str | None
    make: str | None
    model: str | None
    asset_class: str
    tags: list[str]
    created_at: datetime
    updated_at: datetime
    serial: str | None = None
    year: int | None = None
    client_id: UUID | None = None
    site_id: UUID | None = None
    mechanical_state: str = "operational"
    odometer_m: float | None = None
    odometer_at: datetime | None = None
    engine_hours_h: float | None = None
    engine_hours_at: datetime | None = None
    tracker_id: UUID | None = None
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AssetFilter:
    """A filter of assets. zone_id: the zone in which they are now. name_prefix: the first letters.

    deleted: only soft-deleted assets, instead of the others.
    """

    make: str | None = None
    model: str | None = None
    client_id: UUID | None = None
    site_id: UUID | None = None
    zone_id: UUID | None = None
    mechanical_state: str | None = None
    external_id: str | None = None
    tag: str | None = None
    name_prefix: str | None = None
    deleted: bool = False

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_null("a.deleted_at", null=not self.deleted)
        conditions.add_equal(
            make=self.make,
            model=self.model,
            client_id=self.client_id,
            site_id=self.site_id,
            mechanical_state=self.mechanical_state,
            external_id=self.external_id,
        )
        if self.zone_id is not None:
            conditions.add(
                "a.id IN (SELECT v.asset_id FROM visits v WHERE v.zone_id = %(zone_id)s"
                " AND v.left_at IS NULL AND NOT v.retracted)",
                zone_id=self.zone_id,
            )
        if self.tag is not None:
            conditions.add("%(tag)s = ANY (g.tags)", tag=self.tag)
        conditions.add_name_prefix(self.name_prefix)
        return conditions


async def find(conn: Connection, asset_id: UUID) -> Asset | None:
    """Return the tenant's asset of this id, deleted or not."""
    async with conn.cursor(row_factory=args_row(Asset)) as cursor:
        await cursor.execute(_FIND, (asset_id,))
        return await cursor.fetchone()


async def exists(conn: Connection, asset_id: UUID) -> bool:
    """Return whether the tenant has an asset of this id that is not deleted."""
    cursor = await conn.execute(
        "SELECT FROM assets WHERE id = %s AND deleted_at IS NULL", (asset_id,)
    )
    return await cursor.fetchone() is not None


async def existed(conn: Connection, asset_id: UUID) -> bool:
    """Return whether the tenant has, or had, an asset of this id."""
    cursor = await conn.execute("SELECT FROM assets WHERE id = %s", (asset_id,))
    return await cursor.fetchone() is not None


async def missing(conn: Connection, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Return the ids that the tenant has no asset of."""
    cursor = await conn.execute(
        "SELECT id FROM assets WHERE id = ANY (%s) AND deleted_at IS NULL", (list(asset_ids),)
    )
    return set(asset_ids) - {asset_id for (asset_id,) in await cursor.fetchall()}


async def lock(conn: Connection, asset_id: UUID) -> None:
    """Keep other writers of the asset away, so that what is read next stays."""
    await conn.execute("SELECT FROM assets WHERE id = %s FOR NO KEY UPDATE", (asset_id,))


async def listing(
    conn: Connection,
    wanted: AssetFilter,
    *,
    order: Order = NEWEST_FIRST,
    after: RowKey | NameKey | None,
    limit: int,
    offset: int,
) -> list[Asset]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    _COLUMNS.go_on(conditions, order, after)
    statement = sql.SQL("{} {} {} {}").format(
        _ASSETS, conditions.where(), _COLUMNS.order_by(order), cut
    )
    async with conn.cursor(row_factory=args_row(Asset)) as cursor:
        await cursor.execute(statement, conditions.values)
        return await cursor.fetchall()


async def count(conn: Connection, wanted: AssetFilter) -> int:
    """Count the assets."""
    if wanted == AssetFilter():
        return await row_count(conn, "assets")
    conditions = wanted.conditions()
    tags = sql.SQL(
        "JOIN asset_tags g ON g.org_id = a.org_id AND g.asset_id = a.id AND g.valid_to IS NULL"
        if wanted.tag is not None
        else ""
    )
    statement = sql.SQL("SELECT count(*) FROM assets a {} {}").format(tags, conditions.where())
    cursor = await conn.execute(statement, conditions.values)
    row = await cursor.fetchone()
    assert row is not None  # an aggregate without GROUP BY
    return row[0]


async def zones_inside(conn: Connection, asset_ids: Sequence[UUID]) -> dict[UUID, list[UUID]]:
    """Read, by asset, the zones that it is in now, in the order of its coming; only of assets in
    any.
    """
    cursor = await conn.execute(
        """
        SELECT asset_id, array_agg(zone_id ORDER BY entered_at, zone_id) FROM visits
         WHERE asset_id = ANY (%s) AND left_at IS NULL AND NOT retracted
         GROUP BY asset_id
        """,
        (list(asset_ids),),
    )
    return dict(await cursor.fetchall())


_INSERT = """
INSERT INTO assets (org_id, id, name, external_id, make, model, asset_class, created_at, updated_at,
                    serial, year, client_id, site_id, mechanical_state, odometer_m, odometer_at,
                    engine_hours_h, engine_hours_at, revision)
VALUES (current_org_id(), %(id)s, %(name)s, %(external_id)s, %(make)s, %(model)s, %(asset_class)s,
        %(created_at)s, %(updated_at)s, %(serial)s, %(year)s, %(client_id)s, %(site_id)s,
        %(mechanical_state)s, %(odometer_m)s, %(odometer_at)s, %(engine_hours_h)s,
        %(engine_hours_at)s, 0)
"""
_INSERT_TAGS = """
INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)
VALUES (current_org_id(), %s, %s, %s, %s)
"""


async def insert(conn: Connection, asset: Asset) -> None:
    """Insert a new asset, whose tags count for all times before, too.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    tags = (asset.id, asset.tags, "-infinity", 0)
    await conn.together((_INSERT, asset._asdict()), (_INSERT_TAGS, tags))


async def update(conn: Connection, asset: Asset, revision: int | None) -> None:
    """Update what may change, tags apart.

    Raises as `insert` does.
    """
    await conn.execute(
        """
        UPDATE assets
           SET name = %(name)s, external_id = %(external_id)s, make = %(make)s, model = %(model)s,
               asset_class = %(asset_class)s, serial = %(serial)s, year = %(year)s,
               client_id = %(client_id)s, site_id = %(site_id)s,
               mechanical_state = %(mechanical_state)s, odometer_m = %(odometer_m)s,
               odometer_at = %(odometer_at)s, engine_hours_h = %(engine_hours_h)s,
               engine_hours_at = %(engine_hours_at)s, updated_at = %(updated_at)s,
               deleted_at = %(deleted_at)s,
               revision = coalesce(%(revision)s, revision)
         WHERE id = %(id)s
        """,
        asset._asdict() | {"revision": revision},
    )


async def change_tags(
    conn: Connection, asset_id: UUID, tags: Sequence[str], at: datetime, revision: int
) -> None:
    """Change the tags from `at` on."""
    await conn.execute(
        """
        UPDATE asset_tags SET valid_to = %s, revision = %s
         WHERE asset_id = %s AND valid_to IS NULL
        """,
        (at, revision, asset_id),
    )
    await conn.execute(_INSERT_TAGS, (asset_id, list(tags), at, revision))
