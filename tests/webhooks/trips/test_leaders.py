"""Who tells of trips: one process at a time, killed or not, for organizations in turns."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from archive.reading import Archive
from db.core import leases
from db.core.connect import connect
from db.fixes.trips_due import LEASE
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.delivering_process import process
from tests.webhooks.poison.guards import guard_of
from tests.webhooks.trips.fleet import AT_ONCE, Fleet, day, switch
from webhooks.trips import TripEvents, TripLimits


async def test_two_processes_tell_once(fleet: Fleet) -> None:
    others = [await fleet.tenant.vehicle() for _ in range(4)]
    for fixes in (day()[:20], day()[20:]):
        for vehicle in others:
            await fleet.receive(fixes, vehicle)
        await asyncio.gather(fleet.look("one"), fleet.look("two"))
    for vehicle in others:
        assert await fleet.heard(vehicle) == await fleet.said(vehicle)


async def test_a_process_that_lost_the_lease_writes_nothing(fleet: Fleet) -> None:
    class Slow(Archive):
        async def track(self, *arguments: Any, **named: Any) -> Any:
            async with await connect(fleet.tenant.database.url("opsc_deliver"), "test") as conn:
                await conn.execute("UPDATE leases SET expires_at = now() WHERE name = 'trips'")
                assert await leases.acquire(conn, LEASE, "other", 0.01) is not None
            return await super().track(*arguments, **named)

    await fleet.receive(day())
    loop = TripEvents(
        fleet.connections, "test", Slow(None), guard_of(fleet.connections), fleet.metrics, AT_ONCE
    )
    with pytest.raises(leases.LeaseLost):
        await loop.look(asyncio.Event())
    assert await fleet.words() == []
    await asyncio.sleep(0.02)
    await fleet.look()
    assert await fleet.heard() == await fleet.said()


async def test_organizations_take_turns(fleet: Fleet, database: DatabaseUnderTest) -> None:
    """A long late track of one keeps nobody waiting."""
    await switch(fleet, fleet.at(0) - timedelta(days=60))
    await fleet.receive((-1_440.0 * back, 0.0) for back in range(1, 50))
    tenant = await Tenant.create(database)
    other = Fleet(tenant, await tenant.vehicle(), fleet.admin, fleet.connections)
    await switch(other, other.at(0) - timedelta(days=1))
    await other.receive(day())
    loop = TripEvents(
        fleet.connections,
        "test",
        Archive(None),
        guard_of(fleet.connections),
        fleet.metrics,
        TripLimits(gather_s=0, rows=2),
    )
    assert await loop.look(asyncio.Event()) is False
    assert await other.heard() == await other.said()
    left = "SELECT count(*) FROM trips_due WHERE org_id = %s"
    assert await fleet.rows(left, fleet.tenant.org_id) == [(48,)]


async def test_killed_again_and_again_it_tells_once(
    fleet: Fleet, database: DatabaseUnderTest
) -> None:
    vehicles = [await fleet.tenant.vehicle() for _ in range(16)]
    for vehicle in vehicles:
        await fleet.receive(day(), vehicle)
    # They were received half a minute ago.
    await fleet.admin.execute("UPDATE gps_events SET received_at = received_at - interval '40 s'")
    await fleet.admin.execute("UPDATE trips_seen SET received_at = received_at - interval '1 h'")

    async def told(most: int) -> bool:
        rows = await fleet.rows("SELECT count(DISTINCT asset_id) FROM told_trips")
        return rows[0][0] >= most

    for most in (3, 9):
        async with process(database.url("opsc_deliver")) as victim:
            await until(lambda most=most: told(most))
            victim.kill()
            await victim.wait()
        await fleet.admin.execute("UPDATE leases SET expires_at = now() WHERE name = 'trips'")
    async with process(database.url("opsc_deliver")):
        await until(lambda: told(16))
        await until(lambda: _nothing_due(fleet))
    for vehicle in vehicles:
        assert await fleet.heard(vehicle) == await fleet.said(vehicle)


async def _nothing_due(fleet: Fleet) -> bool:
    return await fleet.due() == 0
