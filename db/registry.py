"""What ingest knows by heart: organizations' trackers, assets and their tags, assignments, zones.

Read whole at start and then by revision: each row carries the number of its last change.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from db.connect import Connection
from db.revision import read_for_share

MIN_TIME_US = -(2**63)  # of a beginning since ever
MAX_TIME_US = 2**63 - 1  # of an end that is open


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
    """[from_us, to_us), microseconds since 1970."""

    assignment_id: UUID
    tracker_id: UUID
    asset_id: UUID
    from_us: int
    to_us: int


class AssetChoice(NamedTuple):
    """Assets of these ids, and assets with any of these tags."""

    ids: frozenset[UUID]
    tags: frozenset[str]


class ZoneVersionRow(NamedTuple):
    """In force in [valid_from_us, valid_to_us), microseconds since 1970.

    geometry: the text of the GeoJSON geometry. rules: the fields of geofence.rules.Rules that were
    given. schedule: as geofence.schedule.parse_schedule reads it, None for always. assets: None for
    all.
    """

    org_id: UUID
    zone_id: UUID
    version: int
    name: str
    kind: str
    alert_on: list[str] | None
    geometry: str
    radius_m: float | None
    width_m: float | None
    rules: dict[str, Any]
    schedule: dict[str, Any] | None
    assets: AssetChoice | None
    valid_from_us: int
    valid_to_us: int


@dataclass(frozen=True, slots=True)
class RegistryChanges:
    """All rows whose last change is later than the revision asked for, as of `revision`."""

    revision: int
    trackers: list[TrackerRow]
    assets: list[AssetRow]
    asset_tags: list[AssetTagsRow]
    assignments: list[AssignmentRow]
    zone_versions: list[ZoneVersionRow]


_TRACKERS = """
SELECT org_id, id, revoked_at IS NOT NULL, receipts FROM trackers WHERE revision > %s
"""
_ASSETS = "SELECT org_id, id, name, asset_class FROM assets WHERE revision > %s"
_ASSET_TAGS = """
SELECT asset_id, tags,
       CASE WHEN isfinite(valid_from) THEN (extract(epoch FROM valid_from) * 1000000)::bigint
            ELSE %s END,
       coalesce((extract(epoch FROM valid_to) * 1000000)::bigint, %s)
  FROM asset_tags WHERE revision > %s
 ORDER BY asset_id, valid_from
"""
_ASSIGNMENTS = """
SELECT id, tracker_id, asset_id, (extract(epoch FROM assigned_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM assigned_to) * 1000000)::bigint, %s)
  FROM tracker_assignments WHERE revision > %s
"""
_ZONE_VERSIONS = """
SELECT org_id, zone_id, version, name, kind, alert_on, geometry::text, radius_m, width_m,
       rules, schedule, assets,
       (extract(epoch FROM valid_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM valid_to) * 1000000)::bigint, %s)
  FROM zone_versions WHERE revision > %s
 ORDER BY zone_id, version
"""


async def changes_since(conn: Connection, revision: int) -> RegistryChanges:
    """Inside the caller's transaction, which holds the revision from now on: nothing changes.

    `revision` -1 reads everything.
    """
    newest = await read_for_share(conn)
    async with conn.cursor() as cursor:
        await cursor.execute(_TRACKERS, (revision,))
        trackers = [TrackerRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ASSETS, (revision,))
        assets = [AssetRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ASSET_TAGS, (MIN_TIME_US, MAX_TIME_US, revision))
        asset_tags = [AssetTagsRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ASSIGNMENTS, (MAX_TIME_US, revision))
        assignments = [AssignmentRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ZONE_VERSIONS, (MAX_TIME_US, revision))
        zone_versions = [_zone_version(row) for row in await cursor.fetchall()]
    return RegistryChanges(newest, trackers, assets, asset_tags, assignments, zone_versions)


def _zone_version(row: tuple[Any, ...]) -> ZoneVersionRow:
    *before, chosen, valid_from_us, valid_to_us = row
    return ZoneVersionRow._make((*before, _asset_choice(chosen), valid_from_us, valid_to_us))


def _asset_choice(chosen: dict[str, list[str]] | None) -> AssetChoice | None:
    if chosen is None:
        return None
    return AssetChoice(frozenset(map(UUID, chosen["ids"])), frozenset(chosen["tags"]))
