"""Jobsites of organizations, kept in memory: their boxes as a tree, current at each use.

    best = await best_jobsites(conn, org_id, places, 8)

Of each organization the versions without an end are kept, with the revision up to which they are
known. One statement in the caller's transaction reads what has a higher revision, and what ended
since the earliest time that is asked for: mostly nothing. That is complete, because revisions are
committed in their order (`db.core.registry_revision`). Two cases are read anew: a transaction that
has taken a revision itself, since it may be rolled back, and one whose statement is older than what
another one has brought into the tree meanwhile.

The cache is shared by all event loops and threads of a process, and holds MAX_BOXES in sum. The
organizations that were not used for the longest time go first.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import rows_of
from db.core.registry_revision import IS_CHANGING
from geofence.zones.site_index import SiteBox, SiteIndex, SitePlace, ranked
from telemetry.times import to_datetime

MAX_BOXES = 100_000
"""The most that the cache holds; an organization counts as _BOXES_OF_A_TREE more than it has."""
_BOXES_OF_A_TREE = 50
_NOTHING_READ = -1
_MOST_AT_ONCE = 64
"""Changes and places that are looked at without a thread: they take a few milliseconds at most."""
FOREVER_US = 2**63 - 1

BOX_COLUMNS = """
       zone.zone_id, zone.version,
       (extract(epoch FROM zone.valid_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM zone.valid_to) * 1000000)::bigint, 9223372036854775807),
       coalesce(zone.box, '{-180, -90, 180, 90}'), zone.punch_tolerance_m,
       zone.shape_bytes
"""
_CHANGES = (
    sql.SQL(
        """
SELECT organization.punch_tolerance_m, {is_changing},
       (SELECT coalesce(max(revision), -1) FROM zone_versions
         WHERE org_id = %(org_id)s AND kind = 'jobsite'),
       {columns}
  FROM organizations AS organization LEFT JOIN zone_versions AS zone
       ON zone.org_id = %(org_id)s AND zone.kind = 'jobsite' AND (
          zone.valid_to > %(earliest)s
          OR zone.revision > %(known)s AND (zone.valid_to IS NULL OR %(known)s >= 0))
 WHERE organization.org_id = %(org_id)s
"""
    )
    .format(is_changing=sql.SQL(IS_CHANGING), columns=sql.SQL(BOX_COLUMNS))
    .as_bytes()
)


class _Changes(NamedTuple):
    """An organization's changes after one revision, up to another.

    is_uncommitted: the transaction may have made some itself. default_tolerance_m: of the
    organization; None where it sets none. sites: open versions, and ended ones.
    """

    default_tolerance_m: float | None
    is_uncommitted: bool
    revision: int
    known: int
    sites: Sequence[SiteBox]

    def best(self, places: Mapping[int, SitePlace], open_sites: SiteIndex, most: int) -> "_Best":
        """Return the best sites, open or ended, of each place by its number."""
        ended = [site for site in self.sites if site.to_us != FOREVER_US]
        found: _Best = {}
        for number, place in places.items():
            of_then = [site for site in ended if site.from_us <= place.at_us < site.to_us]
            at = place._replace(default_tolerance_m=self.default_tolerance_m or 0.0)
            best = ranked([*open_sites.best(at, most), *of_then], at)[:most]
            found[number] = [with_default(site, self.default_tolerance_m) for site in best]
        return found


_Best = dict[int, list[SiteBox]]


@dataclass(slots=True)
class _OpenSites:
    """The versions without an end of one organization, known up to a revision."""

    index: SiteIndex = field(default_factory=SiteIndex)
    revision: int = _NOTHING_READ
    lock: Lock = field(default_factory=Lock)

    def best(self, changes: _Changes, places: Mapping[int, SitePlace], most: int) -> _Best | None:
        """Take the changes and search; None where the tree is ahead of the changes."""
        with self.lock:
            return self.best_of_locked(changes, places, most)

    def best_of_locked(
        self, changes: _Changes, places: Mapping[int, SitePlace], most: int
    ) -> _Best | None:
        """Do the same, where the caller has the lock."""
        if changes.revision < self.revision:
            return None
        if changes.revision > self.revision:
            self._take(changes)
        return changes.best(places, self.index, most)

    def _take(self, changes: _Changes) -> None:
        if changes.known == _NOTHING_READ:  # says nothing of what has ended
            self.index = SiteIndex(site for site in changes.sites if site.to_us == FOREVER_US)
        else:
            for site in changes.sites:
                if site.to_us == FOREVER_US:
                    self.index.put(site)
                else:
                    self.index.remove(site.zone_id, site.version)
        self.revision = changes.revision


class _Cache:
    """The open versions of the organizations that were used last."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[UUID, tuple[_OpenSites, int]] = OrderedDict()
        self._boxes = 0

    def get(self, org_id: UUID) -> _OpenSites:
        with self._lock:
            kept = self._kept.get(org_id)
            return kept[0] if kept else _OpenSites()

    def keep(self, org_id: UUID, sites: _OpenSites) -> None:
        """Keep the sites as those that were used last, and remove others beyond the bound."""
        size = len(sites.index) + _BOXES_OF_A_TREE
        with self._lock:
            self._boxes += size - self._kept.pop(org_id, (sites, 0))[1]
            self._kept[org_id] = sites, size
            while self._boxes > MAX_BOXES:
                self._boxes -= self._kept.popitem(last=False)[1][1]


