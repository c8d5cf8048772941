"""Trips of an asset's day that cannot be told: those of other assets and organizations are."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest_asyncio

from archive.reading import Archive
from db.core.connect import Connection, Pool
from db.history import failing_work
from tests.ingest.tenants import Tenant, Vehicle
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks.poison.guards import (
    AT_ONCE,
    at_work,
    guard_of,
    is_set_aside,
    nothing_fails,
    poisoned,
)
from tests.webhooks.trips.conftest import fleet
from tests.webhooks.trips.fleet import Fleet, day, switch
from tests.webhooks.world import World
from webhooks.metrics import WebhookMetrics
from webhooks.trips import TripEvents, TripLimits

__all__ = ["fleet"]
LIMITS = TripLimits(gather_s=0, look_s=0.02)


@pytest_asyncio.fixture
async def other(fleet: Fleet, database: DatabaseUnderTest) -> AsyncIterator[Fleet]:
    """Another organization that wants the events."""
    tenant = await Tenant.create(database)
    made = replace(fleet, tenant=tenant, vehicle=await tenant.vehicle())
    await switch(made, made.at(0) - timedelta(days=1))
    yield made


async def test_an_asset_of_which_nothing_can_be_told_waits_alone(
    world: World, connections: Pool, fleet: Fleet, other: Fleet
) -> None:
    bad, good = fleet.vehicle, await fleet.tenant.vehicle()
    guard = guard_of(connections, AT_ONCE)
    trips = TripEvents(connections, "test", Archive(None), guard, WebhookMetrics(), LIMITS)
    async with at_work(trips.run):
        condition = f"OLD.asset_id = '{bad.asset_id}'"
        async with poisoned(world.admin, "DELETE ON trips_due", condition):
            for whose, vehicle in ((fleet, bad), (fleet, good), (other, other.vehicle)):
                await whose.receive(day(), vehicle)
            await until(partial(is_set_aside, world.admin, "trips"))
            await until(partial(all_is_told, fleet, good))
            await until(partial(all_is_told, other, other.vehicle))
            assert await fleet.words(bad) == []
        await until(partial(all_is_let_go, world.admin))
        await until(partial(all_is_told, fleet, bad))


async def all_is_let_go(admin: Connection) -> bool:
    """Let go what is set aside; a day that began meanwhile has a row of its own."""
    await failing_work.release(admin, "trips", None)
    return await nothing_fails(admin)


async def all_is_told(fleet: Fleet, vehicle: Vehicle) -> bool:
    return await fleet.heard(vehicle) != [] and await fleet.heard(vehicle) == await fleet.said(
        vehicle
    )
