"""What a connection hears while ingest is away, and how it ends."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from listener.worker import DRAIN_STEPS
from tests.ingest.conftest import fix
from tests.ingest.tenants import Tenant, Vehicle, soon
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import (
    PINGREQ,
    PINGRESP,
    PUBACK,
    Wire,
    connect,
    publish,
)
from tests.servers import DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

SERVER_SHUTTING_DOWN, SESSION_TAKEN_OVER, PACKET_TOO_LARGE = 0x8B, 0x8E, 0x95
QUOTA_EXCEEDED = 0x97
SHARE_MESSAGES = 20


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    slow = {"OPSC_LISTEN_TRACKER_MESSAGES_PER_S": "50"}
    with running(database, slow) as running_system:
        yield running_system


def topic_of(vehicle: Vehicle) -> str:
    return f"trackers/{vehicle.name}/fixes"


def a_fix(number: int) -> bytes:
    return json.dumps(fix(soon(-1_000 + number), 13.4, 52.5)).encode()


def packet_ids(wire: Wire, count: int) -> list[int]:
    """Return the packet ids of the next PUBACKs."""
    found = [wire.read() for _ in range(count)]
    assert [one and one[0] for one in found] == [PUBACK] * count
    return [int.from_bytes(body[:2], "big") for _, body in filter(None, found)]


def stored(tenant: Tenant) -> int:
    return len(tenant.rows("SELECT FROM gps_events"))


async def test_a_second_sign_in_ends_the_first(system: System, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    first = Wire.signed_in(system.port, vehicle.name)
    second = Wire.signed_in(system.port, vehicle.name)
    assert first.end() == SESSION_TAKEN_OVER
    second.send(publish(topic_of(vehicle), a_fix(0), 1))
    assert packet_ids(second, 1) == [1]


async def test_what_came_before_a_takeover_is_stored_once_and_let_go_of(
    system: System, tenant: Tenant
) -> None:
    """Else each takeover would take room at ingest away from everybody for good."""
    vehicle = await registered(tenant)
    sent = b"".join(publish(topic_of(vehicle), a_fix(n), n) for n in range(1, 11))
    system.ingest.freeze()
    try:
        first = Wire.signed_in(system.port, vehicle.name)
        first.send(sent)
        await until(lambda: "opsc_listener_unanswered 10.0" in system.listener.page("/metrics"))
        second = Wire.signed_in(system.port, vehicle.name)
        assert first.end() == SESSION_TAKEN_OVER
        second.send(sent)
    finally:
        system.ingest.thaw()
    assert packet_ids(second, 10) == list(range(1, 11))
    assert stored(tenant) == 10
    await until(lambda: "opsc_listener_unanswered 0.0" in system.listener.page("/metrics"))
    await until(lambda: "opsc_listener_held_bytes 0.0" in system.listener.page("/metrics"))


async def test_from_the_sixth_takeover_in_a_minute_on_the_newcomer_waits(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    taken_over = [Wire.signed_in(system.port, vehicle.name) for _ in range(7)]
    assert [wire.end() for wire in taken_over[:-1]] == [SESSION_TAKEN_OVER] * 6
    with Wire(system.port) as waiting:
        waiting.send(connect(vehicle.name))
        waiting.socket.settimeout(2.0)
        with pytest.raises(TimeoutError):
            waiting.read()


async def test_pings_are_answered_while_messages_wait_for_ingest(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name, version=4) as wire:
        system.ingest.freeze()
        try:
            for number in range(1, SHARE_MESSAGES + 1):
                wire.send(publish(topic_of(vehicle), a_fix(number), number, version=4))
            wire.send(PINGREQ)
            assert wire.read() == (PINGRESP, b"")
        finally:
            system.ingest.thaw()
        assert packet_ids(wire, SHARE_MESSAGES) == list(range(1, SHARE_MESSAGES + 1))
    assert stored(tenant) == SHARE_MESSAGES


async def test_who_sends_too_fast_is_read_slowly_and_refused_nothing(
    system: System, tenant: Tenant
) -> None:
    vehicle, count = await registered(tenant), 200  # 50 at once, then 50 a second
    with Wire.signed_in(system.port, vehicle.name, version=4) as wire:
        sending = b"".join(
            publish(topic_of(vehicle), a_fix(n), n, version=4) for n in range(1, count + 1)
        )
        thread = threading.Thread(target=wire.send, args=(sending,))
        thread.start()
        assert packet_ids(wire, count) == list(range(1, count + 1))
        thread.join()
    assert stored(tenant) == count


async def test_pings_in_a_flood_are_answered_slowly(system: System, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(PINGREQ * 20)
        assert [wire.read() for _ in range(20)] == [(PINGRESP, b"")] * 20
        await until(
            lambda: "opsc_listener_paused_connections 1.0" in system.listener.page("/metrics")
        )
        await until(
            lambda: "opsc_listener_paused_connections 0.0" in system.listener.page("/metrics")
        )


async def test_who_does_not_read_what_is_answered_is_cut(postgres: PostgresUnderTest) -> None:
    """By then the kernel's buffers are full, and 64 KiB beside."""
    tenant = await Tenant.create(postgres.migrated_database())
    vehicle, fast = await registered(tenant), {"OPSC_LISTEN_TRACKER_MESSAGES_PER_S": "10000000"}
    with (
        running(tenant.database, fast) as system,
        Wire.signed_in(system.port, vehicle.name) as wire,
    ):
        with suppress(ConnectionError, TimeoutError):
            for _ in range(1_000):
                wire.send(PINGREQ * 1_000)
        await until(lambda: ended(system, "answers not read") == 1)


