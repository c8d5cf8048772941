"""Bounds by address, and the proxies that say whose address it is."""

import socket
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import Wire, connect
from tests.servers import DatabaseUnderTest

PROXY_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BAD_USER_NAME_OR_PASSWORD = 0x86


@contextmanager
def bounded(database: DatabaseUnderTest, **settings: object) -> Iterator[System]:
    """Provide a system whose listener has these settings (`OPSC_LISTEN_...`)."""
    texts: Mapping[str, str] = {
        f"OPSC_LISTEN_{name.upper()}": str(value) for name, value in settings.items()
    }
    with running(database, texts) as system:
        yield system


@pytest.fixture(scope="module")
def system(database: DatabaseUnderTest) -> Iterator[System]:
    """Few may come from one address; a proxy at 127.0.0.2 speaks for others."""
    with bounded(
        database,
        max_unsigned_per_address=3,
        max_failures_per_address=2,
        exempt_networks="127.0.0.9/32",
        proxy_networks="127.0.0.2/32",
    ) as running_system:
        yield running_system


def proxied(system: System, address: str, *, command: int = 0x21) -> Wire:
    """Return a connection that the proxy speaks for; the header arrives in two pieces."""
    wire = Wire(system.port, source="127.0.0.2")
    is_6 = ":" in address
    body = socket.inet_pton(socket.AF_INET6 if is_6 else socket.AF_INET, address) * 2 + bytes(4)
    header = struct.pack("!12sBBH", PROXY_SIGNATURE, command, 0x21 if is_6 else 0x11, len(body))
    wire.send((header + body)[:14])
    wire.send((header + body)[14:])
    return wire


def is_cut(wire: Wire) -> bool:
    """Return whether the connection is ended without a word."""
    return wire.read() is None


async def test_an_address_has_so_many_connections_that_have_not_signed_in(
    system: System, tenant: Tenant
) -> None:
    vehicles = [await registered(tenant) for _ in range(5)]
    with ExitStack() as stack:
        for vehicle in vehicles:  # those that have do not count
            stack.enter_context(Wire.signed_in(system.port, vehicle.name))
        silent = [stack.enter_context(Wire(system.port)) for _ in range(3)]
        with Wire(system.port) as one_too_many:
            assert is_cut(one_too_many)
        stack.enter_context(Wire.signed_in(system.port, vehicles[0].name, source="127.0.0.3"))
        for _ in range(5):
            stack.enter_context(Wire(system.port, source="127.0.0.9"))
        silent[0].close()
        for wire in silent[1:]:
            wire.send(b"GET / HTTP/1.1\r\n\r\n")
            assert is_cut(wire)
        Wire.signed_in(system.port, vehicles[1].name).close()


async def test_an_address_that_fails_too_often_is_cut_for_a_while(
    system: System, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    for _ in range(2):
        with proxied(system, "192.0.2.1") as wire:
            wire.send(connect(vehicle.name, "wrong"))
            assert wire.connack() == BAD_USER_NAME_OR_PASSWORD
    with proxied(system, "192.0.2.1") as wire:
        assert is_cut(wire)
    with proxied(system, "192.0.2.2") as wire:
        wire.send(connect(vehicle.name))
        assert wire.connack() == 0


async def test_an_ipv6_network_of_64_bits_counts_as_one_address(system: System) -> None:
    with ExitStack() as stack:
        for number in range(3):
            stack.enter_context(proxied(system, f"2001:db8::{number}:1"))
        assert is_cut(stack.enter_context(proxied(system, "2001:db8::ffff:9")))
        other = stack.enter_context(proxied(system, "2001:db8:0:1::1"))
        other.send(connect("nobody"))
        assert other.connack() == BAD_USER_NAME_OR_PASSWORD


async def test_a_proxy_speaks_for_itself_too(system: System, tenant: Tenant) -> None:
    vehicle = await registered(tenant)
    with proxied(system, "192.0.2.7", command=0x20) as wire:
        wire.send(connect(vehicle.name))
        assert wire.connack() == 0


async def test_a_proxy_may_speak_version_1(system: System, tenant: Tenant) -> None:
    """As nginx does. What follows the line is the device's, whatever came with it."""
    vehicle = await registered(tenant)
    for line in (
        b"PROXY TCP4 192.0.2.8 192.0.2.1 40000 1883",
        b"PROXY TCP6 2001:db8:9::1 2001:db8::2 40000 1883",
        b"PROXY UNKNOWN",
        b"PROXY UNKNOWN ffff::1 ffff::2 1 2",
    ):
        with Wire(system.port, source="127.0.0.2") as wire:
            wire.send(line + b"\r\n" + connect(vehicle.name))
            assert wire.connack() == 0
    for _ in range(2):
        with Wire(system.port, source="127.0.0.2") as wire:
            wire.send(b"PROXY TCP4 192.0.2.9 192.0.2.1 40000 1883\r\n" + connect("nobody"))
            assert wire.connack() == BAD_USER_NAME_OR_PASSWORD
    with proxied(system, "192.0.2.9") as wire:  # who is the same client
        assert is_cut(wire)


def test_who_is_no_proxy_may_not_speak_as_one(system: System) -> None:
    for header in (struct.pack("!12sBBH", PROXY_SIGNATURE, 0x20, 0, 0), b"PROXY UNKNOWN\r\n"):
        with Wire(system.port, source="127.0.0.4") as wire:
            wire.send(header + connect("nobody"))
            assert is_cut(wire)


def test_a_proxy_must_begin_with_its_header(system: System) -> None:
    for wrong in (
        connect("nobody"),
        PROXY_SIGNATURE + b"\x31\x11\0\0",
        PROXY_SIGNATURE + b"\x21\x11\xff\xff",
        b"PROXY TCP4 192.0.2.9\r\n" + connect("nobody"),
        b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n" + connect("nobody"),
        b"PROXY UDP4 192.0.2.9 192.0.2.1 1 2\r\n" + connect("nobody"),
        b"PROXY UNKNOWN " + b"x" * 100,
    ):
        with Wire(system.port, source="127.0.0.2") as wire:
            wire.send(wrong)
            assert is_cut(wire)
