"""Zones and their versions.

What a zone is (name, kind, geometry, rules) stands in its versions; `zones` holds what outlives an
edit. An edit closes the version in force at the instant that `db.core.registry_revision.bump` gave
and opens the next one; a deletion only closes.

Geometries may have megabytes. They stand in `zone_shapes` under the hash of their text, as GeoJSON
and as the shape that it gives (`geofence.shapes.stored`), and never change. They are written before
the revision is taken, so that ingest does not wait for them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from psycopg import sql
from psycopg.rows import args_row
from psycopg.types.json import Jsonb

from db.core.connect import Connection
from db.core.fetch import value_of
from db.core.listing import (
    NEWEST_FIRST,
    Columns,
    Conditions,
    FilteredList,
    ListKey,
    Order,
    PageRows,
    page,
    read_page,
)
from db.core.table import row_count
from geofence.shapes.stored import StoredShape

if TYPE_CHECKING:  # it compiles: not every role may
    from geofence.geometry.overlap import Box

_COLUMNS = Columns("z.created_at", "v.name_key", "z.id")

_NEWEST_VERSION = sql.SQL(
    """
      JOIN zone_versions v
        ON v.org_id = z.org_id AND v.zone_id = z.id AND v.version = z.version
    """
)
_ZONES = (
    sql.SQL(
        """
    SELECT z.id, z.external_id, z.version, v.name, v.kind, v.alert_on, shape.geometry::text,
           v.radius_m, v.width_m, v.rules, v.schedule, v.assets, v.valid_from, z.created_at,
           z.updated_at, z.deleted_at, v.box, v.punch_tolerance_m
      FROM zones z
    """
    )
    + _NEWEST_VERSION
    + sql.SQL(
        """
      JOIN zone_shapes AS shape
        ON shape.org_id = v.org_id AND shape.geometry_sha256 = v.geometry_sha256
    """
    )
)
_VERSION_COLUMNS = sql.SQL(
    "version, name, kind, alert_on, geometry::text, radius_m, width_m, rules, schedule, assets,"
    " valid_from, valid_to, created_at, punch_tolerance_m, zone_id"
)

MAX_BOXES = 20_000
MAX_SHAPES_BYTES = 1024 * 1024
# Open versions whose boxes meet one.
_OVER = sql.SQL(
    """
  FROM zone_versions
 WHERE valid_to IS NULL AND box[4] >= %(south)s AND box[2] <= %(north)s
   AND (box[1] <= %(east)s AND box[3] >= %(west)s
        OR box[1] + 360 <= %(east)s AND box[3] + 360 >= %(west)s
        OR box[1] - 360 <= %(east)s AND box[3] - 360 >= %(west)s)
