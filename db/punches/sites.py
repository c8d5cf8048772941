"""Job sites near punches: the zones that a punch is compared with, and how far away they are.

A punch is compared with the zones of the sites that its employee may punch at, else with the
jobsites of the organization (`db.punches.jobsites`), each by its version in force at the time of
the fix. Which ones are near is read off their boxes; only the nearest few are looked at exactly.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.fetch import Rows, columns, rows_of
from db.punches.jobsites import (
    BOX_COLUMNS,
    best_jobsites,
    site_box,
    with_default,
)
from geofence.geometry.queries import has_compiled_distances, signed_distance_m
from geofence.shapes.stored import StoredShape, read_stored
from geofence.zones.site_index import SiteBox, SitePlace, ranked
from telemetry.times import to_datetime

MOST_ZONES = 8
"""The zones of a punch that are looked at exactly: those with the nearest boxes."""
MOST_BYTES = 1024 * 1024
"""The most that the shapes of a punch may take, as stored; the first may take more."""
_SHAPES_AT_A_TIME = 64
_MOST_SITES_AT_ONCE = 64
_MOST_BYTES_AT_ONCE = 64 * 1024
"""Sites that are ranked, and bytes of shapes, times the places of each, that are measured without a
thread: a few milliseconds at most."""


class PunchSites(NamedTuple):
    """The sites at which a punch counts. site_ids: None for any jobsite. or_jobsites: at any
    jobsite, too.
    """

    site_ids: frozenset[UUID] | None = None
    or_jobsites: bool = False

    @property
    def has_jobsites(self) -> bool:
        """Any jobsite counts."""
        return self.or_jobsites or self.site_ids is None


class PunchPlace(NamedTuple):
    """A place, and where its punch counts. at_us: microseconds since 1970."""

    org_id: UUID
    lon: float
    lat: float
    at_us: int
    sites: PunchSites = PunchSites()


class NearZone(NamedTuple):
    """A zone beside a punch. site_id: a site whose geofence it is. distance_m: from the place to
    its edge, negative inside. tolerance_m: None for the default.
    """

    zone_id: UUID
    version: int
    name: str
    site_id: UUID | None
    distance_m: float
    tolerance_m: float | None


class _Shape(NamedTuple):
    """A zone with its shape, read once it is near. site_ids: of the sites whose geofence it is."""

    name: str
    site_ids: frozenset[UUID]
    stored: StoredShape


_OF_SITES = (
    sql.SQL(
        """
SELECT site.org_id, site.id, organization.punch_tolerance_m, {columns}
  FROM unnest(%(org_ids)b::uuid[], %(site_ids)b::uuid[]) AS wanted (org_id, id)
  JOIN sites AS site USING (org_id, id) JOIN zone_versions AS zone USING (org_id, zone_id)
  JOIN organizations AS organization USING (org_id)
 WHERE site.deleted_at IS NULL AND zone.valid_from <= %(latest)s
   AND (zone.valid_to IS NULL OR zone.valid_to > %(earliest)s)
"""
    )
    .format(columns=sql.SQL(BOX_COLUMNS))
    .as_bytes()
)
_SHAPES = """
SELECT zone.org_id, zone.zone_id, zone.version, zone.name,
       ARRAY(SELECT site.id FROM sites AS site
              WHERE site.org_id = zone.org_id AND site.zone_id = zone.zone_id
                AND site.deleted_at IS NULL),
       shape.shape, zone.radius_m, zone.width_m
  FROM zone_versions AS zone JOIN unnest(%b::uuid[], %b::uuid[], %b::int4[])
       AS wanted (org_id, zone_id, version) USING (org_id, zone_id, version)
  JOIN zone_shapes AS shape USING (org_id, geometry_sha256)
