"""Devices that speak GT06 at the real door."""

from datetime import UTC, datetime, timedelta

from telemetry.fix import Flag
from tests.ingest.tenants import Tenant
from tests.listener.running import System
from tests.listener.tcp.boxes import claimed
from tests.listener.tcp.gt06_devices import LAT, LON, Tracker, frame, login, position

NOW = datetime.now(UTC).replace(microsecond=0)
STORED = "SELECT time, lat, lon, flags FROM gps_events ORDER BY time"


async def test_positions_are_stored_and_the_heartbeat_behind_them_waits_for_that(
    system: System, tenant: Tenant
) -> None:
    tracker = await Tracker.signed_in(system, await claimed(tenant))
    times = [NOW - timedelta(seconds=10 - number) for number in range(10)]
    sent = b"".join(map(position, times))
    assert await tracker.asked(sent + frame(0x13, b"\x4b\x04\x03", 7)) == frame(0x13, b"", 7)
    stored = tenant.rows(STORED)
    assert stored == [(at, LAT, LON, Flag.UNAUTHENTICATED) for at in times]
    tracker.writer.close()


async def test_an_imei_that_nobody_has_claimed_is_not_answered(system: System) -> None:
    tracker = await Tracker.connected(system)
    assert await tracker.asked(login("356938035643809")) == b""