"""
)


class Zone(NamedTuple):
    """A zone as its newest version has it.

    rules: the fields of geofence.model.rules.Rules that were given. schedule: as
    geofence.model.schedule.parse_schedule reads it. assets: {"ids": [uuid, ...], "tags": [...]},
    None for all. box: west, south, east, north, see `geofence.geometry.overlap.Box`; None where it
    is not known.
    """

    id: UUID
    external_id: str | None
    version: int
    name: str
    kind: str
    alert_on: list[str] | None
    geometry: str
    radius_m: float | None
    width_m: float | None
    rules: dict[str, Any]
    schedule: dict[str, Any] | None
    assets: dict[str, list[str]] | None
    valid_from: datetime
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    box: list[float] | None = None
    punch_tolerance_m: float | None = None


class PastZone(NamedTuple):
    """One version; fields as those of `Zone`."""

    version: int
    name: str
    kind: str
    alert_on: list[str] | None
    geometry: str
    radius_m: float | None
    width_m: float | None
    rules: dict[str, Any]
    schedule: dict[str, Any] | None
    assets: dict[str, list[str]] | None
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime
    punch_tolerance_m: float | None
    zone_id: UUID


@dataclass(frozen=True, slots=True)
class ZoneFilter:
    """A filter of zones. name_prefix: the first letters. deleted: only soft-deleted zones."""

    kind: str | None = None
    external_id: str | None = None
    name_prefix: str | None = None
    deleted: bool = False

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add_null("z.deleted_at", null=not self.deleted)
        conditions.add_equal(kind=self.kind, external_id=self.external_id)
        if self.name_prefix is not None and not self.deleted:
            conditions.add("v.valid_to IS NULL")  # says nothing new, but leads to the index
        conditions.add_name_prefix(self.name_prefix)
        return conditions


@dataclass(frozen=True, slots=True)
class SpanFilter:
    """A filter of versions of all zones: those in force at some time in [since, until), of deleted
    zones too.
    """

    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> Conditions:
        conditions = Conditions()
        conditions.add("valid_to IS DISTINCT FROM valid_from")  # else it was never in force
        if self.since is not None:
            conditions.add("(valid_to IS NULL OR valid_to > %(since)s)", since=self.since)
        if self.until is not None:
            conditions.add("valid_from < %(until)s", until=self.until)
        return conditions


ALL_VERSIONS = FilteredList(
    PastZone,
    _VERSION_COLUMNS,
    "zone_versions JOIN zone_shapes USING (org_id, geometry_sha256)",
    Columns(time="valid_from", id="zone_id"),
)


class VersionKey(NamedTuple):
    """The place of a version in the list of its zone: newest first."""

    version: int


async def find(conn: Connection, zone_id: UUID, *, deleted: bool = False) -> Zone | None:
    """Return the tenant's zone of this id; with `deleted` one that is deleted too."""
    condition = sql.SQL("" if deleted else " AND z.deleted_at IS NULL")
    async with conn.cursor(row_factory=args_row(Zone)) as cursor:
        statement = sql.SQL("{} WHERE z.id = %s{}").format(_ZONES, condition)
        await cursor.execute(statement, (zone_id,))
        return await cursor.fetchone()


async def has_external_id(conn: Connection, external_id: str) -> bool:
    """Return whether a zone of the tenant that is not deleted has it."""
    cursor = await conn.execute(
        "SELECT FROM zones WHERE external_id = %s AND deleted_at IS NULL", (external_id,)
    )
    return cursor.rowcount == 1


async def listing(
    conn: Connection,
    wanted: ZoneFilter,
    *,
    order: Order = NEWEST_FIRST,
    after: ListKey | None,
    limit: int,
    offset: int,
) -> PageRows[Zone]:
    """Return a page: `limit` rows behind `after`, or behind the first `offset`."""
    conditions = wanted.conditions()
    cut = page(conditions, limit, offset)
    _COLUMNS.go_on(conditions, order, after)
    statement = sql.SQL("{} {} {} {}").format(
        _ZONES, conditions.where(), _COLUMNS.order_by(order, conditions), cut
    )
    return await read_page(conn, Zone, statement, conditions.values)


async def count(conn: Connection, wanted: ZoneFilter) -> int:
    """Count the zones."""
    if wanted == ZoneFilter():
        return await row_count(conn, "zones")
    conditions = wanted.conditions()
    versions_too = wanted.kind is not None or wanted.name_prefix is not None
    statement = sql.SQL("SELECT count(*) FROM zones z {} {}").format(
        _NEWEST_VERSION if versions_too else sql.SQL(""), conditions.where()
    )
    return await value_of(conn, statement, conditions.values)


async def versions(
    conn: Connection, zone_id: UUID, *, after: VersionKey | None, limit: int, offset: int
) -> PageRows[PastZone]:
    """Return a page of a zone's versions, newest first. A deleted zone keeps its versions."""
    conditions = Conditions()
    conditions.add("zone_id = %(zone_id)s", zone_id=zone_id)
    cut = page(conditions, limit, offset)
    if after is not None:
        conditions.add("version < %(version)s", **after._asdict())
    statement = sql.SQL(
        "SELECT {} FROM zone_versions JOIN zone_shapes USING (org_id, geometry_sha256) {}"
        " ORDER BY version DESC {}"
    ).format(_VERSION_COLUMNS, conditions.where(), cut)
    return await read_page(conn, PastZone, statement, conditions.values)


