"""The registry of ingest: organizations' trackers, assets and their tags, assignments, zones.

Read whole at start and then by revision: each row carries the number of its last change. An asset
that is new, and its tags, have revision 0: they are read when it has its first tracker, since
nothing depends on them before. Zones are read some thousands at a time.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import UUID

from db.core.connect import Connection
from db.core.registry_revision import read
from db.ingest import asset_backlogs
from db.ingest.asset_backlogs import Backlog
from geofence.shapes.stored import StoredShape, read_stored
from geofence.shapes.types import Shape

MIN_TIME_US = -(2**63)  # of a beginning since ever
MAX_TIME_US = 2**63 - 1  # of an end that is open
_ZONES_AT_A_TIME = 4_000


class TrackerRow(NamedTuple):
    org_id: UUID
    tracker_id: UUID
    revoked: bool
    receipts: bool


class AssetRow(NamedTuple):
    org_id: UUID
    asset_id: UUID
    name: str
    asset_class: str


class AssetTagsRow(NamedTuple):
    """The tags of an asset in [valid_from_us, valid_to_us), microseconds since 1970.

    An asset's rows follow one another; a row is known by its `valid_from_us`.
    """

    asset_id: UUID
    tags: list[str]
    valid_from_us: int
    valid_to_us: int


class AssignmentRow(NamedTuple):
    """An assignment to an asset, in [from_us, to_us), microseconds since 1970.

    Those of one tracker, or of one asset, never overlap: a row replaces what it overlaps.
    """

    tracker_id: UUID
    asset_id: UUID
    from_us: int
    to_us: int


class EmployeeTrackerRow(NamedTuple):
    """A tracker that is or was an employee's. is_shown: their organization shows its employees."""

    tracker_id: UUID
    is_shown: bool


class AssetFilter(NamedTuple):
    """Assets of these ids, and assets with any of these tags."""

    ids: frozenset[UUID]
    tags: frozenset[str]


class ZoneVersionRow(NamedTuple):
    """A version of a zone, in force in [valid_from_us, valid_to_us), made at created_us,
    microseconds since 1970.

    shape: None of a version that was there at the revision that was asked for. rules: the fields of
    geofence.model.rules.Rules that were given. schedule: as geofence.model.schedule.parse_schedule
    reads it, None for always. assets: None for all.
    """

    org_id: UUID
    zone_id: UUID
    version: int
    name: str
    kind: str
    alert_on: list[str] | None
    shape: Shape | None
    rules: dict[str, Any]
    schedule: dict[str, Any] | None
    assets: AssetFilter | None
    valid_from_us: int
    valid_to_us: int
    created_us: int


class SettingsRow(NamedTuple):
    """The settings by which an organization has its fixes judged.

    rules: defaults of its zones, fields of geofence.model.rules.Rules. max_accuracy_m: None for the
    default. max_speed_mps: by class of asset, as far as it was given.
    """

    org_id: UUID
    rules: dict[str, Any]
    max_accuracy_m: float | None
    max_speed_mps: dict[str, float]


class RetentionRow(NamedTuple):
    """The days for which an organization keeps its fixes."""

    org_id: UUID
    days: int


@dataclass(frozen=True, slots=True)
class RegistryChanges:
    """All rows whose last change is later than the revision asked for, as of `revision`.

    Beside them the assets of these assignments and tags, and the tags of these assignments' assets,
    where they have not been changed since they were made. An asset that never had a tracker may be
    missing. retention: of all organizations that have one of their own. employee_trackers: those
    with a new assignment, and all of organizations whose settings have changed.
    """

    revision: int
    trackers: list[TrackerRow]
    assets: list[AssetRow]
    asset_tags: list[AssetTagsRow]
    assignments: list[AssignmentRow]
    zone_versions: list[ZoneVersionRow]
    retention: list[RetentionRow] = field(default_factory=list[RetentionRow])
    backlogs: list[Backlog] = field(default_factory=list[Backlog])
    settings: list[SettingsRow] = field(default_factory=list[SettingsRow])
    employee_trackers: list[EmployeeTrackerRow] = field(default_factory=list[EmployeeTrackerRow])


