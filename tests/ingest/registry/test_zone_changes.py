"""Zones that change while assets move: taken in without a restart, and without a false breach."""

import asyncio
import json
import secrets
import time
from datetime import timedelta

from db.core.connect import connect
from db.ingest.registry import changes_since, unchanging
from ingest.planning.decoded_batch import decode_batch
from ingest.registry.registry import Registry
from ingest.transaction import plan_with_lookups, store
from service.clock import Clock
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.seam import DeviceMessage, now_us, term_of
from tests.ingest.tenants import Tenant, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)  # 145 m north: outside, and near enough to be there a second later
WAITING = """
SELECT FROM pg_locks WHERE NOT granted AND relation = 'tracker_assignments'::regclass
"""


async def _events(tenant: Tenant) -> list[str]:
    query = "SELECT data ->> 'transition' FROM events ORDER BY position"
    return [transition for (transition,) in tenant.rows(query)]


async def _stored(tenant: Tenant, fixes: int) -> None:
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)


async def test_a_zone_made_while_ingest_runs_is_judged(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(-5), *AWAY))
    await _stored(tenant, 1)
    await tenant.zone(square(*HOME), valid_from=soon(0))
    await device.send(vehicle, fix(soon(0.1), *HOME))
    await until(lambda: len(tenant.rows("SELECT FROM events")) == 1)


async def test_a_deleted_zone_ends_its_visits_without_a_breach_at_the_next_fix(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    changed_at = await tenant.change_zone(zone_id, None)
    await device.send(vehicle, fix(soon(0.1), *HOME))
    await _stored(tenant, 2)
    assert tenant.rows("SELECT left_at, exit_cause FROM visits") == [(changed_at, "zone_changed")]
    assert await _events(tenant) == ["enter"]


async def test_a_zone_moved_away_ends_its_visits_and_can_be_entered_again(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(*HOME))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    await tenant.change_zone(zone_id, square(*AWAY))
    await device.send(vehicle, fix(soon(0.1), *HOME))
    await device.send(vehicle, fix(soon(0.2), *AWAY))
    await _stored(tenant, 3)
    rows = tenant.rows("SELECT zone_version, exit_cause FROM visits ORDER BY entered_at")
    assert rows == [(1, "zone_changed"), (2, None)]
    assert await _events(tenant) == ["enter", "enter"]


async def test_a_zone_moved_under_a_standing_asset_opens_a_visit_without_a_breach(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(*AWAY))
    await device.send(vehicle, fix(soon(-5), *HOME))
    await _stored(tenant, 1)
    changed_at = await tenant.change_zone(zone_id, square(*HOME))
    await device.send(vehicle, fix(soon(0.1), *HOME))
    await _stored(tenant, 2)
    assert tenant.rows("SELECT entered_at, entry_cause, change_time FROM visits") == [
        (changed_at, "zone_changed", changed_at)
    ]
    assert await _events(tenant) == []


async def test_fixes_from_before_an_edit_are_judged_by_the_zone_as_it_was(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    zone_id = await tenant.zone(square(*HOME))
    await tenant.change_zone(zone_id, square(*AWAY))
    at = soon(-60)
    await device.send(
        vehicle, fix(at, *AWAY), fix(at + timedelta(seconds=1), *HOME), fix(soon(0.1), *AWAY)
    )
    await _stored(tenant, 3)
    rows = tenant.rows("SELECT zone_version, exit_cause FROM visits ORDER BY entered_at")
    assert rows == [(1, "zone_changed"), (2, None)]
    assert await _events(tenant) == ["enter", "enter"]


async def _visits(tenant: Tenant) -> list[tuple[object, ...]]:
    return tenant.rows(
        "SELECT entered_at, left_at, entry_cause FROM visits"
        " WHERE NOT retracted ORDER BY entered_at"
    )


async def test_a_zone_with_a_beginning_in_the_past_judges_nothing_that_is_stored(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    """Not when it is made, and not when a late fix has the past judged again."""
    vehicle, at = await tenant.vehicle(), soon(-100)
    for seconds, place in ((0, HOME), (10, HOME), (20, AWAY), (21, AWAY), (30, HOME), (31, HOME)):
        await device.send(vehicle, fix(at + timedelta(seconds=seconds), *place))
    await _stored(tenant, 6)
    await tenant.zone(square(*HOME), valid_from=at + timedelta(seconds=5), made_now=True)
    await device.send(vehicle, fix(at + timedelta(seconds=25), *AWAY))
    await _stored(tenant, 7)
    assert await _visits(tenant) == []
    await device.send(vehicle, fix(at + timedelta(seconds=40), *HOME))
    await _stored(tenant, 8)
    assert await _visits(tenant) == [(at + timedelta(seconds=40), None, "moved")]
    await device.send(vehicle, fix(at + timedelta(seconds=15), *HOME))
    await _stored(tenant, 9)
    late = (at + timedelta(seconds=15), at + timedelta(seconds=20), "moved")
    assert await _visits(tenant) == [late, (at + timedelta(seconds=40), None, "moved")]
    assert await _events(tenant) == ["enter", "enter", "exit"]


async def test_a_clock_that_is_behind_receives_nothing_before_a_zone_that_it_knows(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-3)
    await tenant.zone(square(*HOME), valid_from=soon(-30), made_now=True)
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    leader = runtime(url, broker.url, client_id)
    leader.clock = Clock(leader.metrics.clock_jumped, lambda: time.time_ns() - 120 * 1_000_000_000)
    async with running(leader):
        await device.send(vehicle, fix(at, *HOME))
        await _stored(tenant, 1)
    assert await _visits(tenant) == [(at, None, "initial")]
    ((zone_made_at,),) = tenant.rows("SELECT created_at FROM zone_versions")
    ((received_at,),) = tenant.rows("SELECT received_at FROM gps_events")
    assert zone_made_at <= received_at < zone_made_at + timedelta(seconds=1)


async def test_a_zone_with_a_beginning_in_the_past_comes_to_an_asset_that_was_silent_since(
    tenant: Tenant, device: Device, ingest: object
) -> None:
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(-60), *HOME))
    await _stored(tenant, 1)
    await tenant.zone(square(*HOME), valid_from=soon(-30), made_now=True)
    await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)
    ((made_at,),) = tenant.rows("SELECT created_at FROM zone_versions")
    assert await _visits(tenant) == [(made_at, None, "zone_changed")]
    assert await _events(tenant) == []


