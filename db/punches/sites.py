"""Job sites near punches: the zones that a punch is compared with, and how far away they are.

A punch is compared with the zones of the sites that its employee may punch at, else with the
jobsites of the organization (`db.punches.jobsites`), each by its version in force at the time of
the fix. Which ones are near is read off their boxes; only the nearest few are looked at exactly.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from psycopg import sql

from db.core.connect import Connection
from db.punches.jobsites import BOX_COLUMNS, best_jobsites, site_box, with_default
from geofence.geometry.queries import signed_distance_m
from geofence.shapes.stored import StoredShape, read_stored
from geofence.zones.site_index import SiteBox, SitePlace, ranked
from telemetry.times import to_datetime

MOST_ZONES = 8
"""The zones of a punch that are looked at exactly: those with the nearest boxes."""
MOST_BYTES = 1024 * 1024
"""The most that the shapes of a punch may take, as stored; the first may take more."""
_SHAPES_AT_A_TIME = 64


class PunchPlace(NamedTuple):
    """A place, and where its punch counts. at_us: microseconds since 1970. site_ids: None for any
    jobsite.
    """

    org_id: UUID
    lon: float
    lat: float
    at_us: int
    site_ids: frozenset[UUID] | None


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


_OF_SITES = sql.SQL(
    """
SELECT site.id, organization.punch_tolerance_m, {columns}
  FROM sites AS site JOIN zone_versions AS zone USING (org_id, zone_id)
  JOIN organizations AS organization USING (org_id)
 WHERE site.org_id = %(org_id)s AND site.id = ANY(%(site_ids)s) AND site.deleted_at IS NULL
   AND zone.valid_from <= %(latest)s
   AND (zone.valid_to IS NULL OR zone.valid_to > %(earliest)s)
"""
).format(columns=sql.SQL(BOX_COLUMNS))
_SHAPES = """
SELECT zone.zone_id, zone.version, zone.name,
       ARRAY(SELECT site.id FROM sites AS site
              WHERE site.org_id = zone.org_id AND site.zone_id = zone.zone_id
                AND site.deleted_at IS NULL),
       zone.geometry::text, zone.radius_m, zone.width_m
  FROM zone_versions AS zone JOIN unnest(%s::uuid[], %s::uuid[], %s::int4[])
       AS wanted (org_id, zone_id, version) USING (org_id, zone_id, version)
"""


async def near_zones(
    conn: Connection, asked: Mapping[int, PunchPlace]
) -> dict[int, list[NearZone]]:
    """Return the zones that may count for each place, by its number; at most MOST_ZONES."""
    by_organization: dict[UUID, dict[int, PunchPlace]] = defaultdict(dict)
    for number, question in asked.items():
        by_organization[question.org_id][number] = question
    found: dict[int, list[NearZone]] = {number: [] for number in asked}
    for org_id, questions in by_organization.items():
        places = list((await _places(conn, org_id, questions)).items())
        for first in range(0, len(places), _SHAPES_AT_A_TIME):
            some = dict(places[first : first + _SHAPES_AT_A_TIME])
            shapes = await _shapes(conn, org_id, list(some))
            await asyncio.to_thread(_measure, shapes, some, questions, found)
    return found


async def _places(
    conn: Connection, org_id: UUID, questions: Mapping[int, PunchPlace]
) -> dict[SiteBox, list[int]]:
    """Return by zone the numbers of the places that it is to be compared with."""
    anywhere = {number: _place(q) for number, q in questions.items() if q.site_ids is None}
    at_sites = {number: q for number, q in questions.items() if q.site_ids is not None}
    best: dict[int, list[SiteBox]] = {}
    if anywhere:
        best |= await best_jobsites(conn, org_id, anywhere, MOST_ZONES)
    if at_sites:
        of_sites = await _zones_of_sites(conn, org_id, at_sites)
        best |= await asyncio.to_thread(_best_of_sites, of_sites, at_sites)
    places: dict[SiteBox, list[int]] = defaultdict(list)
    for number in questions:
        for zone in _bounded(best.get(number, [])):
            places[zone].append(number)
    return places


def _place(question: PunchPlace) -> SitePlace:
    return SitePlace(question.lon, question.lat, question.at_us)


async def _zones_of_sites(
    conn: Connection, org_id: UUID, questions: Mapping[int, PunchPlace]
) -> dict[UUID, list[SiteBox]]:
    """Return by site the versions of its zone that may be in force."""
    site_ids = frozenset[UUID]().union(*(one.site_ids or () for one in questions.values()))
    times_us = [one.at_us for one in questions.values()]
    cursor = await conn.execute(
        _OF_SITES,
        {
            "org_id": org_id,
            "site_ids": list(site_ids),
            "earliest": to_datetime(min(times_us)),
            "latest": to_datetime(max(times_us)),
        },
    )
    found: dict[UUID, list[SiteBox]] = defaultdict(list)
    for site_id, tolerance_m, *columns in await cursor.fetchall():
        found[site_id].append(with_default(site_box(columns), tolerance_m))
    return found


def _best_of_sites(
    of_sites: Mapping[UUID, Sequence[SiteBox]], questions: Mapping[int, PunchPlace]
) -> dict[int, list[SiteBox]]:
    best: dict[int, list[SiteBox]] = {}
    for number, question in questions.items():
        zones = {zone for site in question.site_ids or () for zone in of_sites.get(site, ())}
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


async def _shapes(
    conn: Connection, org_id: UUID, zones: Sequence[SiteBox]
) -> dict[tuple[UUID, int], _Shape]:
    columns = ([org_id] * len(zones), [z.zone_id for z in zones], [z.version for z in zones])
    cursor = await conn.execute(_SHAPES, columns)
    return {
        (zone, version): _Shape(name, frozenset(site_ids), StoredShape(*of))
        for zone, version, name, site_ids, *of in await cursor.fetchall()
    }


def _measure(
    shapes: Mapping[tuple[UUID, int], _Shape],
    places: Mapping[SiteBox, Sequence[int]],
    questions: Mapping[int, PunchPlace],
    found: dict[int, list[NearZone]],
) -> None:
    """Add to `found` the zones whose shapes were read, with their distances."""
    stored = read_stored([shape.stored for shape in shapes.values()])
    read = dict(zip(shapes, stored, strict=True))
    for zone, numbers in places.items():
        key = zone.zone_id, zone.version
        lon = [questions[number].lon for number in numbers]
        lat = [questions[number].lat for number in numbers]
        distances_m = signed_distance_m(read[key], lon, lat).tolist()
        for number, distance_m in zip(numbers, distances_m, strict=True):
            site_ids = shapes[key].site_ids
            site_ids &= questions[number].site_ids or site_ids
            of_zone = (*key, shapes[key].name, min(site_ids, default=None))
            found[number].append(NearZone(*of_zone, distance_m, zone.tolerance_m))