_cache = _Cache()


async def best_jobsites(
    conn: Connection, org_id: UUID, places: Mapping[int, SitePlace], most: int
) -> dict[int, list[SiteBox]]:
    """Return the jobsites in force at each place that come first by `ranked`, at most `most`.

    places: by number, one at least. The jobsites are current as of a statement in the caller's
    transaction. Tolerances are those of the zones, else of the organization.
    """
    kept, earliest_us = _cache.get(org_id), min(place.at_us for place in places.values())
    changes = await _changes(conn, org_id, earliest_us, kept.revision)
    best = None if changes.is_uncommitted else await _best(kept, changes, places, most)
    if best is None:
        kept = _OpenSites()
        changes = await _changes(conn, org_id, earliest_us, kept.revision)
        best = await _best(kept, changes, places, most)
    if not changes.is_uncommitted:
        _cache.keep(org_id, kept)
    return best or {}


async def _best(
    kept: _OpenSites, changes: _Changes, places: Mapping[int, SitePlace], most: int
) -> _Best | None:
    """Search, in a thread where it may take long or where another one has the tree."""
    if len(changes.sites) + len(places) > _MOST_AT_ONCE or not kept.lock.acquire(blocking=False):
        return await asyncio.to_thread(kept.best, changes, places, most)
    try:
        return kept.best_of_locked(changes, places, most)
    finally:
        kept.lock.release()


async def _changes(conn: Connection, org_id: UUID, earliest_us: int, known: int) -> _Changes:
    """Return what has changed since the organization's jobsites were read."""
    values = {"org_id": org_id, "earliest": to_datetime(earliest_us), "known": known}
    found = await rows_of(conn, _CHANGES, values)
    if not found:  # no such organization
        return _Changes(None, True, _NOTHING_READ, known, [])
    default_m, is_changing, revision, *_ = found[0]
    sites = [site_box(row[3:]) for row in found if row[3] is not None]
    return _Changes(default_m, is_changing, revision, known, sites)


def site_box(columns: Sequence[Any]) -> SiteBox:
    """Return the values of BOX_COLUMNS as a box."""
    zone_id, version, from_us, to_us, box, tolerance_m, shape_bytes = columns
    return SiteBox(zone_id, version, from_us, to_us, tuple(box), tolerance_m, shape_bytes)


def with_default(site: SiteBox, tolerance_m: float | None) -> SiteBox:
    """Return the site, with the tolerance of its organization where it has none itself."""
    return site if site.tolerance_m is not None else site._replace(tolerance_m=tolerance_m)
