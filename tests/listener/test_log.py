"""A listener and an ingest with a log between them: an answer means that the log has it."""

import asyncio
import json
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from uuid import uuid4

import pytest

from listener.link.log import LogKeeper, LogSender
from listener.metrics import ListenerMetrics
from mqtt import BrokerAddress, Session, SessionOptions, Subscription
from service.amqp import rabbitmq
from service.amqp.address import LogAddress
from stack.servers.postgres import free_port
from telemetry.topics import ack_topic
from tests.audit.certificates import NAME
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.listener.registering import registered, rotate
from tests.listener.running import RoleProcess, System, running
from tests.listener.test_faults import Fleet, nothing_is_left, second, sending
from tests.listener.wire import Wire
from tests.servers import ANY_PORT, DatabaseUnderTest, LogUnderTest, beside
from tests.waiting import until

SESSION_TAKEN_OVER = 0x8E


@contextmanager
def with_log(database: DatabaseUnderTest, url: str, **settings: str) -> Iterator[System]:
    """Provide both roles, whose way to one another is the log."""
    way = {"OPSC_LOG_URL": url, **settings}
    with running(database, way, way) as system:
        yield system


@pytest.fixture
def log_url(log_server: LogUnderTest) -> str:
    return log_server.new_url()


@pytest.fixture
def system(database: DatabaseUnderTest, log_url: str) -> Iterator[System]:
    with with_log(database, log_url) as running_system:
        yield running_system


def warnings(role: RoleProcess) -> str:
    return " ".join(json.loads(role.page("/readyz")).get("warnings", ()))


async def test_devices_are_answered_while_ingest_is_away_and_all_is_stored_in_the_end(
    tenant: Tenant, system: System
) -> None:
    async with sending(tenant, system.port, by_log=True) as fleet:
        for _ in range(2):
            await asyncio.to_thread(system.ingest.kill)
            await fleet.progress(200)
            await beside(system.ingest.start)
            await fleet.progress()
        assert {one.connects for one in fleet.devices} == {1}
    await nothing_is_left(system.listener)


async def test_a_listener_that_is_killed_costs_nothing(tenant: Tenant, system: System) -> None:
    async with sending(tenant, system.port, by_log=True) as fleet:
        for _ in range(3):
            await asyncio.to_thread(system.listener.kill)
            await beside(system.listener.start)
            await fleet.progress()
    await nothing_is_left(system.listener)


async def test_a_log_that_is_killed_costs_nothing(
    tenant: Tenant, system: System, log_server: LogUnderTest
) -> None:
    async with sending(tenant, system.port, by_log=True) as fleet:
        await asyncio.to_thread(system.ingest.kill)  # so that something waits in it
        await fleet.progress(200)
        log_server.process.signal(signal.SIGSTOP)
        await stands_still(fleet)  # nothing is answered that the log has not confirmed
        await asyncio.to_thread(log_server.kill)
        await until(lambda: "the log cannot be reached" in warnings(system.listener))
        await beside(log_server.start)
        await beside(system.ingest.start)
        await fleet.progress()
        await asyncio.to_thread(log_server.kill)
        await beside(log_server.start)
        await fleet.progress()
        assert {one.connects for one in fleet.devices} == {1}
    await nothing_is_left(system.listener)
    await until(system.ingest.is_ready)


async def test_ingest_that_is_frozen_while_another_takes_over_costs_nothing(
    tenant: Tenant, system: System
) -> None:
    standby = second(system.ingest)
    with ExitStack() as ends:
        async with sending(tenant, system.port, by_log=True) as fleet:
            system.ingest.freeze()
            ends.callback(standby.stop)
            await beside(standby.start)
            await fleet.progress(200)
            system.ingest.thaw()
            await fleet.progress()
            await asyncio.to_thread(standby.kill)
            await fleet.progress()
            assert {one.connects for one in fleet.devices} == {1}


async def test_a_queue_that_is_full_keeps_its_organizations_waiting_and_nobody_else(
    database: DatabaseUnderTest, system: System, log_server: LogUnderTest, log_url: str
) -> None:
    full, other = [await Tenant.create(database, name) for name in ("Full", "Other")]
    while rabbitmq.queue_of(other.org_id) == rabbitmq.queue_of(full.org_id):
        other = await Tenant.create(database, "Other")
    name = rabbitmq.queue_name(rabbitmq.queue_of(full.org_id))
    policy = ["set_operator_policy", "-p", log_url.rpartition("/")[2], "small", f"^{name}$"]
    limit = '{"max-length-bytes": 20000}'
    await asyncio.to_thread(log_server.control, *policy, limit, "--apply-to", "queues")
    async with AsyncExitStack() as ends:
        others = await ends.enter_async_context(sending(other, system.port, by_log=True))
        fleet = await ends.enter_async_context(sending(full, system.port, by_log=True))
        await asyncio.to_thread(system.ingest.kill)
        await until(
            lambda: f"the log is full, or has no majority: {name}" in warnings(system.listener)
        )
        await stands_still(fleet)
        await others.progress()
        await stands_still(fleet)
        await beside(system.ingest.start)
        await fleet.progress()
        assert {one.connects for one in fleet.devices} == {1}
    assert "is full" not in warnings(system.listener)
    await nothing_is_left(system.listener)


