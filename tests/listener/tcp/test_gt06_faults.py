"""Devices that speak GT06, while what they send to is killed and frozen."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.ingest.tenants import Tenant
from tests.listener.running import running
from tests.listener.tcp.boxes import claimed
from tests.listener.tcp.gt06_devices import Tracker, frame, login, position
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
STORED = "SELECT time FROM gps_events"


async def test_while_ingest_is_away_neither_login_nor_heartbeat_is_answered(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        tracker = await Tracker.signed_in(system, imei)
        system.ingest.kill()
        beats = asyncio.create_task(tracker.asked(position(NOW) + frame(0x13, b"\0\0\0")))
        other = await Tracker.connected(system)
        signs_in = asyncio.create_task(other.asked(login(imei)))
        await asyncio.sleep(1.5)
        assert not beats.done()
        assert not signs_in.done()
        await asyncio.to_thread(system.ingest.start)
        assert await beats == frame(0x13, b"")
        assert await signs_in == frame(0x01, b"")
        # A device that goes does not lose what it has sent.
        system.ingest.freeze()
        other.writer.write(position(NOW + timedelta(seconds=1)))
        await asyncio.sleep(0.5)
        other.writer.close()
        await asyncio.sleep(0.5)
        system.ingest.thaw()
        await until(lambda: len(tenant.rows(STORED)) == 2)


async def test_what_a_device_repeats_until_its_heartbeat_is_answered_is_there_once(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    """As most firmware does: what was sent since the last answer is sent again."""
    imei = await claimed(tenant)
    with running(database) as system:
        answered: list[int] = []

        async def send() -> None:
            tracker: Tracker | None = None
            while len(answered) < 200:
                at = NOW - timedelta(seconds=200 - len(answered))
                try:
                    tracker = tracker or await Tracker.signed_in(system, imei)
                    async with asyncio.timeout(5):
                        answer = await tracker.asked(position(at) + frame(0x13, b"\0\0\0"))
                except (OSError, AssertionError, TimeoutError):
                    answer = b""
                if answer == frame(0x13, b""):
                    answered.append(len(answered))
                else:
                    if tracker is not None:
                        tracker.writer.close()
                    tracker = None
                    await asyncio.sleep(0.1)

        async def kill() -> None:
            for role in (system.ingest, system.listener):
                wanted = len(answered) + 40
                await until(lambda wanted=wanted: len(answered) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(send(), kill())
        assert len(tenant.rows(STORED)) == 200