_TRACKERS = """
SELECT org_id, id, revoked_at IS NOT NULL, receipts FROM trackers WHERE revision > %s
"""
_ASSETS = """
SELECT org_id, id, name, asset_class FROM assets WHERE revision > %(since)s
 UNION ALL
SELECT org_id, id, name, asset_class FROM assets
 WHERE revision = 0 AND %(since)s >= 0 AND (org_id, id) IN (
       SELECT org_id, asset_id FROM tracker_assignments WHERE revision > %(since)s
        UNION ALL
       SELECT org_id, asset_id FROM asset_tags WHERE revision > %(since)s)
"""
_ASSET_TAGS = """
SELECT asset_id, tags,
       CASE WHEN isfinite(valid_from) THEN (extract(epoch FROM valid_from) * 1000000)::bigint
            ELSE %(ever)s END,
       coalesce((extract(epoch FROM valid_to) * 1000000)::bigint, %(open)s)
  FROM (SELECT * FROM asset_tags WHERE revision > %(since)s
         UNION ALL
        SELECT * FROM asset_tags
         WHERE revision = 0 AND %(since)s >= 0 AND (org_id, asset_id) IN (
               SELECT org_id, asset_id FROM tracker_assignments WHERE revision > %(since)s)) AS new
 ORDER BY asset_id, valid_from
"""
_ASSIGNMENTS = """
SELECT tracker_id, asset_id, (extract(epoch FROM assigned_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM assigned_to) * 1000000)::bigint, %s)
  FROM tracker_assignments WHERE revision > %s AND asset_id IS NOT NULL
"""
_EMPLOYEE_TRACKERS = """
SELECT tracker_id, shows_employees
  FROM tracker_assignments AS assignment JOIN organizations USING (org_id)
 WHERE employee_id IS NOT NULL AND assignment.revision > %(since)s
 UNION
SELECT tracker_id, shows_employees
  FROM organizations AS organization JOIN tracker_assignments USING (org_id)
 WHERE employee_id IS NOT NULL AND organization.revision > greatest(%(since)s, 0)
"""
_SETTINGS = """
SELECT org_id, rules, max_accuracy_m, max_speed_mps FROM organizations
 WHERE revision > greatest(%s, 0)
"""
_RETENTION = """
SELECT org_id, positions_days FROM organizations WHERE positions_days IS NOT NULL
"""
_ZONE_VERSIONS = """
SELECT shape, radius_m, width_m,
       version.org_id, zone_id, version, name, kind, alert_on, rules, schedule, assets,
       (extract(epoch FROM valid_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM valid_to) * 1000000)::bigint, %(open)s),
       (extract(epoch FROM created_at) * 1000000)::bigint
  FROM zone_versions AS version LEFT JOIN zone_shapes AS kept
       ON kept.org_id = version.org_id AND kept.geometry_sha256 = version.geometry_sha256
      AND (made_revision > %(since)s OR %(since)s < 0)
 WHERE revision > %(since)s
 ORDER BY zone_id, version
"""


@asynccontextmanager
async def unchanging(conn: Connection) -> AsyncIterator[None]:
    """Provide a transaction in which all statements see the same rows; others may change them."""
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


async def changes_since(conn: Connection, revision: int) -> RegistryChanges:
    """Read the changes inside a transaction that holds the revision, or that is `unchanging`.

    `revision` -1 reads everything.
    """
    newest = await read(conn)
    async with conn.cursor() as cursor:
        await cursor.execute(_TRACKERS, (revision,))
        trackers = [TrackerRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ASSETS, {"since": revision})
        assets = [AssetRow(*row) for row in await cursor.fetchall()]
        spans = {"ever": MIN_TIME_US, "open": MAX_TIME_US}
        await cursor.execute(_ASSET_TAGS, spans | {"since": revision})
        asset_tags = [AssetTagsRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ASSIGNMENTS, (MAX_TIME_US, revision))
        assignments = [AssignmentRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_SETTINGS, (revision,))
        settings = [SettingsRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_RETENTION)
        retention = [RetentionRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_EMPLOYEE_TRACKERS, {"since": revision})
        employee_trackers = [EmployeeTrackerRow(*row) for row in await cursor.fetchall()]
    backlogs = await asset_backlogs.changed_since(conn, revision)
    zone_versions: list[ZoneVersionRow] = []
    async with conn.cursor(name="zone_versions", binary=True) as cursor:
        await cursor.execute(_ZONE_VERSIONS, {"open": MAX_TIME_US, "since": revision})
        while rows := await cursor.fetchmany(_ZONES_AT_A_TIME):
            zone_versions += await asyncio.to_thread(_zone_versions, rows)
    return RegistryChanges(
        newest,
        trackers,
        assets,
        asset_tags,
        assignments,
        zone_versions,
        retention,
        backlogs,
        settings,
        employee_trackers,
    )


def _zone_versions(rows: Sequence[tuple[Any, ...]]) -> list[ZoneVersionRow]:
    new = [StoredShape(*row[:3]) for row in rows if row[0] is not None]
    shapes = iter(read_stored(new))
    return [_zone_version(row[3:], None if row[0] is None else next(shapes)) for row in rows]


def _zone_version(row: tuple[Any, ...], shape: Shape | None) -> ZoneVersionRow:
    *facts, rules, schedule, chosen, valid_from_us, valid_to_us, created_us = row
    times_us = (valid_from_us, valid_to_us, created_us)
    return ZoneVersionRow._make((*facts, shape, rules, schedule, _asset_choice(chosen), *times_us))


def _asset_choice(chosen: dict[str, list[str]] | None) -> AssetFilter | None:
    if chosen is None:
        return None
    return AssetFilter(frozenset(map(UUID, chosen["ids"])), frozenset(chosen["tags"]))