async def stands_still(fleet: Fleet) -> None:
    """Fail where devices are answered, a full set of messages under way."""
    await until(lambda: all(len(one.waiting) == 20 for one in fleet.devices))
    answered = fleet.acknowledged
    await asyncio.sleep(1)
    assert fleet.acknowledged == answered


async def test_a_listener_shows_what_waits_while_no_ingest_leads(
    log_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("listener.link.log.COUNT_S", 0.1)
    address, metrics = LogAddress.parse(log_url), ListenerMetrics()
    keeper = LogKeeper(address, LogSender(uuid4()), metrics, None)
    keeping = asyncio.create_task(keeper.run())
    await until(lambda: keeper.trouble is None)
    log = await rabbitmq.connect(address, address.hosts[0], "test")
    for number in range(3):
        log.publish(rabbitmq.queue_name(number), b"block", is_lasting=True)
    await until(lambda: "opsc_listener_log_blocks 3.0" in metrics.page().decode())
    log.close()
    keeping.cancel()


async def test_devices_wait_while_the_log_lacks_memory(
    tenant: Tenant, system: System, log_server: LogUnderTest
) -> None:
    limit = "set_vm_memory_high_watermark"
    async with sending(tenant, system.port, by_log=True) as fleet:
        try:
            await asyncio.to_thread(log_server.control, limit, "0.0001")
            await until(lambda: "RabbitMQ lacks memory or disk" in warnings(system.listener))
            await stands_still(fleet)
        finally:
            await asyncio.to_thread(log_server.control, limit, "0.6")
        await fleet.progress()
        assert {one.connects for one in fleet.devices} == {1}
    await nothing_is_left(system.listener)


async def test_a_block_that_cannot_be_read_is_put_aside(
    tenant: Tenant, system: System, log_url: str
) -> None:
    address = LogAddress.parse(log_url)
    log = await rabbitmq.connect(address, address.hosts[0], "test")
    queue = rabbitmq.queue_name(rabbitmq.queue_of(tenant.org_id))
    async with sending(tenant, system.port, by_log=True) as fleet:
        for nonsense in (b"nonsense", b"\xff" * 100_000, b"\x02\0\0\0\x04\0"):
            log.publish(queue, nonsense, is_lasting=True)
        await fleet.progress(200)
    assert await log.depth(rabbitmq.UNREADABLE) == 3
    log.close()
    assert "opsc_ingest_log_unreadable 3.0" in system.ingest.page("/metrics")
    assert "a block of the log cannot be read" in system.ingest.log.read_text()


async def test_a_device_that_goes_to_another_listener_is_ended_at_the_first(
    tenant: Tenant, system: System
) -> None:
    vehicle, *more = [await registered(tenant) for _ in range(8)]
    port = free_port(ANY_PORT)
    other = second(system.listener, OPSC_LISTEN_PORT=str(port))
    with ExitStack() as ends:
        ends.callback(other.stop)
        await beside(other.start)
        system.ingest.freeze()  # what it hears of both, it hears at once
        moved = [
            [await asyncio.to_thread(Wire.signed_in, at, each.name) for at in (system.port, port)]
            for each in more
        ]
        system.ingest.thaw()
        for left, _ in moved:
            assert await asyncio.to_thread(left.end) == SESSION_TAKEN_OVER
        first = await asyncio.to_thread(Wire.signed_in, system.port, vehicle.name)
        next_one = await asyncio.to_thread(Wire.signed_in, port, vehicle.name)
        assert await asyncio.to_thread(first.end) == SESSION_TAKEN_OVER
        await asyncio.to_thread(system.ingest.kill)
        await beside(system.ingest.start)  # it is told of all connections
        await asyncio.to_thread(Wire.signed_in, system.port, vehicle.name)
        assert await asyncio.to_thread(next_one.end) == SESSION_TAKEN_OVER


async def test_receipts_reach_a_device_that_ingest_never_saw_sign_in(
    tenant: Tenant, system: System
) -> None:
    vehicle = await asking(tenant)
    options = SessionOptions(
        vehicle.name,
        username=vehicle.name,
        password=b"secret",
        subscriptions=(Subscription(ack_topic(vehicle.name)),),
    )
    async with Session(BrokerAddress.parse(system.url), options) as session:
        for number in range(2):
            at = soon(-60 + number)
            content = json.dumps(fix(at, 13.4, 52.5)).encode()
            await session.publish(f"trackers/{vehicle.name}/fixes", content, qos=1)
            async with asyncio.timeout(60):
                (receipt,) = await session.receive()
            session.acknowledge([receipt])
            assert json.loads(receipt.payload)["count"] == 1
            await asyncio.to_thread(system.ingest.kill)
            await beside(system.ingest.start)


async def asking(tenant: Tenant) -> Vehicle:
    """Return a vehicle whose tracker wants receipts."""
    vehicle = await tenant.vehicle()
    await tenant.wants_receipts(vehicle)
    await rotate(tenant, vehicle.tracker_id, "secret")
    return vehicle


async def test_both_roles_speak_tls_with_a_log_of_an_authority_of_their_own(
    database: DatabaseUnderTest, tenant: Tenant, log_server: LogUnderTest
) -> None:
    url, authority = log_server.new_url(tls_host=NAME), str(log_server.authority)
    with with_log(database, url, OPSC_LOG_TLS_CA=authority) as system:
        async with sending(tenant, system.port, by_log=True) as fleet:
            await fleet.progress(200)
        await nothing_is_left(system.listener)
