"""Devices of H02 and Meitrack at the real doors: neither repeats a position."""

import asyncio
from datetime import UTC, datetime, timedelta

from telemetry.fix import Flag
from tests.ingest.tenants import Tenant
from tests.listener.registering import claim, registered
from tests.listener.running import running
from tests.listener.tcp.boxes import claimed, new_imei
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW = datetime.now(UTC).replace(microsecond=0)
STORED = "SELECT time, lat, lon, round(speed_mps::numeric, 2)::float, flags FROM gps_events"
COUNT = "SELECT count(*), count(DISTINCT time) FROM gps_events"


def sentence(imei: str, at: datetime) -> bytes:
    """Return a V1 of H02."""
    return (
        f"*HQ,{imei},V1,{at:%H%M%S},A,5230.0000,N,01324.0000,E,19.44,90,{at:%d%m%y},FFFFFBFF#"
    ).encode()


def packet(imei: str, at: datetime, command: str = "AAA") -> bytes:
    """Return a packet of Meitrack with one position."""
    body = (
        f",{imei},{command},35,52.500000,13.400000,{at:%y%m%d%H%M%S},A,9,20,36,90,1.0,30,1,1,"
        "262|2|1|1,0000,|||0|0,*"
    )
    begin = f"$$A{len(body) + 4}{body}".encode()
    return begin + b"%02X\r\n" % (sum(begin) & 255)


async def test_positions_are_stored_and_heartbeats_wait_for_ingest(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.h02_port)
        at = NOW - timedelta(minutes=1)
        writer.write(sentence(imei, at))
        answer = await reader.readuntil(b"#")
        assert answer.startswith(f"*HQ,{imei},V4,V1,{datetime.now(UTC):%Y%m%d}".encode())
        assert tenant.rows(STORED) == [(at, 52.5, 13.4, 10.0, Flag.UNAUTHENTICATED)]
        system.ingest.kill()
        writer.write(sentence(imei, NOW) + f"*HQ,{imei},HTBT,100#".encode())
        waiting = asyncio.create_task(reader.readuntil(b"HTBT#"))
        await asyncio.sleep(1)
        assert not waiting.done()
        await asyncio.to_thread(system.ingest.start)
        assert b"V4,V1" in await waiting
        assert tenant.rows(COUNT) == [(2, 2)]
        # A device that goes does not lose what it has sent.
        system.ingest.freeze()
        writer.write(sentence(imei, NOW + timedelta(seconds=1)))
        await asyncio.sleep(0.5)
        writer.close()
        await asyncio.sleep(0.5)
        system.ingest.thaw()
        await until(lambda: tenant.rows(COUNT) == [(3, 3)])


async def test_a_device_of_h02_may_have_ten_digits(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    device_id, vehicle = new_imei()[4:14], await registered(tenant)
    await claim(tenant, vehicle.tracker_id, device_id)
    with running(database) as system:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.h02_port)
        writer.write(sentence(device_id, NOW))
        answer = await reader.readuntil(b"#")
        assert answer.startswith(f"*HQ,{device_id},V4,V1,2".encode())
        assert tenant.rows(COUNT) == [(1, 1)]
        writer.close()


async def test_meitrack_is_told_what_it_may_delete_once_that_is_stored(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        reader, writer = await asyncio.open_connection("127.0.0.1", system.meitrack_port)
        writer.write(packet(imei, NOW))
        await until(lambda: len(tenant.rows(STORED)) == 1)
        assert tenant.rows(STORED) == [(NOW, 52.5, 13.4, 10.0, Flag.UNAUTHENTICATED)]
        kept = packet(imei, NOW - timedelta(hours=1), "AFF,0001")
        for _ in range(2):  # it is sent again
            writer.write(kept)
            answer = await reader.readuntil(b"\r\n")
            assert answer.startswith(f"@@A27,{imei},AFF,1*".encode())
            assert tenant.rows(COUNT) == [(2, 2)]
        writer.write(kept.replace(b",9,20,", b",8,20,"))  # damaged: read past
        writer.write(packet("356938035643809", NOW))  # another IMEI
        assert await reader.read() == b""
        assert tenant.rows(COUNT) == [(2, 2)]
        writer.close()


async def test_what_is_lost_was_sent_while_something_was_down(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    """The device numbers its positions by their time, and notes which were answered."""
    imei = await claimed(tenant)
    answered, sent = list[datetime](), 200
    with running(database) as system:

        async def send() -> None:
            reader, writer = None, None
            for number in range(sent):
                at = NOW - timedelta(seconds=sent - number)
                try:
                    if reader is None or writer is None:
                        opened = asyncio.open_connection("127.0.0.1", system.h02_port)
                        reader, writer = await opened
                    writer.write(sentence(imei, at))
                    async with asyncio.timeout(0.5):
                        await reader.readuntil(b"#")
                    answered.append(at)
                except (OSError, EOFError, TimeoutError):
                    if writer is not None:
                        writer.close()
                    reader = writer = None

        async def kill() -> None:
            for role in (system.ingest, system.listener):
                wanted = len(answered) + 30
                await until(lambda wanted=wanted: len(answered) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(send(), kill())
        stored = {time for (time,) in tenant.rows("SELECT time FROM gps_events")}
        assert stored >= set(answered)
        assert len(tenant.rows("SELECT time FROM gps_events")) == len(stored)
