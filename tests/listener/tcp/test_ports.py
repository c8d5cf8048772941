"""The ports of boxes: several processes behind them, and a proxy before them."""

import socket
import struct
from datetime import UTC, datetime

from tests.ingest.tenants import Tenant
from tests.listener.devices.test_limits import PROXY_SIGNATURE
from tests.listener.running import running
from tests.listener.tcp.boxes import Box, claimed, login, packet, record
from tests.servers import DatabaseUnderTest

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