async def test_writers_go_on_while_a_change_is_read_and_what_they_write_is_judged(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    """The batch that sees a zone sees also the one that was made while the first was read."""
    vehicle = await tenant.vehicle()
    async with term_of(database) as term, await connect(database.url("admin"), "test") as admin:
        payload = json.dumps(fix(soon(-1), *HOME)).encode()
        topic = f"trackers/{vehicle.name}/fixes"
        arrivals = decode_batch([DeviceMessage(vehicle.tracker_id, topic, payload)], now_us())
        plan = await plan_with_lookups(term.conn, arrivals, term.memory, now_us)
        await tenant.zone(square(*AWAY))
        async with admin.transaction():
            await admin.execute("LOCK TABLE tracker_assignments")  # which is read with the changes
            storing = asyncio.create_task(store(term, arrivals, plan))
            await until(lambda: database.run("admin", WAITING))
            async with asyncio.timeout(10):  # it would wait for the batch, which waits for it
                await tenant.zone(square(*HOME), valid_from=soon(-5))
        stored = await storing
        assert stored.plan.revision == term.memory.registry.revision
    assert len(tenant.rows("SELECT FROM visits")) == 1


async def test_a_zone_that_ends_is_read_without_its_shape(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    zone_id = await tenant.zone(square(*HOME))
    async with database.connection("opsc_ingest") as conn:
        async with unchanging(conn):
            before = await changes_since(conn, -1)
        await tenant.change_zone(zone_id, square(*AWAY))
        async with unchanging(conn):
            after = await changes_since(conn, before.revision)
            whole = await changes_since(conn, -1)
    assert [row.shape is None for row in after.zone_versions] == [True, False]
    assert all(row.shape is not None for row in (*before.zone_versions, *whole.zone_versions))
    registry = Registry()
    registry.apply(before)
    registry.apply(after)
    assert len(registry.index) == len(whole.zone_versions)