def ended(system: System, reason: str) -> int:
    """Count the connections that the listener ended for a reason."""
    name = f'opsc_listener_ended_total{{reason="{reason}"}} '
    page = system.listener.page("/metrics")
    return sum(int(float(line[len(name) :])) for line in page.splitlines() if line.startswith(name))


async def test_a_message_of_513_kib_is_quarantined_and_one_of_5_mib_cuts(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(publish(topic_of(vehicle), bytes(513 * 1024), 1))
        answer = wire.read()
        assert answer is not None
        assert (answer[0], answer[1][:3]) == (PUBACK, b"\0\1" + bytes((QUOTA_EXCEEDED,)))
        assert tenant.rows("SELECT reason FROM quarantine") == [("oversize",)]
        wire.send(publish(topic_of(vehicle), bytes(5 * 1024 * 1024), 2)[:64])
        assert wire.end() == PACKET_TOO_LARGE


async def test_a_will_that_is_a_fix_is_stored_and_one_on_another_topic_is_not(
    system: System, tenant: Tenant
) -> None:
    for topic, delay_s, count in (("trackers/other/fixes", 0, 0), ("", 0, 1), ("", 1, 2)):
        vehicle = await registered(tenant)
        with Wire(system.port) as wire:
            will = (topic or topic_of(vehicle), a_fix(0), delay_s)
            wire.send(connect(vehicle.name, will=will, session_expiry_s=60))
            assert wire.connack() == 0
        await until(lambda count=count: stored(tenant) == count)


async def test_a_will_is_dropped_when_its_tracker_comes_back_in_time(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    dropped = 'opsc_listener_wills_total{result="dropped"}'
    for _ in range(3):
        with Wire(system.port) as wire:
            will = (topic_of(vehicle), bytes(60_000), 3_600)
            wire.send(connect(vehicle.name, will=will, session_expiry_s=7_200))
            assert wire.connack() == 0
    with Wire.signed_in(system.port, vehicle.name):
        page = system.listener.page("/metrics")
        assert dropped in page
        await until(lambda: "opsc_listener_held_bytes 0.0" in system.listener.page("/metrics"))


async def test_an_orderly_stop_commits_what_is_under_way_and_says_goodbye(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name, version=5) as wire:
        system.ingest.freeze()
        try:
            wire.send(b"".join(publish(topic_of(vehicle), a_fix(n), n) for n in range(1, 11)))
            await until(lambda: "opsc_listener_unanswered 10.0" in system.listener.page("/metrics"))
            os.kill(system.listener.pid, signal.SIGTERM)
            wire.send(publish(topic_of(vehicle), a_fix(11), 11))  # not read any more, or committed
        finally:
            system.ingest.thaw()
        acknowledged, last = 0, None
        while (found := wire.read()) is not None:
            acknowledged += found[0] == PUBACK
            last = found
        assert last is not None
        assert last[1][:1] == bytes((SERVER_SHUTTING_DOWN,))
        assert 10 <= acknowledged <= stored(tenant)
    system.listener.stop()
    system.listener.start()


async def test_an_orderly_stop_sends_devices_away_a_few_at_a_time_and_serves_the_others(
    system: System, tenant: Tenant
) -> None:
    vehicles = [await registered(tenant) for _ in range(DRAIN_STEPS + 1)]  # two leave at a time
    with ExitStack() as stack:
        devices = [stack.enter_context(Wire.signed_in(system.port, one.name)) for one in vehicles]
        os.kill(system.listener.pid, signal.SIGTERM)
        assert devices[0].end() == SERVER_SHUTTING_DOWN
        devices[-1].send(publish(topic_of(vehicles[-1]), a_fix(0), 1))
        assert packet_ids(devices[-1], 1) == [1]
        assert [one.end() for one in devices[1:]] == [SERVER_SHUTTING_DOWN] * DRAIN_STEPS
    system.listener.stop()
    system.listener.start()


async def test_an_orderly_stop_leaves_no_wills(system: System, tenant: Tenant) -> None:
    """Neither of those that it sends away, nor those that wait for their time."""
    vehicles = [await registered(tenant) for _ in range(3)]
    with ExitStack() as stack:
        for vehicle, delay_s in zip(vehicles, (0, 0, 1), strict=True):
            wire = stack.enter_context(Wire(system.port))
            will = (topic_of(vehicle), a_fix(0), delay_s)
            wire.send(connect(vehicle.name, will=will, session_expiry_s=60))
            assert wire.connack() == 0
            if delay_s:
                wire.close()
        await until(lambda: "signed_in_connections 2.0" in system.listener.page("/metrics"))
        system.listener.stop()
    system.listener.start()
    last = await registered(tenant)
    with Wire.signed_in(system.port, last.name) as wire:
        wire.send(publish(topic_of(last), a_fix(1), 1))
        assert packet_ids(wire, 1) == [1]
    assert stored(tenant) == 1


async def test_who_sent_too_fast_waits_on_the_next_connection_too(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(PINGREQ * 8_000)  # 50 a second are allowed, and 500 at once
        await until(lambda: "opsc_listener_paused_connections 1.0" in page(system))
    with Wire.signed_in(system.port, vehicle.name):
        await until(lambda: "opsc_listener_connections 1.0" in page(system))
        await until(lambda: "opsc_listener_paused_connections 1.0" in page(system))


def page(system: System) -> str:
    return system.listener.page("/metrics")


def test_what_comes_after_the_end_of_a_connection_is_not_kept(system: System) -> None:
    """It is read for two seconds, so that the device hears why, and not looked at."""
    before = peak_bytes(system)
    with Wire(system.port) as wire, suppress(OSError):
        wire.send(b"\0\0")
        for _ in range(1_600):
            wire.send(bytes(64 * 1024))  # 100 MiB
    assert peak_bytes(system) - before < 25 * 1024 * 1024


def peak_bytes(system: System) -> int:
    """Return the most memory that the listener has ever had."""
    status = Path(f"/proc/{system.listener.pid}/status").read_text()
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) * 1024
