"""TLS: versions, certificates of clients, and a certificate that is replaced while we run."""

import shutil
import ssl
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from stack.servers.checks import examine
from stack.servers.postgres import free_port
from tests.audit.certificates import write_certificates
from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import System, running
from tests.listener.wire import Wire, connect
from tests.servers import ANY_PORT, DatabaseUnderTest, PostgresUnderTest
from tests.waiting import until

SLOTS = 64
"""Handshakes at once."""


@dataclass(frozen=True)
class Secured:
    """A system with two ports for TLS, and the files of its certificate."""

    system: System
    tls_port: int
    tls12_port: int
    authority: Path
    chain: Path
    key: Path

    def client(self, *, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
        """Return what a device trusts."""
        context = ssl.create_default_context(cafile=self.authority)
        context.check_hostname = False
        context.maximum_version = newest
        return context


@pytest.fixture(scope="module")
def secured(
    database: DatabaseUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    files = write_certificates(tmp_path_factory.mktemp("certificates"))
    ports = free_port(ANY_PORT), free_port(ANY_PORT)
    settings = {
        "OPSC_LISTEN_TLS_PORT": str(ports[0]),
        "OPSC_LISTEN_TLS12_PORT": str(ports[1]),
        "OPSC_TLS_CERT": str(files[1]),
        "OPSC_TLS_KEY": str(files[2]),
        "OPSC_LISTEN_MAX_UNSIGNED_PER_ADDRESS": "100",
    }
    with running(database, settings) as system:
        yield Secured(system, *ports, *files)


async def test_devices_sign_in_over_tls_one_after_the_other(
    secured: Secured, tenant: Tenant
) -> None:
    """The first bytes of a handshake may come before we are ready for them."""
    vehicles = [await registered(tenant) for _ in range(3)]
    for vehicle in vehicles * 10:  # from the eleventh sign-in at once on, each has to wait
        with Wire(secured.tls_port, secured.client()) as wire:
            wire.send(connect(vehicle.name, client_id="c"))
            assert wire.connack() == 0
            wire.send(b"\xe0\x00")
            assert wire.read() is None


async def test_tls_1_2_is_spoken_on_its_own_port_alone_and_doctor_tells_who_was_turned_away(
    secured: Secured, tenant: Tenant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    vehicle, old = await registered(tenant), secured.client(newest=ssl.TLSVersion.TLSv1_2)
    with pytest.raises(OSError):  # an alert, or the end
        Wire(secured.tls_port, old)
    counted = 'refused_total{reason="tls version"} 1.0'
    await until(lambda: counted in secured.system.listener.page("/metrics"))
    monkeypatch.setenv("OPSC_LISTEN_HTTP", secured.system.listener.http)
    (told,) = [one for one in examine(tmp_path) if one.subject == "TLS"]
    assert told.level == "warning"
    assert "turned 1 connections away" in told.text
    with Wire(secured.tls12_port, old) as wire:
        wire.send(connect(vehicle.name))
        assert wire.connack() == 0
    with Wire(secured.tls12_port, secured.client()) as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.version() == "TLSv1.3"


async def test_handshakes_that_are_never_finished_keep_nobody_out(
    secured: Secured, tenant: Tenant
) -> None:
    vehicle = await registered(tenant)
    silent = [Wire(secured.tls_port) for _ in range(SLOTS + 10)]
    with Wire(secured.tls_port, secured.client()) as wire:
        wire.send(connect(vehicle.name))
        assert wire.connack() == 0
    for one in silent:
        one.close()


def test_bytes_that_are_no_tls_are_cut(secured: Secured) -> None:
    with Wire(secured.tls_port) as wire:
        wire.send(connect("nobody"))
        while (found := wire.socket.recv(100)) != b"":
            assert found[0] == 0x15  # an alert


async def test_new_connections_get_a_certificate_that_was_replaced(
    secured: Secured, tmp_path: Path
) -> None:
    before, replaced = ssl.get_server_certificate(("127.0.0.1", secured.tls_port)), tmp_path / "r"
    replaced.mkdir()
    _, chain, key = write_certificates(replaced)
    secured.chain.write_text("half of a certificate")  # is refused, and changes nothing
    assert ssl.get_server_certificate(("127.0.0.1", secured.tls_port)) == before
    shutil.copy(key, secured.key)
    shutil.copy(chain, secured.chain)
    await until(lambda: ssl.get_server_certificate(("127.0.0.1", secured.tls_port)) != before)


async def test_with_an_authority_for_clients_those_without_a_certificate_are_cut(
    postgres: PostgresUnderTest, tmp_path: Path
) -> None:
    tenant = await Tenant.create(postgres.migrated_database())
    port = free_port(ANY_PORT)
    authority, chain, key = write_certificates(tmp_path)
    settings = {
        "OPSC_LISTEN_TLS_PORT": str(port),
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
        "OPSC_LISTEN_CLIENT_CA": str(authority),
    }
    with running(tenant.database, settings) as system:
        secured = Secured(system, port, port, authority, chain, key)
        with suppress(OSError), Wire(port, secured.client()) as wire:
            assert wire.socket.recv(1) == b""  # TLS 1.3: the refusal follows the handshake
        assert 'refused_total{reason="tls certificate"} 1.0' in system.listener.page("/metrics")
