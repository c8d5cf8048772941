"""Work of which the rows are organizations or their data: one that fails as nobody foresaw waits
alone.
"""

from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from db.core.connect import Pool, pool
from db.history.retention import Days
from tests.ingest.tenants import Tenant
from tests.servers import DatabaseUnderTest
from tests.waiting import until
from tests.webhooks import receivers
from tests.webhooks.poison.guards import (
    AT_ONCE,
    at_work,
    guard_of,
    is_set_aside,
    let_go,
    nothing_fails,
    poisoned,
    was_set_aside,
)
from tests.webhooks.test_registrations import gateway_with, seen
from tests.webhooks.world import World, delivering
from webhooks.fan_out import FanOutLimits
from webhooks.metrics import WebhookMetrics
from webhooks.registrations import Registrations
from webhooks.retention import Retention, RetentionLimits

NOW = datetime.now(UTC)


async def test_devices_that_cannot_be_registered_keep_nobody_else_back(
    world: World, database: DatabaseUnderTest, connections: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webhooks.registrations.LOOK_S", 0.02)
    bad, good = [await Tenant.create(database) for _ in range(2)]
    for tenant in (bad, good):
        await seen(tenant, await gateway_with(tenant, "*"), "1", "2")
    registrations = Registrations(connections, guard_of(connections, AT_ONCE))
    async with at_work(registrations.run):
        async with poisoned(world.admin, "INSERT ON trackers", f"NEW.org_id = '{bad.org_id}'"):
            await was_set_aside(world.admin, "registration", bad.org_id)
            await until(lambda: registered(good) == 2)
            assert registered(bad) == 0
        await let_go(world.admin, "registration")
        await until(lambda: registered(bad) == 2)
        await until(partial(nothing_fails, world.admin))


def registered(tenant: Tenant) -> int:
    return len(tenant.rows("SELECT FROM trackers WHERE registered_by IS NOT NULL"))


async def test_an_endpoint_that_cannot_be_disabled_keeps_no_other_from_it(
    world: World, database: DatabaseUnderTest
) -> None:
    bad, good = [await world.organization() for _ in range(2)]
    limits = FanOutLimits(waiting_of_endpoint=20, count_s=0.02)
    async with receivers.well_behaved(statuses=[500] * 1_000) as receiver:
        for org_id in (bad, good):
            await world.endpoint(org_id, receiver.url)
        async with delivering(database, fan_out_limits=limits, guard_limits=AT_ONCE):
            condition = f"NEW.org_id = '{bad}' AND NEW.state = 'disabled'"
            async with poisoned(world.admin, "UPDATE ON webhook_endpoints", condition):
                for org_id in (bad, good):
                    await world.events(org_id, 21)
                await was_set_aside(world.admin, "endpoint_bounds", bad)
                await until(partial(is_disabled, world, good))
                assert not await is_disabled(world, bad)
            await let_go(world.admin, "endpoint_bounds")  # although no delivery is added any more
            await until(partial(is_disabled, world, bad))
            await until(partial(nothing_fails, world.admin))


async def is_disabled(world: World, org_id: UUID) -> bool:
    return ("disabled",) in await world.rows("webhook_endpoints", "state", "id", org_id)


async def test_old_data_that_cannot_be_removed_keeps_no_other_from_it(
    world: World, database: DatabaseUnderTest
) -> None:
    bad, good = [await world.organization() for _ in range(2)]
    for org_id in (bad, good):
        await old_events(world, org_id)
        await old_failing_work(world, org_id)
    limits = RetentionLimits(every_s=0.02, rest_s=0)
    async with pool(database.url("opsc_deliver"), "test", max_size=2, wait_s=2) as connections:
        guard, days = guard_of(connections, AT_ONCE), Days(None, 5, None)
        retention = Retention(connections, days, guard, WebhookMetrics(), limits)
        async with at_work(retention.run):
            async with poisoned(world.admin, "DELETE ON events", f"OLD.org_id = '{bad}'"):
                await until(partial(is_set_aside, world.admin, "retention"))
                await until(partial(has_no_events, world, good))
                await was_set_aside(world.admin, "retention", f"events/{bad}")
                assert not await has_no_events(world, bad)
            await let_go(world.admin, "retention")
            await until(partial(has_no_events, world, bad))
            await until(partial(nothing_fails, world.admin))


async def test_of_old_positions_a_day_that_cannot_be_removed_keeps_no_other_from_it(
    world: World, database: DatabaseUnderTest
) -> None:
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    days = [
        (NOW - timedelta(days=ago)).replace(hour=12, minute=0, second=0, microsecond=0)
        for ago in (9, 8, 0)
    ]
    for at in days:
        await world.admin.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " VALUES (%s, %s, %s, 0, %s, 52.5, 13.4)",
            (tenant.org_id, vehicle.tracker_id, at, at),
        )
    await world.admin.execute(
        "UPDATE organizations SET positions_days = 3 WHERE org_id = %s", (tenant.org_id,)
    )
    first, _, today = days
    limits = RetentionLimits(every_s=0.02, rest_s=0)
    async with pool(database.url("opsc_deliver"), "test", max_size=2, wait_s=2) as connections:
        guard, forever = guard_of(connections, AT_ONCE), Days(None, None, None)
        retention = Retention(connections, forever, guard, WebhookMetrics(), limits)
        async with at_work(retention.run):
            condition = f"OLD.org_id = '{tenant.org_id}' AND OLD.time = '{first.isoformat()}'"
            async with poisoned(world.admin, "DELETE ON gps_events", condition):
                await until(partial(is_set_aside, world.admin, "retention"))
                await until(lambda: times(tenant) == [first, today])
                key = f"positions/{tenant.org_id}/{first.date().isoformat()}"
                await was_set_aside(world.admin, "retention", key)
            await let_go(world.admin, "retention")
            await until(lambda: times(tenant) == [today])
            await until(partial(nothing_fails, world.admin))


def times(tenant: Tenant) -> list[datetime]:
    return [at for (at,) in tenant.rows("SELECT time FROM gps_events ORDER BY time")]


async def old_events(world: World, org_id: UUID) -> None:
    await world.admin.execute(
        "INSERT INTO events (org_id, id, type, occurred_at, created_at, data, seq)"
        " VALUES (%s, gen_random_uuid(), 'asset.test', now(), %s, '{}', 1)",
        (org_id, NOW - timedelta(days=9)),
    )
    await world.admin.execute("UPDATE organizations SET event_seq = 1 WHERE org_id = %s", (org_id,))


async def old_failing_work(world: World, org_id: UUID) -> None:
    """Let a row have failed two days ago that nobody has tried since."""
    await world.admin.execute(
        "INSERT INTO failing_work (kind, key, org_id, tries, error, failed_at, retry_at)"
        " VALUES ('letter', %s, %s, 2, 'x', now() - interval '2 days', now() - interval '2 days')",
        (str(org_id), org_id),
    )


async def has_no_events(world: World, org_id: UUID) -> bool:
    return await world.rows("events", "id", "id", org_id) == []
