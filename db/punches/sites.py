"""Job sites near punches: the zones that a punch is compared with, and how far away they are.

A punch is compared with the zones of the sites that its employee may punch at, else with the
jobsites of the organization (`db.punches.jobsites`), each by its version in force at the time of
the fix. Which ones are near is read off their boxes; only the nearest few are looked at exactly.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.core.exchange import Exchange, Reply, Rows, columns, known
from db.punches.jobsites import (
    BOX_COLUMNS,
    AskedJobsites,
    ask_jobsites,
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
    exchange = Exchange(conn)
    jobsites = ask_all_jobsites(exchange, asked.values())
    of_sites = ask_zones_of_sites(exchange, asked.values())
    await exchange.send()
    return await nearest_zones(exchange, asked, jobsites, of_sites.value)


def ask_all_jobsites(exchange: Exchange, places: Iterable[PunchPlace]) -> dict[UUID, AskedJobsites]:
    """Ask for the jobsites of the organizations of places, whatever sites they are limited to."""
    earliest_us: dict[UUID, int] = {}
    for place in places:
        earliest_us[place.org_id] = min(place.at_us, earliest_us.get(place.org_id, place.at_us))
    return {org_id: ask_jobsites(exchange, org_id, at_us) for org_id, at_us in earliest_us.items()}


def ask_zones_of_sites(exchange: Exchange, places: Iterable[PunchPlace]) -> Reply[_OfSites]:
    """Ask for the zones of the sites that places are limited to."""
    limited = [place for place in places if place.sites.site_ids is not None]
    if not limited:
        return known({})
    sites = {(place.org_id, site_id) for place in limited for site_id in place.sites.site_ids or ()}
    times_us = [place.at_us for place in limited]
    values: dict[str, object] = dict(
        zip(("org_ids", "site_ids"), columns(sorted(sites)), strict=True)
    )
    values |= {"earliest": to_datetime(min(times_us)), "latest": to_datetime(max(times_us))}
    return exchange.ask(_OF_SITES, values, _zones_of_sites)


def _zones_of_sites(rows: Rows) -> _OfSites:
    found: dict[tuple[UUID, UUID], list[SiteBox]] = defaultdict(list)
    for org_id, site_id, tolerance_m, *of_zone in rows:
        found[org_id, site_id].append(with_default(site_box(of_zone), tolerance_m))
    return found


async def nearest_zones(
    exchange: Exchange,
    asked: Mapping[int, PunchPlace],
    jobsites: Mapping[UUID, AskedJobsites],
    of_sites: _OfSites,
) -> dict[int, list[NearZone]]:
    """Return what `near_zones` does. jobsites, of_sites: the answers about the same places."""
    best: dict[int, list[SiteBox]] = {}
    for org_id, of_organization in jobsites.items():
        anywhere = {
            number: _place(place)
            for number, place in asked.items()
            if place.org_id == org_id and place.sites.has_jobsites
        }
        if anywhere:
            best |= await best_jobsites(exchange, of_organization, anywhere, MOST_ZONES)
    at_sites = {
        number: place for number, place in asked.items() if place.sites.site_ids is not None
    }
    if sum(len(place.sites.site_ids or ()) for place in at_sites.values()) <= _MOST_SITES_AT_ONCE:
        of_best = _best_of_sites(of_sites, at_sites)
    else:
        of_best = await asyncio.to_thread(_best_of_sites, of_sites, at_sites)
    for number, zones in of_best.items():
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
        shapes = exchange.ask(_SHAPES, wanted, _shapes)
        await exchange.send()
        work = sum(zone.shape_bytes * len(numbers) for (_, zone), numbers in some.items())
        if work <= _MOST_BYTES_AT_ONCE and has_compiled_distances():
            _measure(shapes.value, some, asked, found)
        else:
            await asyncio.to_thread(_measure, shapes.value, some, asked, found)
    return found


def _place(question: PunchPlace) -> SitePlace:
    return SitePlace(question.lon, question.lat, question.at_us)


def _best_of_sites(
    of_sites: _OfSites, questions: Mapping[int, PunchPlace]
) -> dict[int, list[SiteBox]]:
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
