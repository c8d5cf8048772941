"""What comes through the inbox is dealt with like what comes from the broker, once."""

import asyncio
import json
import secrets
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from db.core.connect import Connection, connect, pool
from db.core.ids import new_id
from db.core.tenant import act_for
from db.history import quarantine_list
from db.history.inbox import InboxMessage, NewMessage, put
from db.history.quarantine_list import QuarantinedMessage, QuarantineFilter
from ingest.planning.acceptance import Acceptance
from ingest.runtime import IngestRuntime
from ingest.sources import source
from ingest.sources.batching import BatchLimits, batch
from ingest.sources.source import InboxSource
from tests.db.core.hearing import wake_ups_at
from tests.ingest.conftest import Device, fix, running, runtime
from tests.ingest.tenants import Tenant, Vehicle, soon, square
from tests.servers import BrokerUnderTest, DatabaseUnderTest
from tests.waiting import until

PLACE = (13.4, 52.5)


def _body(*fixes: dict[str, Any]) -> bytes:
    return json.dumps(list(fixes)).encode()


async def _put(tenant: Tenant, vehicle: Vehicle, *payloads: bytes) -> None:
    conn = await connect(tenant.database.url("opsc_app"), "test")
    async with conn, conn.transaction():
        await act_for(conn, tenant.org_id)
        for payload in payloads:
            await put(conn, NewMessage(tenant.org_id, f"trackers/{vehicle.name}/fixes", payload))


def _inbox(database: DatabaseUnderTest) -> int:
    with psycopg.connect(database.url("admin")) as conn:
        return len(conn.execute("SELECT FROM inbox").fetchall())


async def test_fixes_of_the_inbox_are_stored_and_judged_once(
    tenant: Tenant, device: Device, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    first, second = fix(soon(-9), *PLACE), fix(soon(-8), *PLACE)
    await _put(tenant, vehicle, _body(first), _body(first, second), b"hello")
    await device.send(vehicle, second)
    await until(lambda: _inbox(database) == 0 and len(tenant.rows("SELECT FROM gps_events")) == 2)
    assert tenant.rows("SELECT count(*) FROM visits") == [(1,)]
    breaches = "SELECT count(*) FROM events WHERE type = 'asset.geofence_breach'"
    assert tenant.rows(breaches) == [(1,)]
    assert tenant.rows("SELECT reason, releases FROM quarantine") == [("undecodable", 0)]


async def test_the_inbox_is_read_while_the_broker_is_away(
    tenant: Tenant, database: DatabaseUnderTest, private_servers: Any
) -> None:
    broker: BrokerUnderTest = private_servers.start_broker()
    vehicle = await tenant.vehicle()
    async with running(runtime(database.url("opsc_ingest"), broker.url, "ingest")):
        broker.kill()
        await _put(tenant, vehicle, _body(fix(soon(-9), *PLACE)))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)


async def test_a_message_wakes_up_ingest_which_would_not_look_for_long(
    tenant: Tenant,
    database: DatabaseUnderTest,
    broker: BrokerUnderTest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source, "POLL_S", 3600.0)
    vehicle = await tenant.vehicle()
    sender = wake_ups_at(database.url("opsc_app"))
    reader = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    async with (
        sender.running(),
        pool(database.url("opsc_app"), "test", max_size=1) as connections,
        running(reader),
    ):
        connections.on_committed = sender.send
        await until(lambda: reader.wake_ups.is_listening)
        for number in range(3):
            message = NewMessage(
                tenant.org_id,
                f"trackers/{vehicle.name}/fixes",
                _body(fix(soon(number - 9), *PLACE)),
            )
            async with connections.connection() as conn, conn.transaction():
                await act_for(conn, tenant.org_id)
                await put(conn, message)
            stored = number + 1
            await until(lambda n=stored: len(tenant.rows("SELECT FROM gps_events")) == n)