async def count_versions(conn: Connection, zone_id: UUID) -> int:
    """Count the versions of a zone."""
    return await value_of(conn, "SELECT count(*) FROM zone_versions WHERE zone_id = %s", (zone_id,))


async def boxes_over(
    conn: Connection, over: "Box", without: UUID | None
) -> list[tuple[UUID, float, float, float, float]]:
    """Return the boxes of zones that are there now and may meet `over`, some MAX_BOXES at most."""
    cursor = await conn.execute(
        sql.SQL(
            "SELECT zone_id, box[1], box[2], box[3], box[4] {}"
            "   AND zone_id IS DISTINCT FROM %(without)s LIMIT %(limit)s"
        ).format(_OVER),
        over._asdict() | {"without": without, "limit": MAX_BOXES},
    )
    return await cursor.fetchall()


async def boxes_since(conn: Connection, over: "Box", revision: int) -> int:
    """Count the boxes that are newer than the revision."""
    return await value_of(
        conn,
        sql.SQL("SELECT count(*) {} AND revision > %(revision)s").format(_OVER),
        over._asdict() | {"revision": revision},
    )


async def some_shapes(conn: Connection, zone_ids: Sequence[UUID]) -> dict[UUID, StoredShape]:
    """Read shapes of the smallest of the zones: of one at least, and of more within
    MAX_SHAPES_BYTES.
    """
    async with conn.cursor(binary=True) as cursor:
        await cursor.execute(
            """
            SELECT zone_id, shape, radius_m, width_m
              FROM (SELECT org_id, zone_id, geometry_sha256, radius_m, width_m,
                           row_number() OVER sized AS number, sum(shape_bytes) OVER sized AS bytes
                      FROM zone_versions WHERE zone_id = ANY (%s) AND valid_to IS NULL
                    WINDOW sized AS (ORDER BY shape_bytes, zone_id)) AS found
              JOIN zone_shapes USING (org_id, geometry_sha256)
             WHERE number = 1 OR bytes <= %s
            """,
            (list(zone_ids), MAX_SHAPES_BYTES),
        )
        return {zone_id: StoredShape(*row) for zone_id, *row in await cursor.fetchall()}


async def find_shape(conn: Connection, zone: Zone) -> StoredShape:
    """Return the shape of a zone's newest version."""
    statement = "SELECT shape FROM zone_shapes WHERE geometry_sha256 = %s"
    wkb = await value_of(conn, statement, (geometry_hash(zone.geometry),))
    return StoredShape(wkb, zone.radius_m, zone.width_m)


class PastShape(NamedTuple):
    """The shape of a version. assets: as those of `Zone`."""

    valid_from: datetime
    assets: dict[str, list[str]] | None
    shape: StoredShape


async def past_shapes(conn: Connection, zone_id: UUID) -> list[PastShape]:
    """Return the shapes of all versions that ever were in force, the oldest first."""
    cursor = await conn.execute(
        """
        SELECT valid_from, assets, shape, radius_m, width_m
          FROM zone_versions JOIN zone_shapes USING (org_id, geometry_sha256)
         WHERE zone_id = %s AND valid_to IS DISTINCT FROM valid_from
         ORDER BY valid_from, version
        """,
        (zone_id,),
    )
    rows = await cursor.fetchall()
    return [PastShape(begun, assets, StoredShape(*shape)) for begun, assets, *shape in rows]


async def keep_shapes(conn: Connection, shapes: Mapping[str, bytes]) -> None:
    """Write the geometries of zones, texts, with their shapes (`geofence.shapes.stored.write_wkb`),
    before the revision is taken. Those that are there already stay.
    """
    rows = sorted((geometry_hash(text), text, wkb) for text, wkb in shapes.items())
    await conn.execute(
        """
        INSERT INTO zone_shapes (org_id, geometry_sha256, geometry, shape)
        SELECT current_org_id(), sha256, geometry::json, shape
          FROM unnest(%b::bytea[], %b::text[], %b::bytea[]) AS new (sha256, geometry, shape)
            ON CONFLICT DO NOTHING
        """,
        tuple(map(list, zip(*rows, strict=True))),
    )


