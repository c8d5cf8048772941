"""Job sites near punches: the zones that a punch is compared with, and how far away they are.

A punch is compared with the zones of the sites that its employee may punch at, else with the
jobsites of the organization, each by its version in force at the time of the fix. Which ones are
near is read off their boxes; only the nearest few are looked at exactly.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from geofence.geometry.queries import signed_distance_m
from geofence.shapes.stored import StoredShape, read_stored
from geofence.zones.nearest_boxes import box_distances_m
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


class _Zone(NamedTuple):
    """A version that may be in force; times in microseconds since 1970."""

    zone_id: UUID
    version: int
    name: str
    is_jobsite: bool
    site_ids: frozenset[UUID]
    from_us: int
    to_us: int
    box: list[float]
    tolerance_m: float | None
    shape_bytes: int


_ZONES = """
SELECT zone.zone_id, zone.version, zone.name, zone.kind = 'jobsite',
       ARRAY(SELECT site.id FROM sites AS site
              WHERE site.org_id = zone.org_id AND site.zone_id = zone.zone_id
                AND site.deleted_at IS NULL),
       (extract(epoch FROM zone.valid_from) * 1000000)::bigint,
       coalesce((extract(epoch FROM zone.valid_to) * 1000000)::bigint, 9223372036854775807),
       coalesce(zone.box, '{-180, -90, 180, 90}'),
       coalesce(zone.punch_tolerance_m, organization.punch_tolerance_m),
       pg_column_size(zone.geometry)
  FROM zone_versions AS zone JOIN organizations AS organization USING (org_id)
 WHERE zone.org_id = %(org_id)s AND zone.valid_from <= %(latest)s
   AND (zone.valid_to IS NULL OR zone.valid_to > %(earliest)s)
   AND (zone.kind = 'jobsite' OR EXISTS (
        SELECT FROM sites AS site
         WHERE site.org_id = zone.org_id AND site.zone_id = zone.zone_id
           AND site.deleted_at IS NULL))
 ORDER BY zone.zone_id, zone.version
"""
_SHAPES = """
SELECT zone_id, version, geometry::text, radius_m, width_m
  FROM zone_versions JOIN unnest(%s::uuid[], %s::uuid[], %s::int4[])
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
        zones = await _zones(conn, org_id, [one.at_us for one in questions.values()])
        places = list((await asyncio.to_thread(_chosen, zones, questions)).items())
        for first in range(0, len(places), _SHAPES_AT_A_TIME):
            some = dict(places[first : first + _SHAPES_AT_A_TIME])
            shapes = await _shapes(conn, org_id, [zones[number] for number in some])
            await asyncio.to_thread(_measure, shapes, zones, some, questions, found)
    return found


async def _zones(conn: Connection, org_id: UUID, times_us: Sequence[int]) -> list[_Zone]:
    cursor = await conn.execute(
        _ZONES,
        {
            "org_id": org_id,
            "earliest": to_datetime(min(times_us)),
            "latest": to_datetime(max(times_us)),
        },
    )
    return [
        _Zone(zone_id, version, name, is_jobsite, frozenset(site_ids), *others)
        for zone_id, version, name, is_jobsite, site_ids, *others in await cursor.fetchall()
    ]


def _chosen(zones: Sequence[_Zone], questions: Mapping[int, PunchPlace]) -> dict[int, list[int]]:
    """Return by number of a zone the numbers of the places that it is to be compared with."""
    if not zones:
        return {}
    columns = _Columns.of(zones)
    places: dict[int, list[int]] = defaultdict(list)
    for number, question in questions.items():
        for zone in columns.nearest(zones, question):
            places[zone].append(number)
    return places


class _Columns(NamedTuple):
    """The zones as arrays, (m,); boxes (m, 4)."""

    boxes: NDArray[np.float64]
    from_us: NDArray[np.int64]
    to_us: NDArray[np.int64]
    tolerance_m: NDArray[np.float64]
    allowed: dict[frozenset[UUID] | None, NDArray[np.bool_]]

    @classmethod
    def of(cls, zones: Sequence[_Zone]) -> "_Columns":
        return cls(
            np.array([zone.box for zone in zones], np.float64),
            np.array([zone.from_us for zone in zones], np.int64),
            np.array([zone.to_us for zone in zones], np.int64),
            np.array([zone.tolerance_m or 0.0 for zone in zones], np.float64),
            {None: np.array([zone.is_jobsite for zone in zones], np.bool_)},
        )

    def nearest(self, zones: Sequence[_Zone], question: PunchPlace) -> Iterator[int]:
        """Yield the numbers of the zones that may count, those with the greatest margins first."""
        if question.site_ids not in self.allowed:
            sites = question.site_ids or frozenset()
            self.allowed[sites] = np.array(
                [bool(zone.site_ids & sites) for zone in zones], np.bool_
            )
        in_force = (self.from_us <= question.at_us) & (question.at_us < self.to_us)
        numbers = np.flatnonzero(self.allowed[question.site_ids] & in_force)
        apart_m = box_distances_m(self.boxes[numbers], question.lon, question.lat)
        nearest = numbers[np.argsort(apart_m - self.tolerance_m[numbers], kind="stable")]
        size = 0
        for place, number in enumerate(nearest[:MOST_ZONES].tolist()):
            size += zones[number].shape_bytes
            if place and size > MOST_BYTES:
                return
            yield number


async def _shapes(
    conn: Connection, org_id: UUID, zones: Sequence[_Zone]
) -> dict[tuple[UUID, int], StoredShape]:
    columns = ([org_id] * len(zones), [z.zone_id for z in zones], [z.version for z in zones])
    cursor = await conn.execute(_SHAPES, columns)
    return {(zone, version): StoredShape(*of) for zone, version, *of in await cursor.fetchall()}


def _measure(
    shapes: Mapping[tuple[UUID, int], StoredShape],
    zones: Sequence[_Zone],
    places: Mapping[int, Sequence[int]],
    questions: Mapping[int, PunchPlace],
    found: dict[int, list[NearZone]],
) -> None:
    """Add to `found` the zones whose shapes were read, with their distances."""
    read = dict(zip(shapes, read_stored(list(shapes.values())), strict=True))
    for zone_number, numbers in places.items():
        zone = zones[zone_number]
        shape = read[zone.zone_id, zone.version]
        lon = [questions[number].lon for number in numbers]
        lat = [questions[number].lat for number in numbers]
        distances_m = signed_distance_m(shape, lon, lat).tolist()
        for number, distance_m in zip(numbers, distances_m, strict=True):
            site_ids = zone.site_ids & (questions[number].site_ids or zone.site_ids)
            site_id = min(site_ids, default=None)
            of_zone = (zone.zone_id, zone.version, zone.name, site_id)
            found[number].append(NearZone(*of_zone, distance_m, zone.tolerance_m))