async def test_wake_ups_make_the_inbox_due_at_most_a_hundred_times_a_second(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    clock = asyncio.get_running_loop()
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        inbox, limits = InboxSource(conn), BatchLimits(messages=3, bytes=100, latency_ms=0)
        before_s = clock.time()
        assert not await inbox.batch(limits)
        assert inbox.due_s >= before_s + source.POLL_S
        inbox.wake()
        assert before_s + source.WOKEN_S <= inbox.due_s < before_s + source.POLL_S


class _Silent:
    """A source whose messages never come."""

    async def receive(self, max_messages: int, max_bytes: int) -> list[InboxMessage]:
        await asyncio.Event().wait()
        raise AssertionError


async def test_work_in_the_inbox_ends_the_wait_for_another_source() -> None:
    limits = BatchLimits(messages=3, bytes=100, latency_ms=0, idle_s=3600)
    waiting = asyncio.create_task(batch(_Silent(), limits, lambda _: 0.0))
    await asyncio.sleep(0)
    limits.wait.cut(asyncio.get_running_loop().time())
    limits.wait.cut(asyncio.get_running_loop().time())
    assert await asyncio.wait_for(waiting, 30) == []
    limits.wait.cut(0.0)  # nobody waits


async def test_sessions_that_are_terminated_lose_and_double_nothing_of_the_inbox(
    tenant: Tenant, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-600)
    await tenant.zone(square(*PLACE))
    with psycopg.connect(database.url("admin"), autocommit=True) as conn:
        for term in range(8):
            fixes = [fix(at + timedelta(seconds=4 * term + n), *PLACE) for n in range(4)]
            await _put(tenant, vehicle, *(_body(one) for one in fixes), b"bad %d" % term)
            conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE usename = 'opsc_ingest' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
    await until(lambda: _inbox(database) == 0)
    assert tenant.rows("SELECT count(*), count(DISTINCT time) FROM gps_events") == [(32, 32)]
    assert tenant.rows("SELECT count(*) FROM events") == [(1,)]
    seen = tenant.rows("SELECT seen FROM quarantine WHERE reason = 'undecodable'")
    assert seen == [(1,)] * 8


async def test_what_of_the_inbox_is_under_way_is_bounded_and_passed_over(
    tenant: Tenant, database: DatabaseUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await _put(tenant, vehicle, b"1" * 60, b"2" * 60, b"3" * 60, b"4")
    async with await connect(database.url("opsc_ingest"), "test") as conn:
        of_inbox, limits = InboxSource(conn), BatchLimits(messages=3, bytes=100, latency_ms=0)
        first = await of_inbox.batch(limits)
        assert [message.payload[:1] for message in first] == [b"1", b"2"]
        second = await of_inbox.batch(limits)
        assert [message.payload[:1] for message in second] == [b"3"]
        assert await of_inbox.batch(limits) == (), "as many as a batch may have are under way"
        async with conn.transaction():
            await of_inbox.remove_finished(conn, first)
        of_inbox.acknowledge(first, [0, 0])
        rest = await InboxSource(conn).batch(limits)
        assert [message.payload[:1] for message in rest] == [b"3", b"4"]
        async with conn.transaction():
            await of_inbox.remove_finished(conn, rest)
    assert _inbox(database) == 0


async def _listed(conn: Connection) -> list[QuarantinedMessage]:
    wanted = QuarantineFilter()
    return await quarantine_list.MESSAGES.listing(conn, wanted, after=None, limit=100, offset=0)


async def test_a_message_of_an_unknown_tracker_is_released_once_the_tracker_is_there(
    tenant: Tenant, device: Device, ingest: IngestRuntime, database: DatabaseUnderTest
) -> None:
    """The operator's way."""
    await tenant.zone(square(*PLACE))
    vehicle = Vehicle(new_id(), await tenant.asset())
    await device.send(vehicle, fix(soon(-9), *PLACE))
    async with await connect(database.url("opsc_owner"), "test") as conn:

        async def refused() -> bool:
            return any(vehicle.name in row.topic for row in await _listed(conn))

        await until(refused)
        (row,) = [row for row in await _listed(conn) if vehicle.name in row.topic]
        async with conn.transaction():
            assert await quarantine_list.release(conn, row.id) == "released"
        await until(lambda: _inbox(database) == 0)
        again = await quarantine_list.find(conn, row.id)
        assert again is not None, "still unknown: it came back"
        assert (again.releases, again.released_at, again.seen) == (1, None, 2)
        await _register(tenant, vehicle)
        async with conn.transaction():
            assert await quarantine_list.release(conn, row.id) == "released"
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 1)
        await until(lambda: _inbox(database) == 0)
        assert await quarantine_list.find(conn, row.id) is None
    assert len(tenant.rows("SELECT FROM events")) == 1


async def _register(tenant: Tenant, vehicle: Vehicle) -> None:
    """Register a tracker of a given id, as no route makes it: from an older copy of
    the database.
    """
    with psycopg.connect(tenant.database.url("admin")) as conn:
        conn.execute("UPDATE zones_revision SET revision = revision + 1")
        conn.execute(
            "INSERT INTO trackers (org_id, id, secret_hash, revision)"
            " SELECT %s, %s, %s, revision FROM zones_revision",
            (tenant.org_id, vehicle.tracker_id, bytes(32)),
        )
        conn.execute(
            "INSERT INTO tracker_assignments (org_id, id, tracker_id, asset_id, assigned_from,"
            " revision) SELECT %s, %s, %s, %s, '2020-01-01', revision FROM zones_revision",
            (tenant.org_id, new_id(), vehicle.tracker_id, vehicle.asset_id),
        )


async def test_what_is_refused_for_another_reason_comes_back_under_its_id(
    tenant: Tenant, device: Device, ingest: IngestRuntime
) -> None:
    vehicle = await tenant.vehicle()
    await device.send(vehicle, fix(soon(600), *PLACE))
    await until(lambda: len(tenant.rows("SELECT FROM quarantine")) == 1)
    ((row_id, reason),) = tenant.rows("SELECT id, reason FROM quarantine")
    assert reason == "future"
    await tenant.revoke(vehicle)
    assert await tenant.release(row_id) == "released"
    assert await tenant.release(row_id) == "waiting"
    query = "SELECT id, reason, releases, released_at, seen FROM quarantine"
    await until(lambda: tenant.rows(query) == [(row_id, "revoked_tracker", 1, None, 2)])


async def test_of_an_array_that_is_released_the_good_fixes_stay_as_they_are(
    tenant: Tenant, device: Device, database: DatabaseUnderTest, broker: BrokerUnderTest
) -> None:
    vehicle = await tenant.vehicle()
    await tenant.zone(square(*PLACE))
    client_id = f"ingest-{secrets.token_hex(4)}"
    strict = runtime(database.url("opsc_ingest"), broker.url, client_id)
    strict.acceptance = Acceptance(retention_days=30)
    old, new = soon(-86_400 * 31), soon(-5)
    async with running(strict):
        await device.send(vehicle, fix(old, *PLACE), fix(new, *PLACE))
        await until(lambda: len(tenant.rows("SELECT FROM quarantine")) == 1)
    ((row_id, reason, positions),) = tenant.rows("SELECT id, reason, positions FROM quarantine")
    assert (reason, positions) == ("ancient", [0])
    async with running(runtime(database.url("opsc_ingest"), broker.url, client_id)):
        assert await tenant.release(row_id) == "released"
        await until(lambda: tenant.rows("SELECT FROM quarantine") == [])
    assert tenant.rows("SELECT time FROM gps_events ORDER BY time") == [(old,), (new,)]


async def test_what_was_over_the_rate_is_stored_when_it_is_released(
    tenant: Tenant, database: DatabaseUnderTest, broker: BrokerUnderTest, device: Device
) -> None:
    vehicle, at = await tenant.vehicle(), soon(-60)
    strict = runtime(database.url("opsc_ingest"), broker.url, f"ingest-{secrets.token_hex(4)}")
    strict.acceptance = Acceptance(max_fixes_per_s=1)
    async with running(strict):
        await device.send(vehicle, *(fix(at, *PLACE, seq=number) for number in range(15)))
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 10)
        ((row_id, positions),) = tenant.rows("SELECT id, positions FROM quarantine")
        assert positions == [10, 11, 12, 13, 14]
        assert await tenant.release(row_id) == "released"
        await until(lambda: len(tenant.rows("SELECT FROM gps_events")) == 15)
        await until(lambda: tenant.rows("SELECT FROM quarantine") == [])
