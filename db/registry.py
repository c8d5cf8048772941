"""What ingest knows by heart: organizations' trackers, assets, assignments and zones.

Read whole at start and then by revision: each row carries the number of its last change.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from db.connect import Connection
from db.revision import read_for_share

MAX_TIME_US = 2**63 - 1  # of an end that is open


class TrackerRow(NamedTuple):
    org_id: UUID
    tracker_id: UUID
    revoked: bool


class AssetRow(NamedTuple):
    org_id: UUID
    asset_id: UUID
    name: str


class AssignmentRow(NamedTuple):
    """[from_us, to_us), microseconds since 1970."""

    assignment_id: UUID
    tracker_id: UUID
    asset_id: UUID
    from_us: int
    to_us: int


class ZoneVersionRow(NamedTuple):
    """In force in [valid_from_us, valid_to_us), microseconds since 1970."""

    org_id: UUID
    zone_id: UUID
    version: int
    name: str
    kind: str
    alert_on: list[str] | None
    geometry: dict[str, Any]
    radius_m: float | None
    valid_from_us: int
    valid_to_us: int


@dataclass(frozen=True, slots=True)
class RegistryChanges:
    """All rows whose last change is later than the revision asked for, as of `revision`."""

    revision: int
    trackers: list[TrackerRow]
    assets: list[AssetRow]
    assignments: list[AssignmentRow]
    zone_versions: list[ZoneVersionRow]


_TRACKERS = "SELECT org_id, id, revoked_at IS NOT NULL FROM trackers WHERE revision > %s"
_ASSETS = "SELECT org_id, id, name FROM assets WHERE revision > %s"
_ASSIGNMENTS = """
SELECT id, tracker_id, asset_id, (extract(epoch FROM assigned_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM assigned_to) * 1000000)::bigint, %s)
  FROM tracker_assignments WHERE revision > %s
"""
_ZONE_VERSIONS = """
SELECT org_id, zone_id, version, name, kind, alert_on, geometry, radius_m,
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
        await cursor.execute(_ASSIGNMENTS, (MAX_TIME_US, revision))
        assignments = [AssignmentRow(*row) for row in await cursor.fetchall()]
        await cursor.execute(_ZONE_VERSIONS, (MAX_TIME_US, revision))
        zone_versions = [ZoneVersionRow(*row) for row in await cursor.fetchall()]
    return RegistryChanges(newest, trackers, assets, assignments, zone_versions)