"""
_OfSites = Mapping[tuple[UUID, UUID], Sequence[SiteBox]]
"""By organization and site the versions of its zone that may be in force."""
_Shapes = Mapping[tuple[UUID, UUID, int], _Shape]
"""By organization, zone and version."""


async def near_zones(
    conn: Connection, asked: Mapping[int, PunchPlace]
) -> dict[int, list[NearZone]]:
    """Return the zones that may count for each place, by its number; at most MOST_ZONES."""
    best = await _best_jobsites(conn, asked)
    for number, zones in (await _best_of_sites(conn, asked)).items():
        if number in best:
            both = list({*best[number], *zones})
            zones = ranked(both, _place(asked[number]))[:MOST_ZONES]
        best[number] = zones
    places: dict[tuple[UUID, SiteBox], list[int]] = defaultdict(list)
    for number, place in asked.items():
        for zone in _bounded(best.get(number, [])):
            places[place.org_id, zone].append(number)
    found: dict[int, list[NearZone]] = {number: [] for number in asked}
    every = list(places.items())
    for first in range(0, len(every), _SHAPES_AT_A_TIME):
        some = dict(every[first : first + _SHAPES_AT_A_TIME])
        wanted = columns([(org_id, zone.zone_id, zone.version) for org_id, zone in some])
        shapes = _shapes(await rows_of(conn, _SHAPES, wanted))
        work = sum(zone.shape_bytes * len(numbers) for (_, zone), numbers in some.items())
        if work <= _MOST_BYTES_AT_ONCE and has_compiled_distances():
            _measure(shapes, some, asked, found)
        else:
            await asyncio.to_thread(_measure, shapes, some, asked, found)
    return found


async def _best_jobsites(
    conn: Connection, asked: Mapping[int, PunchPlace]
) -> dict[int, list[SiteBox]]:
    """Return the best jobsites of places that any of their organization counts for."""
    anywhere: dict[UUID, dict[int, SitePlace]] = defaultdict(dict)
    for number, place in asked.items():
        if place.sites.has_jobsites:
            anywhere[place.org_id][number] = _place(place)
    best: dict[int, list[SiteBox]] = {}
    for org_id, places in anywhere.items():
        best |= await best_jobsites(conn, org_id, places, MOST_ZONES)
    return best


async def _best_of_sites(
    conn: Connection, asked: Mapping[int, PunchPlace]
) -> dict[int, list[SiteBox]]:
    """Return the best zones of the sites that places are limited to."""
    limited = {number: place for number, place in asked.items() if place.sites.site_ids is not None}
    if not limited:
        return {}
    of_sites = await _zones_of_sites(conn, limited.values())
    if sum(len(place.sites.site_ids or ()) for place in limited.values()) <= _MOST_SITES_AT_ONCE:
        return _ranked(of_sites, limited)
    return await asyncio.to_thread(_ranked, of_sites, limited)


async def _zones_of_sites(conn: Connection, limited: Collection[PunchPlace]) -> _OfSites:
    sites = {(place.org_id, site_id) for place in limited for site_id in place.sites.site_ids or ()}
    org_ids, site_ids = columns(sorted(sites))
    times_us = [place.at_us for place in limited]
    values = {
        "org_ids": org_ids,
        "site_ids": site_ids,
        "earliest": to_datetime(min(times_us)),
        "latest": to_datetime(max(times_us)),
    }
    found: dict[tuple[UUID, UUID], list[SiteBox]] = defaultdict(list)
    for org_id, site_id, tolerance_m, *of_zone in await rows_of(conn, _OF_SITES, values):
        found[org_id, site_id].append(with_default(site_box(of_zone), tolerance_m))
    return found


def _place(question: PunchPlace) -> SitePlace:
    return SitePlace(question.lon, question.lat, question.at_us)


def _ranked(of_sites: _OfSites, questions: Mapping[int, PunchPlace]) -> dict[int, list[SiteBox]]:
    best: dict[int, list[SiteBox]] = {}
    for number, question in questions.items():
        sites = ((question.org_id, site_id) for site_id in question.sites.site_ids or ())
        zones = {zone for site in sites for zone in of_sites.get(site, ())}
        in_force = [zone for zone in zones if zone.from_us <= question.at_us < zone.to_us]
        best[number] = ranked(in_force, _place(question))[:MOST_ZONES]
    return best


def _bounded(zones: Sequence[SiteBox]) -> Iterator[SiteBox]:
    """Yield the first zones, up to MOST_BYTES of shapes."""
    size = 0
    for place, zone in enumerate(zones):
        size += zone.shape_bytes
        if place and size > MOST_BYTES:
            return
        yield zone


def _shapes(rows: Rows) -> _Shapes:
    return {
        (org_id, zone_id, version): _Shape(name, frozenset(site_ids), StoredShape(*of))
        for org_id, zone_id, version, name, site_ids, *of in rows
    }


def _measure(
    shapes: _Shapes,
    places: Mapping[tuple[UUID, SiteBox], Sequence[int]],
    questions: Mapping[int, PunchPlace],
    found: dict[int, list[NearZone]],
) -> None:
    """Add to `found` the zones whose shapes were read, with their distances."""
    stored = read_stored([shape.stored for shape in shapes.values()])
    read = dict(zip(shapes, stored, strict=True))
    for (org_id, zone), numbers in places.items():
        key = org_id, zone.zone_id, zone.version
        lon = [questions[number].lon for number in numbers]
        lat = [questions[number].lat for number in numbers]
        distances_m = signed_distance_m(read[key], lon, lat).tolist()
        for number, distance_m in zip(numbers, distances_m, strict=True):
            site_ids = shapes[key].site_ids
            sites = questions[number].sites
            if not sites.has_jobsites:
                site_ids &= sites.site_ids or site_ids
            of_zone = (*key[1:], shapes[key].name, min(site_ids, default=None))
            found[number].append(NearZone(*of_zone, distance_m, zone.tolerance_m))
