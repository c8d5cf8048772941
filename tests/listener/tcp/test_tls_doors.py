"""Boxes over TLS."""

import asyncio
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stack.servers.postgres import free_port
from tests.audit.certificates import write_certificates
from tests.ingest.tenants import Tenant
from tests.listener.running import System, running
from tests.listener.tcp.boxes import Box, claimed, login, packet, record
from tests.servers import ANY_PORT, DatabaseUnderTest

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())


@dataclass(frozen=True)
class Secured:
    """A system with ports for boxes with TLS 1.3, and with 1.2 too."""

    system: System
    tls_port: int
    tls12_port: int
    authority: Path

    async def box(self, port: int, newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> Box:
        context = ssl.create_default_context(cafile=self.authority)
        context.check_hostname = False
        context.maximum_version = newest
        return Box(*await asyncio.open_connection("127.0.0.1", port, ssl=context))


@pytest.fixture(scope="module")
def secured(
    database: DatabaseUnderTest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Secured]:
    authority, chain, key = write_certificates(tmp_path_factory.mktemp("certificates"))
    tls, tls12 = free_port(ANY_PORT), free_port(ANY_PORT)
    settings = {
        "OPSC_LISTEN_TELTONIKA": f"tls://127.0.0.1:{tls}, tls12://127.0.0.1:{tls12}",
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
    }
    with running(database, settings) as system:
        yield Secured(system, tls, tls12, authority)


async def test_a_box_sends_over_tls(secured: Secured, tenant: Tenant) -> None:
    for number, (port, newest) in enumerate(
        [
            (secured.tls_port, ssl.TLSVersion.TLSv1_3),
            (secured.tls12_port, ssl.TLSVersion.TLSv1_3),
            (secured.tls12_port, ssl.TLSVersion.TLSv1_2),
        ]
    ):
        box = await secured.box(port, newest)
        assert await box.asked(login(await claimed(tenant)), 1) == b"\x01"
        assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
        box.close()
    assert tenant.rows("SELECT count(*) FROM gps_events") == [(3,)]


async def test_tls_1_2_is_spoken_where_it_is_said_alone(secured: Secured) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await secured.box(secured.tls_port, ssl.TLSVersion.TLSv1_2)


async def test_bytes_that_are_no_tls_are_cut(secured: Secured, tenant: Tenant) -> None:
    box = Box(*await asyncio.open_connection("127.0.0.1", secured.tls_port))
    assert await box.asked(login(await claimed(tenant)), 1) != b"\x01"
    box.close()
