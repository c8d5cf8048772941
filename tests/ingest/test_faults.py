"""What breaks around ingest costs no fix and doubles no event."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from db.core import leases
from db.core.connect import Limits, connect
from ingest import leader
from ingest.leader import run
from ingest.runtime import IngestRuntime
from mqtt import BrokerAddress, Session, SessionOptions
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest, PostgresUnderTest, beside
from tests.waiting import until

HOME = (13.4, 52.5)
AWAY = (13.4, 52.5013)  # 145 m north: outside, and near enough to be there a second later
_START = soon(-3600)


async def _drive(device: Device, vehicle: Vehicle, first: int, last: int) -> None:
    """Send one fix a second of a drive that is inside for three fixes, then outside for three."""
    for number in range(first, last):
        place = HOME if number // 3 % 2 else AWAY
        await device.send(vehicle, fix(_START + timedelta(seconds=number), *place))


async def _check_drive(tenant: Tenant, fixes: int) -> None:
    """Check that all fixes are stored; visits and events are those of the drive, in order."""
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == fixes)
    changes = range(3, fixes, 3)
    expected = [
        (_START + timedelta(seconds=number), "enter" if number // 3 % 2 else "exit")
        for number in changes
    ]
    events = tenant.rows("SELECT occurred_at, data ->> 'transition' FROM events ORDER BY position")
    assert events == expected
    visits = tenant.rows("SELECT entered_at, left_at FROM visits ORDER BY entered_at")
    times = [at for at, _ in expected]
    assert visits == [
        (entered_at, times[2 * number + 1] if 2 * number + 1 < len(times) else None)
        for number, entered_at in enumerate(times[::2])
    ]


async def test_a_restart_goes_on_where_the_last_commit_stopped(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    client_id = f"ingest-{secrets.token_hex(4)}"
    for term in range(4):
        leader = runtime(database.url("opsc_ingest"), broker.url, client_id)
        async with running(leader):
            await _drive(device, vehicle, term * 10, term * 10 + 5)
        await _drive(device, vehicle, term * 10 + 5, term * 10 + 10)
    async with running(runtime(database.url("opsc_ingest"), broker.url, client_id)):
        await _check_drive(tenant, 40)


async def test_database_sessions_that_are_terminated_cost_nothing(
    tenant: Tenant, device: Device, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        for term in range(10):
            await _drive(device, vehicle, term * 6, term * 6 + 6)
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_ingest' AND datname = current_database()"
            )
    await _check_drive(tenant, 60)


async def test_postgresql_killed_and_started_again_costs_nothing(
    device: Device, broker: BrokerUnderTest, private_postgres: Callable[[], PostgresUnderTest]
) -> None:
    postgres = private_postgres()
    database = postgres.migrated_database()
    tenant = await Tenant.create(database)
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    leader = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with running(leader):
        await _drive(device, vehicle, 0, 20)
        await asyncio.to_thread(postgres.kill)
        await _drive(device, vehicle, 20, 40)
        await beside(postgres.start)
        await _check_drive(tenant, 40)


async def test_a_broker_that_restarts_in_order_costs_nothing(
    tenant: Tenant, database: DatabaseUnderTest, private_broker: Callable[..., BrokerUnderTest]
) -> None:
    broker = private_broker()
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    options = SessionOptions(client_id="device", reconnect_max_s=0.5)
    leader = runtime(database.url("opsc_ingest"), broker.url, "ingest")
    async with (
        running(leader),
        Session(BrokerAddress.parse(broker.url), options) as session,
    ):
        device = Device(session)
        await _drive(device, vehicle, 0, 20)
        await beside(broker.restart)
        await _drive(device, vehicle, 20, 40)
        await _check_drive(tenant, 40)


async def test_a_standby_takes_over_from_an_owner_that_died(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    client_id = f"ingest-{secrets.token_hex(4)}"
    url = database.url("opsc_ingest")
    async with asyncio.TaskGroup() as tasks:
        dying = tasks.create_task(_hold_lease_and_die(url, broker.url, client_id))
        await until(dying.done)
    await _drive(device, vehicle, 0, 10)
    async with running(runtime(url, broker.url, client_id)):
        await _check_drive(tenant, 10)


async def _hold_lease_and_die(url: str, broker_url: str, client_id: str) -> None:
    """Return a leader whose task is cancelled: it neither hands over nor says goodbye."""
    leader = runtime(url, broker_url, client_id)
    running_task = asyncio.create_task(run(leader))
    await until(lambda: leader.trouble() is None)
    running_task.cancel()
    await asyncio.gather(running_task, return_exceptions=True)


async def test_an_owner_that_slept_past_its_lease_writes_nothing_until_it_is_owner_again(
    tenant: Tenant, device: Device, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    await _drive(device, vehicle, 0, 10)
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        conn.execute(
            "UPDATE leases SET epoch = epoch + 1, holder = 'another',"
            " expires_at = now() + interval '1 second' WHERE name = 'ingest'"
        )
    await _drive(device, vehicle, 10, 30)
    await _check_drive(tenant, 30)
    assert b'failures_total{error="LeaseLost"} 1.0' in ingest.metrics.page()


async def test_the_owner_of_an_older_epoch_cannot_commit(database: DatabaseUnderTest) -> None:
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        old = await leases.acquire(conn, "sequencer", "old", 0.0)
        new = await leases.acquire(conn, "sequencer", "new", 60.0)
        assert old is not None
        assert new == old + 1
        assert await leases.acquire(conn, "sequencer", "third", 60.0) is None
        assert not await leases.renew(conn, "sequencer", old, 60.0)
        with pytest.raises(leases.LeaseLost):
            async with conn.transaction():
                await leases.check(conn, "sequencer", old)


async def test_a_lease_is_renewed_while_a_transaction_holds_its_epoch(
    database: DatabaseUnderTest,
) -> None:
    url = database.url("opsc_ingest")
    async with await connect(url, "test") as conn, await connect(url, "test") as renewing:
        await conn.execute("UPDATE leases SET expires_at = '-infinity' WHERE name = 'sequencer'")
        epoch = await leases.acquire(conn, "sequencer", "owner", 60.0)
        assert epoch is not None
        async with conn.transaction():
            await leases.check(conn, "sequencer", epoch)
            assert await leases.renew(renewing, "sequencer", epoch, 0.0)
            await renewing.execute("SET lock_timeout = '200ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await leases.acquire(renewing, "sequencer", "another", 60.0)


async def test_fixes_that_another_hand_stored_make_the_batch_take_the_careful_way(
    tenant: Tenant, device: Device, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    at = soon(-60)
    await device.send(vehicle, fix(at, *AWAY))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
    with psycopg.connect(database.url("admin")) as conn:
        conn.execute(
            "INSERT INTO gps_events (org_id, tracker_id, time, seq, received_at, lat, lon)"
            " VALUES (%s, %s, %s, 0, now(), 1, 1)",
            (tenant.org_id, vehicle.tracker_id, at + timedelta(seconds=1)),
        )
    await device.send(vehicle, *(fix(at + timedelta(seconds=n), *AWAY) for n in (1, 2)))
    await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 3)


async def test_changes_without_a_pause_do_not_keep_fixes_out(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*HOME))
    changing = asyncio.create_task(_change_for_ever(tenant))
    try:
        await _drive(device, vehicle, 0, 60)
        await _check_drive(tenant, 60)
    finally:
        changing.cancel()


async def _change_for_ever(tenant: Tenant) -> None:
    while True:
        await tenant.asset()


async def test_a_batch_that_the_database_cannot_take_at_once_is_taken_in_parts(
    device: Device,
    broker: BrokerUnderTest,
    postgres: PostgresUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(leader, "_LIMITS", Limits(transaction_s=1))
    database = postgres.migrated_database()
    database.run("admin", _SLOWLY)
    tenant = await Tenant.create(database)
    vehicle, other = await tenant.vehicle(), await tenant.vehicle()
    slow = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    slow.limits = replace(slow.limits, messages=32)
    async with running(slow):
        for first in range(0, 320, 20):
            times = (_START + timedelta(seconds=number) for number in range(first, first + 20))
            await device.send(vehicle, *(fix(at, *AWAY) for at in times))
        await device.send(other, fix(soon(-1), *AWAY))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 321)
    assert b'failures_total{error="TransactionTimeout"}' in slow.metrics.page()
    postgres.drop(database)


_SLOWLY = """
CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_sleep(0.01); RETURN NEW; END $$;
CREATE TRIGGER slowly BEFORE INSERT ON gps_events FOR EACH ROW EXECUTE FUNCTION take_time();
"""


async def test_a_visit_whose_fix_is_of_another_asset_by_now_does_not_go_on(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    elsewhere = await tenant.asset()
    await tenant.zone(square(*HOME))
    url, client_id = database.url("opsc_ingest"), f"ingest-{secrets.token_hex(4)}"
    async with running(runtime(url, broker.url, client_id)):
        await device.send(vehicle, fix(soon(120), *HOME))
        await until(lambda: len(tenant.rows("SELECT FROM visits")) == 1)
    await tenant.reassign(vehicle, elsewhere, soon(0))
    newcomer = await tenant.tracker(vehicle.asset_id, soon(0))
    async with running(runtime(url, broker.url, client_id)):
        await device.send(newcomer, fix(soon(1), *AWAY))
        await device.send(newcomer, fix(soon(200), *AWAY), fix(soon(201), *AWAY))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 4)
    await until(lambda: tenant.rows("SELECT retracted FROM visits") == [(True,)])
    told = tenant.rows("SELECT type, data->>'change' FROM events ORDER BY position")
    assert told == [("asset.geofence_breach", None), ("asset.visit_amended", "retracted")]
