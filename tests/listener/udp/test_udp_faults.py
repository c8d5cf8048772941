"""Boxes that send by UDP, while what they send to is killed, frozen and stopped."""

import asyncio
from datetime import UTC, datetime

from tests.ingest.tenants import Tenant
from tests.listener.running import running
from tests.listener.tcp.boxes import claimed, record
from tests.listener.udp.datagrams import Radio, accepted, datagram
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
COUNT = "SELECT count(*), count(DISTINCT time) FROM gps_events"


async def test_what_is_repeated_until_its_answer_is_there_once_whoever_is_killed(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    packets, each = 400, 5
    imei = await claimed(tenant)
    begin_ms = NOW_MS - 1_000 * packets * each
    with running(database) as system:
        done: list[int] = []

        async def send() -> None:
            radio = Radio(system.teltonika_port)
            while len(done) < packets:
                number = len(done)
                first = begin_ms + 1_000 * number * each
                sent = datagram(imei, [record(first + 1_000 * n) for n in range(each)], number)
                if await radio.asked(sent) == accepted(each, number):
                    done.append(number)
            radio.close()

        async def kill() -> None:
            for role in (system.ingest, system.listener) * 2:
                wanted = len(done) + 40
                await until(lambda wanted=wanted: len(done) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(send(), kill())
        assert tenant.rows(COUNT) == [(packets * each, packets * each)]


async def test_without_ingest_nothing_is_answered_and_a_stop_answers_what_is_under_way(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    imei = await claimed(tenant)
    with running(database) as system:
        radio = Radio(system.teltonika_port)
        assert await radio.asked(datagram(imei, [record(NOW_MS)])) == accepted(1)
        system.ingest.kill()
        await until(lambda: "opsc_listener_linked 0.0" in system.listener.page("/metrics"))
        radio.send(datagram(imei, [record(NOW_MS + 1)]))
        assert await radio.heard(1.0) == b""
        await asyncio.to_thread(system.ingest.start)
        assert await radio.asked(datagram(imei, [record(NOW_MS + 1)])) == accepted(1)
        system.ingest.freeze()
        radio.send(datagram(imei, [record(NOW_MS + 2)], number=9))
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(asyncio.to_thread(system.listener.stop))
        await asyncio.sleep(0.5)
        system.ingest.thaw()
        assert await radio.heard(10) == accepted(1, number=9)
        await stopping
        radio.close()
    assert tenant.rows(COUNT) == [(3, 3)]


async def test_processes_share_the_port(database: DatabaseUnderTest, tenant: Tenant) -> None:
    with running(database, {"OPSC_LISTEN_PROCESSES": "2"}) as system:
        for number in range(6):
            radio = Radio(system.teltonika_port)
            sent = datagram(await claimed(tenant), [record(NOW_MS + number)])
            assert await radio.asked(sent) == accepted(1)
            radio.close()
    assert tenant.rows(COUNT) == [(6, 6)]
