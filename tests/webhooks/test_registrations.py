"""Devices that are registered as they come: by their gateway's pattern, a hundred an hour at most,
within the quota, and nobody else's.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio

from db.core.connect import Pool, connect, pool
from db.core.ids import new_id
from db.core.table import db_now
from db.listener import unknown_devices
from db.listener.unknown_devices import UnregisteredDevice
from db.resources.gateways import Gateway, gateways
from db.resources.quotas import set_own
from tests.db.rows import transaction
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.webhooks.poison.guards import guard_of
from use_cases.registrations import MOST_AN_HOUR
from webhooks.registrations import Registrations

NOW = datetime.now(UTC)
REGISTERED = "SELECT external_id, registered_by FROM trackers WHERE registered_by IS NOT NULL"
UNKNOWN = "SELECT external_id FROM unknown_devices"
AUDITED = (
    "SELECT count(*) FROM audit_events WHERE resource_type = 'tracker' AND action = 'insert'"
    " AND user_id IS NULL AND changes ? 'registered_by'"
)


@pytest_asyncio.fixture
async def connections(database: DatabaseUnderTest) -> AsyncIterator[Pool]:
    """The connections of the delivering role."""
    async with pool(database.url("opsc_deliver"), "test", max_size=4) as opened:
        yield opened


@pytest_asyncio.fixture
async def tenant(database: DatabaseUnderTest) -> Tenant:
    return await Tenant.create(database)


async def gateway_with(tenant: Tenant, pattern: str | None, **fields: Any) -> Gateway:
    async with transaction(tenant.database, "opsc_app", tenant.org_id) as conn:
        at = await db_now(conn)
        row = Gateway(new_id(), "Gate", "traccar", None, at, at, None, pattern)._replace(**fields)
        await gateways.insert(conn, row, secret_hash=bytes(32))
    return row


async def seen(tenant: Tenant, gateway: Gateway, *names: str) -> None:
    """Note devices as the listener does."""
    facts = (gateway.id, "mqtt", "traccar", 1, NOW, NOW, None)
    devices = [UnregisteredDevice(tenant.org_id, name, *facts) for name in names]
    async with await connect(tenant.database.url("opsc_listen"), "test") as conn:
        await unknown_devices.write(conn, devices, [])


async def test_devices_that_the_pattern_names_become_trackers(
    tenant: Tenant, connections: Pool
) -> None:
    gateway = await gateway_with(tenant, "70B3D5*%_?")
    wanted, others = ["70B3D5x%_1", "70B3D5%_7"], ["70B3D5xx_1", "70B3D5%_", "y70B3D5%_7"]
    await seen(tenant, gateway, *wanted, *others)
    await Registrations(connections, guard_of(connections)).register()
    assert sorted(tenant.rows(REGISTERED)) == sorted((name, gateway.id) for name in wanted)
    assert sorted(name for (name,) in tenant.rows(UNKNOWN)) == sorted(others)
    await Registrations(connections, guard_of(connections)).register()  # nothing is made twice
    assert len(tenant.rows(REGISTERED)) == 2
    assert tenant.rows(AUDITED) == [(2,)]


async def test_gateways_without_a_pattern_or_revoked_register_nothing(
    tenant: Tenant, connections: Pool
) -> None:
    await seen(tenant, await gateway_with(tenant, None), "1")
    await seen(tenant, await gateway_with(tenant, "*", revoked_at=NOW), "2")
    await Registrations(connections, guard_of(connections)).register()
    assert tenant.rows(REGISTERED) == []
    assert len(tenant.rows(UNKNOWN)) == 2


async def test_an_hour_has_room_for_a_hundred_of_an_organization(
    database: DatabaseUnderTest, tenant: Tenant, connections: Pool
) -> None:
    gateway, other = await gateway_with(tenant, "*"), await Tenant.create(database)
    await seen(tenant, gateway, *(f"{number:03}" for number in range(130)))
    await seen(other, await gateway_with(other, "*"), "000")
    await Registrations(connections, guard_of(connections)).register()
    await Registrations(connections, guard_of(connections)).register()
    assert len(tenant.rows(REGISTERED)) == MOST_AN_HOUR
    assert len(tenant.rows(UNKNOWN)) == 30
    assert [name for name, _ in other.rows(REGISTERED)] == ["000"]
    async with transaction(tenant.database, "opsc_owner", tenant.org_id) as conn:
        await conn.execute("UPDATE trackers SET created_at = now() - interval '61 minutes'")
    await Registrations(connections, guard_of(connections)).register()
    assert len(tenant.rows(REGISTERED)) == 130


async def test_what_the_quota_has_no_room_for_stays_unknown(
    tenant: Tenant, connections: Pool
) -> None:
    async with transaction(tenant.database, "opsc_owner", tenant.org_id) as conn:
        await set_own(conn, "trackers", 3)
    await seen(tenant, await gateway_with(tenant, "*"), *"12345")
    await Registrations(connections, guard_of(connections)).register()
    assert len(tenant.rows(REGISTERED)) == 3
    assert len(tenant.rows(UNKNOWN)) == 2
