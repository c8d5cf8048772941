"""Boxes of Teltonika, while what they send to is killed, frozen and stopped."""

import asyncio
from datetime import UTC, datetime

from tests.ingest.tenants import Tenant
from tests.listener.running import running
from tests.listener.tcp.boxes import Box, claimed, login, new_imei, packet, record
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
BEGIN_MS = NOW_MS - 1_000 * 10_000
COUNT = "SELECT count(*), count(DISTINCT time) FROM gps_events"


async def test_ten_thousand_records_come_in_once_whoever_is_killed(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    records, each = 10_000, 25
    imei = await claimed(tenant)
    with running(database) as system:
        accepted: list[int] = []

        async def send() -> None:
            box: Box | None = None
            at = 0
            while at < records:
                try:
                    box = box or await Box.signed_in(system, imei)
                    sent = packet([record(BEGIN_MS + 1_000 * n) for n in range(at, at + each)])
                    async with asyncio.timeout(5):
                        answer = await box.asked(sent)
                except (OSError, AssertionError, TimeoutError):
                    answer = b""
                if answer == each.to_bytes(4):
                    at += each
                    accepted.append(at)
                elif box is not None:
                    box.close()
                    box = None
                    await asyncio.sleep(0.1)

        async def kill() -> None:
            for role in (system.ingest, system.listener) * 2:
                wanted = len(accepted) + 40
                await until(lambda wanted=wanted: len(accepted) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(send(), kill())
        assert tenant.rows(COUNT) == [(records, records)]


async def test_without_ingest_the_sign_in_waits_and_an_orderly_stop_answers_what_is_under_way(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        box = await Box.signed_in(system, imei)
        system.ingest.kill()
        other = await Box.connected(system)
        waiting = asyncio.create_task(other.asked(login(imei), 1))
        sent = asyncio.create_task(box.asked(packet([record(NOW_MS)])))
        await asyncio.sleep(1.5)
        assert not waiting.done()
        assert not sent.done()
        await asyncio.to_thread(system.ingest.start)
        assert await waiting == b"\x01"
        assert await sent == b"\0\0\0\x01"
        system.ingest.freeze()
        sent = asyncio.create_task(box.asked(packet([record(NOW_MS + 1)])))
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(asyncio.to_thread(system.listener.stop))
        await asyncio.sleep(0.5)
        assert not sent.done()
        system.ingest.thaw()
        assert await sent == b"\0\0\0\x01"
        await stopping
    assert tenant.rows(COUNT) == [(2, 2)]


async def test_a_flood_of_unknown_imeis_ends_at_the_door_and_disturbs_nobody_inside(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        box = await Box.signed_in(system, imei)
        slow = [await Box.connected(system) for _ in range(20)]  # they say nothing
        answers: list[bytes] = []
        for _ in range(40):
            stranger = await Box.connected(system)
            answers.append(await stranger.asked(login(new_imei()), 1))
            stranger.close()
        assert answers[0] == b"\0"
        assert answers[-1] == b""  # too many failures of its address
        assert await box.asked(packet([record(NOW_MS)])) == b"\0\0\0\x01"
        for each in slow:
            each.close()
