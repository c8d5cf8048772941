"""Readers of processes that are killed: a reader that connects again has each event once."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
import pytest
import websockets

from stack.servers.postgres import free_port
from tests.api.live.reading import emit, subscribed
from tests.api.running import Client, Organization, RunningApi

ANY_PORT = 0


class Process:
    """One process of the API, which can be killed and started again."""

    def __init__(self, api: RunningApi) -> None:
        self.port = free_port(ANY_PORT)
        self.url = f"http://127.0.0.1:{self.port}"
        self._settings = {
            "OPSC_DATABASE_URL": api.database.url("opsc_app"),
            "OPSC_SECRET_KEY": api.settings.secret_key.get_secret_value(),
            "OPSC_API_PORT": str(self.port),
            "OPSC_API_HTTP": f"127.0.0.1:{free_port(ANY_PORT)}",
            "OPSC_LOG_LEVEL": "error",
        }
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "api"], env=os.environ | self._settings
        )

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(30)

    async def is_up(self) -> None:
        async with asyncio.timeout(120):
            while True:
                try:
                    async with aiohttp.request("GET", f"{self.url}/healthz") as answer:
                        await answer.read()
                        return
                except aiohttp.ClientError:
                    await asyncio.sleep(0.1)


@contextmanager
def processes(api: RunningApi, count: int) -> Iterator[list[Process]]:
    started = [Process(api) for _ in range(count)]
    try:
        yield started
    finally:
        for each in started:
            each.end(signal.SIGKILL)


class Ledger:
    """All seqs that a reader has got, over all of its connections."""

    def __init__(self, after: int) -> None:
        self.after = after
        self.seqs: list[int] = []
        self.cuts = 0

    async def read(self, urls: list[str], client: Client, last: int) -> None:
        """Read up to `last`, at one process after the other."""
        while not self.seqs or self.seqs[-1] < last:
            url = urls[self.cuts % len(urls)]
            known = self.seqs[-1] if self.seqs else self.after
            try:
                async with subscribed(url, client, after=known, open_timeout=5) as reader:
                    while not self.seqs or self.seqs[-1] < last:
                        self.seqs += await reader.seqs(1)
            except (OSError, TimeoutError, websockets.WebSocketException):
                self.cuts += 1
                await asyncio.sleep(0.05)


@pytest.mark.timeout(240)
async def test_readers_of_killed_processes_have_each_event_once(
    api: RunningApi, north: Organization
) -> None:
    after = emit(api, north, 1)[-1]
    wanted = emit(api, north, 300)
    with processes(api, 2) as (first, second):
        for each in (first, second):
            await each.is_up()
        urls = [first.url, second.url]
        ledgers = [Ledger(after) for _ in range(6)]
        last = wanted[-1] + 300
        reading = [
            asyncio.create_task(ledger.read(urls[::way], north.viewer, last))
            for ledger, way in zip(ledgers, (1, -1) * 3, strict=True)
        ]
        for number in range(30):
            wanted += await asyncio.to_thread(emit, api, north, 10)
            if number % 10 == 5:
                victim = (first, second)[number // 10 % 2]
                await asyncio.to_thread(victim.end, signal.SIGKILL)
                victim.start()
            await asyncio.sleep(0.02)
        await asyncio.gather(*reading)
    assert all(ledger.seqs == wanted for ledger in ledgers)
    assert sum(ledger.cuts for ledger in ledgers) > 0


@pytest.mark.timeout(120)
async def test_a_process_that_stops_says_where_to_go_on(
    api: RunningApi, north: Organization
) -> None:
    with processes(api, 1) as (process,):
        await process.is_up()
        async with subscribed(process.url, north.viewer) as reader:
            (seq,) = emit(api, north)
            assert await reader.seqs(1) == [seq]
            process.process.send_signal(signal.SIGTERM)
            assert await reader.closed() == (1012, {"code": "restarting", "seq": seq})
        assert await asyncio.to_thread(process.process.wait, 30) == 0
