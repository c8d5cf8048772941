"""Assets: what carries a tracker and enters zones.

Tags are history, since a fix is judged by those in force at its own time: each change closes the
open row of `asset_tags` and opens the next one. Who changes what fixes are judged by, or what
events say (name, class, tags), takes the revision and its instant first
(`db.core.registry_revision.bump`) and passes them on. A new asset has revision 0: no fix can be
judged by it before it has a tracker, and ingest reads it with that assignment
(`db.ingest.registry`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.listing import Conditions
from db.core.table import Table


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


def _in_zone(conditions: Conditions, zone_id: UUID) -> None:
    """Add assets that are in the zone now."""
    conditions.add(
        "assets.id IN (SELECT v.asset_id FROM visits v WHERE v.zone_id = %(zone_id)s"
        " AND v.left_at IS NULL AND NOT v.retracted)",
        zone_id=zone_id,
    )


def _tagged(conditions: Conditions, tag: str) -> None:
    conditions.add("%(tag)s = ANY (g.tags)", tag=tag)


table = Table(
    "assets",
    Asset,
    computed={"tags": "g.tags", "tracker_id": "t.tracker_id"},
    joins="""
      JOIN asset_tags g
        ON g.org_id = assets.org_id AND g.asset_id = assets.id AND g.valid_to IS NULL
      LEFT JOIN tracker_assignments t
        ON t.org_id = assets.org_id AND t.asset_id = assets.id AND t.assigned_to IS NULL
    """,
    filters={"zone_id": _in_zone, "tag": _tagged},
    has_row_count=True,
)
_INSERT_TAGS = """
INSERT INTO asset_tags (org_id, asset_id, tags, valid_from, revision)
VALUES (current_org_id(), %s, %s, %s, %s)
"""


async def missing(conn: Connection, asset_ids: Sequence[UUID]) -> set[UUID]:
    """Return the ids that the tenant has no asset of."""
    cursor = await conn.execute(
        "SELECT id FROM assets WHERE id = ANY (%s) AND deleted_at IS NULL", (list(asset_ids),)
    )
    return set(asset_ids) - {asset_id for (asset_id,) in await cursor.fetchall()}


async def lock(conn: Connection, asset_id: UUID) -> None:
    """Keep other writers of the asset away, so that what is read next stays."""
    await conn.execute("SELECT FROM assets WHERE id = %s FOR NO KEY UPDATE", (asset_id,))


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


async def insert(conn: Connection, asset: Asset) -> None:
    """Insert a new asset, whose tags count for all times before, too.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await table.insert(conn, asset, revision=0)
    await conn.execute(_INSERT_TAGS, (asset.id, asset.tags, "-infinity", 0))


async def update(conn: Connection, asset: Asset, revision: int | None) -> None:
    """Update what may change, tags apart. revision: None where fixes are judged as before.

    Raises as `insert` does.
    """
    more = {} if revision is None else {"revision": revision}
    await table.update(conn, asset, **more)


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
