"""The fleet of a test."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio

from db.core.connect import connect, pool
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.webhooks.trips.fleet import Fleet, switch


@pytest_asyncio.fixture
async def fleet(database: DatabaseUnderTest) -> AsyncIterator[Fleet]:
    """Nothing is stored, and nobody else wants the events."""
    tenant = await Tenant.create(database)
    async with (
        await connect(database.url("admin"), "test") as admin,
        pool(database.url("opsc_deliver"), "test", max_size=4) as connections,
    ):
        await admin.execute(
            "TRUNCATE gps_events, events, webhook_deliveries, trips_due, told_trips"
        )
        await admin.execute("UPDATE leases SET expires_at = '-infinity' WHERE name = 'trips'")
        await admin.execute("UPDATE trips_seen SET received_at = clock_timestamp()")
        await admin.execute("UPDATE organizations SET trip_events_since = NULL")
        fleet = Fleet(tenant, await tenant.vehicle(), admin, connections)
        await switch(fleet, fleet.at(0) - timedelta(days=1))
        yield fleet