def geometry_hash(geometry: str) -> bytes:
    """Return the hash under which a geometry is stored."""
    return sha256(geometry.encode()).digest()


async def insert(conn: Connection, zone: Zone, revision: int) -> None:
    """Insert a new zone with its first version. Its shape is there (`keep_shapes`).

    Raises psycopg.errors.UniqueViolation for an external_id that is taken.
    """
    await conn.execute(
        """
        INSERT INTO zones (org_id, id, external_id, version, created_at, updated_at)
        VALUES (current_org_id(), %(id)s, %(external_id)s, %(version)s, %(created_at)s,
                %(updated_at)s)
        """,
        zone._asdict(),
    )
    await _open_version(conn, zone, revision)


async def replace(conn: Connection, zone: Zone, revision: int) -> None:
    """Replace a zone by an edit: `zone.version` is the next one, in force from
    `zone.valid_from`. Its shape is there.
    """
    await _close_version(conn, zone.id, zone.valid_from, revision)
    await update(conn, zone)
    await _open_version(conn, zone, revision)


async def update(conn: Connection, zone: Zone) -> None:
    """Write what stands outside the versions. Raises as `insert` does."""
    await conn.execute(
        """
        UPDATE zones SET external_id = %(external_id)s, version = %(version)s,
                         updated_at = %(updated_at)s, deleted_at = %(deleted_at)s
         WHERE id = %(id)s
        """,
        zone._asdict(),
    )


async def delete(conn: Connection, zone_id: UUID, at: datetime, revision: int) -> None:
    """End a zone that is there."""
    await conn.execute(
        "UPDATE zones SET deleted_at = %s, updated_at = %s WHERE id = %s AND deleted_at IS NULL",
        (at, at, zone_id),
    )
    await _close_version(conn, zone_id, at, revision)


async def restore(conn: Connection, zone: Zone, revision: int) -> None:
    """Restore a deleted zone: `zone.version` is the next one, in force from `zone.valid_from`.
    Raises as `insert` does.
    """
    await update(conn, zone)
    await _open_version(conn, zone, revision)


async def _open_version(conn: Connection, zone: Zone, revision: int) -> None:
    cursor = await conn.execute(
        """
        INSERT INTO zone_versions (org_id, zone_id, version, name, kind, alert_on, geometry_sha256,
                                   shape_bytes, radius_m, width_m, rules, schedule, assets,
                                   valid_from, created_at, revision, made_revision, box,
                                   punch_tolerance_m)
        SELECT org_id, %(id)s, %(version)s, %(name)s, %(kind)s, %(alert_on)s, geometry_sha256,
               length(shape), %(radius_m)s, %(width_m)s, %(rules)s, %(schedule)s, %(assets)s,
               %(valid_from)s, %(updated_at)s, %(revision)s, %(revision)s, %(box)s,
               %(punch_tolerance_m)s
          FROM zone_shapes
         WHERE org_id = current_org_id() AND geometry_sha256 = %(geometry_sha256)s
        """,
        zone._asdict()
        | {
            "geometry_sha256": geometry_hash(zone.geometry),
            "rules": Jsonb(zone.rules),
            "schedule": _jsonb(zone.schedule),
            "assets": _jsonb(zone.assets),
            "revision": revision,
        },
    )
    assert cursor.rowcount == 1, "the shape of the zone was not kept"


def _jsonb(value: dict[str, Any] | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


async def _close_version(conn: Connection, zone_id: UUID, at: datetime, revision: int) -> None:
    await conn.execute(
        """
        UPDATE zone_versions SET valid_to = %s, revision = %s
         WHERE zone_id = %s AND valid_to IS NULL
        """,
        (at, revision, zone_id),
    )
