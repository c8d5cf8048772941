"""The ports of boxes: several processes behind them, and a proxy before them."""

import asyncio
import socket
import ssl
import struct
from datetime import UTC, datetime
from pathlib import Path

from stack.servers.postgres import free_port
from tests.audit.certificates import write_certificates
from tests.ingest.tenants import Tenant
from tests.listener.devices.test_limits import PROXY_SIGNATURE
from tests.listener.running import running
from tests.listener.tcp.boxes import Box, claimed, login, packet, record
from tests.servers import ANY_PORT, DatabaseUnderTest

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
HEADER = struct.pack("!12sBBH", PROXY_SIGNATURE, 0x21, 0x11, 12) + bytes(
    (*socket.inet_aton("192.0.2.7"), *socket.inet_aton("192.0.2.1"), 0, 9, 0, 9)
)


async def test_processes_share_the_port_and_a_proxy_names_the_address(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    settings = {"OPSC_LISTEN_PROCESSES": "2", "OPSC_LISTEN_PROXY_NETWORKS": "127.0.0.0/8"}
    with running(database, settings) as system:
        for number in range(6):
            box, imei = await Box.connected(system), await claimed(tenant)
            assert await box.asked(HEADER + login(imei), 1) == b"\x01"
            assert await box.asked(packet([record(NOW_MS + number)])) == b"\0\0\0\x01"
        box = await Box.connected(system)
        assert await box.asked(login(await claimed(tenant)), 1) == b""  # without a header
    assert tenant.rows("SELECT count(*) FROM gps_events") == [(6,)]


async def test_a_proxy_before_tls_names_the_address(
    database: DatabaseUnderTest, tenant: Tenant, tmp_path: Path
) -> None:
    authority, chain, key = write_certificates(tmp_path)
    port, imei = free_port(ANY_PORT), await claimed(tenant)
    settings = {
        "OPSC_LISTEN_TELTONIKA": f"tls://127.0.0.1:{port}",
        "OPSC_LISTEN_PROXY_NETWORKS": "127.0.0.0/8",
        "OPSC_TLS_CERT": str(chain),
        "OPSC_TLS_KEY": str(key),
    }
    context = ssl.create_default_context(cafile=authority)
    context.check_hostname = False
    with running(database, settings):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEADER)
        await writer.start_tls(context)
        box = Box(reader, writer)
        assert await box.asked(login(imei), 1) == b"\x01"
        assert await box.asked(packet([record(NOW_MS)])) == b"\0\0\0\x01"
        box.close()
    assert tenant.rows("SELECT count(*) FROM gps_events") == [(1,)]
