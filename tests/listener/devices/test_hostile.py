"""What devices that mean harm, or are broken, cannot take from others."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from listener.devices.takeovers import SignIns
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import PINGREQ, PINGRESP, Wire, connect, packet, text
from tests.servers import DatabaseUnderTest
from tests.waiting import until

HALF_BYTES = 60_000


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    """A listener with little memory, an eighth of it for connections that have not signed in."""
    small = {
        "OPSC_LISTEN_MAX_HELD_BYTES": str(1024 * 1024),
        "OPSC_LISTEN_TRACKER_MESSAGES_PER_S": "50",
    }
    with running(database, small) as running_system:
        yield running_system


def long_connect() -> bytes:
    return packet(0x10, text("MQTT") + b"\x04\x02\0\0" + text("c" * (HALF_BYTES + 1_000)))


async def test_connects_that_are_never_complete_hold_little_memory_and_keep_nobody_out(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with ExitStack() as stack:
        short = stack.enter_context(Wire(system.port))
        short.send(connect(vehicle.name)[:-1])
        halves = [stack.enter_context(Wire(system.port)) for _ in range(6)]
        for wire in halves:
            wire.send(long_connect()[:HALF_BYTES])
        name = 'opsc_listener_ended_total{reason="memory before sign-in"} 4.0'
        await until(lambda: name in system.listener.page("/metrics"))
        short.send(connect(vehicle.name)[-1:])
        assert short.connack() == 0
    with ExitStack() as stack:  # the memory of those that are gone can be held again
        for _ in range(2):
            half = stack.enter_context(Wire(system.port))
            half.send(long_connect()[:HALF_BYTES])
        other = stack.enter_context(Wire.signed_in(system.port, vehicle.name))
        other.send(PINGREQ)
        assert other.read() == (PINGRESP, b"")
        assert name in system.listener.page("/metrics")


async def test_who_connects_anew_has_not_more_messages_a_second(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(PINGREQ * 100)  # 20 seconds' worth
        assert [wire.read() for _ in range(100)] == [(PINGRESP, b"")] * 100
    with Wire.signed_in(system.port, vehicle.name) as wire:
        wire.send(PINGREQ)
        await until(
            lambda: "opsc_listener_paused_connections 1.0" in system.listener.page("/metrics")
        )


def test_who_signs_in_in_a_loop_waits_longer_and_longer() -> None:
    sign_ins, one, other = SignIns(), uuid4(), uuid4()
    assert [sign_ins.delay_s(one, 0.0) for _ in range(13)] == [0.0] * 10 + [0.5, 1.0, 1.5]
    assert sign_ins.delay_s(other, 0.0) == 0.0
    assert sign_ins.delay_s(one, 60.0) == 0.0


async def test_a_tracker_that_signs_in_in_a_loop_is_slowed_down(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    for _ in range(10):
        Wire.signed_in(system.port, vehicle.name).close()
    with Wire(system.port) as wire:
        wire.send(connect(vehicle.name))
        wire.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            wire.read()
        wire.socket.settimeout(20)
        assert wire.connack() == 0
