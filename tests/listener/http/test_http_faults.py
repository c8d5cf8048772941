"""Devices that send by HTTP, while what they send to is killed, frozen and stopped."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.ingest.tenants import Tenant
from tests.listener.registering import registered
from tests.listener.running import running
from tests.servers import DatabaseUnderTest
from tests.waiting import until

NOW_MS = 1_000 * int(datetime.now(UTC).timestamp())
FIX = {"time": NOW_MS, "lat": 52.5, "lon": 13.4}
STORED = "SELECT lat FROM gps_events"
FIXES, SENDERS = 400, 8


async def _until_answered(http: aiohttp.ClientSession, url: str, fix: dict[str, Any]) -> None:
    """Send as an app does: again and again, until it is accepted."""
    while True:
        try:
            async with http.post(url, json=fix) as answered:
                if answered.status == 200:
                    return
                assert answered.status == 503
                assert int(answered.headers["retry-after"]) > 0
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.1)


async def test_what_was_answered_is_stored_and_nothing_twice_whoever_is_killed(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    with running(database) as system:
        vehicle = await registered(tenant)
        url = f"{system.ingest_url}/fixes/{vehicle.name}.secret"
        answered: list[int] = []

        async def send(first: int) -> None:
            async with aiohttp.ClientSession() as http:
                for number in range(first, FIXES, SENDERS):
                    await _until_answered(http, url, FIX | {"time": NOW_MS + number})
                    answered.append(number)

        async def kill() -> None:
            for role in (system.ingest, system.listener) * 2:
                wanted = len(answered) + 40
                await until(lambda wanted=wanted: len(answered) >= wanted)
                role.kill()
                await asyncio.to_thread(role.start)

        await asyncio.gather(kill(), *(send(first) for first in range(SENDERS)))
        assert len(answered) == FIXES
        assert len(tenant.rows(STORED)) == FIXES


async def test_an_orderly_stop_answers_what_is_under_way(
    database: DatabaseUnderTest, tenant: Tenant
) -> None:
    with running(database) as system:
        vehicle = await registered(tenant)
        url = f"{system.ingest_url}/fixes/{vehicle.name}.secret"
        system.ingest.freeze()
        waiting = asyncio.create_task(_sent_once(url))
        await asyncio.sleep(0.5)
        stopping = asyncio.create_task(asyncio.to_thread(system.listener.stop))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        system.ingest.thaw()
        assert await waiting == 200
        await stopping
    assert tenant.rows(STORED) == [(52.5,)]


async def _sent_once(url: str) -> int:
    async with aiohttp.ClientSession() as http, http.post(url, json=FIX) as answered:
        return answered.status
