"""Many new rows at once: one statement for each table, however many there are.

Rows go to the database as one JSON text, which it reads by the types of the table's own columns.
Writers of what fixes are judged by take the revision first (`db.core.registry_revision.bump`) and
pass it on.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import LiteralString
from uuid import UUID

import msgspec
from psycopg import sql

from db.core.connect import Connection
from db.core.ids import new_id
from db.resources.assets import Asset
from db.resources.trackers import Tracker, secret_hash
from db.resources.zones import Zone, geometry_hash

_NOT_OF_ASSETS = frozenset({"tags", "tracker_id", "deleted_at"})
_NOT_OF_TRACKERS = frozenset(
    {"asset_id", "employee_id", "assigned_from", "revoked_at", "imei", "has_encryption_key"}
)
_OF_ZONES = ("id", "external_id", "version", "created_at", "updated_at")
_NOT_OF_VERSIONS = frozenset(
    {"id", "external_id", "geometry", "created_at", "updated_at", "deleted_at"}
)


async def insert_assets(conn: Connection, assets: Sequence[Asset]) -> None:
    """Insert new assets, whose tags count for all times before, too; their revision is 0, as in
    `db.resources.assets`.

    They are written in the order of their external_ids: two batches with the same ones wait for
    each other only once.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await _insert(
        conn,
        "assets",
        (
            {name: value for name, value in asset._asdict().items() if name not in _NOT_OF_ASSETS}
            | {"revision": 0}
            for asset in sorted(assets, key=lambda asset: asset.external_id or "")
        ),
    )
    await _insert(
        conn,
        "asset_tags",
        (
            {
                "asset_id": asset.id,
                "tags": asset.tags,
                "valid_from": "-infinity",
                "revision": 0,
            }
            for asset in assets
        ),
    )


async def insert_trackers(
    conn: Connection, trackers: Sequence[tuple[Tracker, str]], revision: int
) -> None:
    """Insert new trackers with their secrets, on the assets or of the employees that they name.

    Raises psycopg.errors.UniqueViolation for an external_id that is taken, ExclusionViolation for
    an asset that has another tracker.
    """
    await _insert(
        conn,
        "trackers",
        (
            {
                name: value
                for name, value in tracker._asdict().items()
                if name not in _NOT_OF_TRACKERS
            }
            | {
                "secret_hash": "\\x" + secret_hash(secret).hex(),
                "revision": revision,
            }
            for tracker, secret in trackers
        ),
    )
    await _insert(
        conn,
        "tracker_assignments",
        (
            {
                "id": new_id(),
                "tracker_id": tracker.id,
                "asset_id": tracker.asset_id,
                "employee_id": tracker.employee_id,
                "assigned_from": tracker.assigned_from,
                "created_at": tracker.created_at,
                "revision": revision,
            }
            for tracker, _ in trackers
            if tracker.assigned_from is not None
        ),
    )


async def insert_zones(conn: Connection, zones: Sequence[tuple[Zone, int]], revision: int) -> None:
    """Insert new zones with their first versions, each with the bytes of its shape, which is there
    (`db.resources.zones.keep_shapes`).

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await _insert(
        conn, "zones", ({name: getattr(zone, name) for name in _OF_ZONES} for zone, _ in zones)
    )
    await _insert(
        conn,
        "zone_versions",
        (
            {name: value for name, value in zone._asdict().items() if name not in _NOT_OF_VERSIONS}
            | {
                "zone_id": zone.id,
                "geometry_sha256": "\\x" + geometry_hash(zone.geometry).hex(),
                "shape_bytes": shape_bytes,
                "created_at": zone.created_at,
                "revision": revision,
                "made_revision": revision,
            }
            for zone, shape_bytes in zones
        ),
    )


async def taken(
    conn: Connection, table: LiteralString, external_ids: Iterable[str | None]
) -> set[str]:
    """Return the external_ids that a row that is not deleted has."""
    statement = sql.SQL("SELECT external_id FROM {} WHERE external_id = ANY (%s){}").format(
        sql.Identifier(table),
        sql.SQL("" if table == "trackers" else " AND deleted_at IS NULL"),
    )
    wanted = [external_id for external_id in external_ids if external_id is not None]
    cursor = await conn.execute(statement, (wanted,))
    return {external_id for (external_id,) in await cursor.fetchall()}


async def carrying(conn: Connection, wanted: Sequence[tuple[UUID, datetime]]) -> set[UUID]:
    """Return the assets that have a tracker at the time that stands with them."""
    cursor = await conn.execute(
        """
        SELECT DISTINCT a.asset_id
          FROM unnest(%s::uuid[], %s::timestamptz[]) AS wanted (asset_id, since)
          JOIN tracker_assignments a ON a.asset_id = wanted.asset_id
           AND (a.assigned_to IS NULL OR a.assigned_to > wanted.since)
        """,
        ([asset_id for asset_id, _ in wanted], [since for _, since in wanted]),
    )
    return {asset_id for (asset_id,) in await cursor.fetchall()}


async def _insert(
    conn: Connection, table: LiteralString, rows: Iterable[Mapping[str, object]]
) -> None:
    given = list(rows)
    if not given:
        return
    columns = sql.SQL(", ").join(map(sql.Identifier, given[0]))
    statement = sql.SQL(
        "INSERT INTO {table} (org_id, {columns}) SELECT current_org_id(), {columns}"
        "  FROM json_populate_recordset(NULL::{table}, %s::json)"
    ).format(table=sql.Identifier(table), columns=columns)
    await conn.execute(statement, (msgspec.json.encode(given).decode(),))
