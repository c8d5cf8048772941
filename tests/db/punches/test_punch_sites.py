"""The zones that a punch is compared with, held against looking at every zone exactly."""

import math
import random
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from db.core.connect import connect
from db.core.tenant import act_for
from db.punches import sites
from db.punches.sites import NearZone, PunchPlace, PunchSites, near_zones
from geofence.geometry.measures import measures
from geofence.geometry.overlap import unrolled
from geofence.geometry.queries import signed_distance_m
from geofence.shapes.geojson import read_shape
from telemetry.times import to_us
from tests.ingest.punches.punching import Crew
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import DatabaseUnderTest

LON, LAT = 179.99, -36.5  # zones lie on both sides of the 180th meridian
SEED = 20260302


@pytest.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    """A new organization."""
    return await Tenant.create(database)


async def made(tenant: Tenant, geometry: dict[str, Any], **fields: Any) -> UUID:
    """Make a jobsite with the box that the API stores."""
    shape = read_shape(geometry, radius_m=fields.get("radius_m"))
    box = list(unrolled(*measures(shape).bbox))
    return await tenant.zone(geometry, kind="jobsite", box=box, **fields)


async def near(
    tenant: Tenant, role: str, asked: dict[int, PunchPlace]
) -> dict[int, list[NearZone]]:
    conn = await connect(tenant.database.url(role), "test")
    async with conn, conn.transaction():
        if role == "opsc_app":
            await act_for(conn, tenant.org_id)
        return await near_zones(conn, asked)


async def test_the_zone_of_the_greatest_margin_is_found(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    random_ = random.Random(SEED)
    shapes, others = {}, await Tenant.create(database)
    for number in range(40):
        lon, lat = LON + random_.uniform(-0.03, 0.03), LAT + random_.uniform(-0.03, 0.03)
        lon -= 360 if lon > 180 else 0
        if number % 2:
            geometry, fields = square(lon, lat, random_.uniform(0.0005, 0.004)), {}
        else:
            geometry = {"type": "Point", "coordinates": [lon, lat]}
            fields = {"radius_m": random_.uniform(20, 400)}
        tolerance_m = random_.choice([None, 0.0, 300.0])
        zone = await made(tenant, geometry, **fields, punch_tolerance_m=tolerance_m)
        shapes[zone] = (read_shape(geometry, radius_m=fields.get("radius_m")), tolerance_m or 0.0)
    await made(others, square(LON, LAT))
    now_us = to_us(soon(0))
    places = {}
    for number in range(60):
        lon, lat = LON + random_.uniform(-0.05, 0.05), LAT + random_.uniform(-0.05, 0.05)
        lon -= 360 if lon > 180 else 0
        places[number] = PunchPlace(tenant.org_id, lon, lat, now_us)
    for role in ("opsc_app", "opsc_ingest"):
        found = await near(tenant, role, places)
        for number, place in places.items():
            margins = {
                zone: tolerance_m - float(signed_distance_m(shape, place.lon, place.lat)[0])
                for zone, (shape, tolerance_m) in shapes.items()
            }
            best = max(found[number], key=lambda one: (one.tolerance_m or 0.0) - one.distance_m)
            assert len(found[number]) == sites.MOST_ZONES
            assert margins[best.zone_id] == pytest.approx(max(margins.values()), abs=1e-6)


async def test_versions_count_while_they_are_in_force(tenant: Tenant) -> None:
    zone = await made(tenant, square(8.54, 47.37))
    changed = await tenant.change_zone(zone, square(8.6, 47.37), soon(-3600))
    moments = {"before": -1, "at": 0, "after": 1}
    asked = {
        number: PunchPlace(
            tenant.org_id, 8.54, 47.37, to_us(changed + timedelta(microseconds=step))
        )
        for number, step in enumerate(moments.values())
    }
    found = await near(tenant, "opsc_ingest", asked)
    assert [found[number][0].version for number in asked] == [1, 2, 2]


async def test_only_zones_of_the_sites_that_are_asked_for_count(tenant: Tenant) -> None:
    crew = Crew(tenant)
    jobsite, yard = await made(tenant, square(8.54, 47.37)), await tenant.zone(square(8.54, 47.37))
    deleted = await crew.site(jobsite)
    await crew.execute("UPDATE sites SET deleted_at = now() WHERE id = %s", (deleted,))
    site = await crew.site(yard)
    at_us = to_us(soon(0))
    wanted = [
        PunchSites(),
        PunchSites(frozenset({site})),
        PunchSites(frozenset({deleted})),
        PunchSites(frozenset({site}), or_jobsites=True),
    ]
    asked = {
        number: PunchPlace(tenant.org_id, 8.54, 47.37, at_us, sites_of)
        for number, sites_of in enumerate(wanted)
    }
    found = await near(tenant, "opsc_app", asked)
    assert [[(one.zone_id, one.site_id) for one in found[number]] for number in asked] == [
        [(jobsite, None)],
        [(yard, site)],
        [],
        sorted([(jobsite, None), (yard, site)]),
    ]


async def test_a_second_shape_that_is_too_large_is_not_looked_at(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    ring = [[8.54 + 0.001 * math.cos(n / 50), 47.37 + 0.001 * math.sin(n / 50)] for n in range(314)]
    large = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    zones = [await made(tenant, large), await made(tenant, square(8.56, 47.37))]
    monkeypatch.setattr(sites, "MOST_BYTES", 100)
    asked = {0: PunchPlace(tenant.org_id, 8.54, 47.37, to_us(soon(0)))}
    assert [one.zone_id for one in (await near(tenant, "opsc_app", asked))[0]] == zones[:1]
