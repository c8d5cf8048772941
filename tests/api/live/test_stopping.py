"""The end of a process: its readers are told once, and nobody comes in behind them."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest

from tests.api.live.reading import signed_in, stranger
from tests.api.running import Organization, RunningApi, running_api

MANY = 5


@pytest.fixture
def stopping(live_api: RunningApi) -> Iterator[RunningApi]:
    """Another process over the same database, for one test."""
    secret_key = live_api.settings.secret_key
    with running_api(live_api.database, secret_key=secret_key) as running:
        yield running


async def test_each_connection_is_ended_once(stopping: RunningApi, north: Organization) -> None:
    async with AsyncExitStack() as opened:
        readers = [
            await opened.enter_async_context(signed_in(stopping.url, north.viewer))
            for _ in range(MANY)
        ]
        stopped = asyncio.create_task(asyncio.to_thread(stopping.stop))
        for reader in readers:
            assert await reader.closed() == (1012, {"code": "restarting"})
        await stopped
    ended = stopping.live.metrics.ended.labels("restarting")
    assert [sample.value for sample in ended.collect()[0].samples if "total" in sample.name] == [
        MANY
    ]


async def test_nobody_is_let_in_while_it_stops(stopping: RunningApi, north: Organization) -> None:
    stopping.live.stop()
    headers = {"Authorization": f"Bearer {north.viewer.token}"}
    answer = await stopping.anonymous.get("/v1/events/stream", headers=headers)
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    async with stranger(stopping.url) as reader:
        await reader.say("authenticate", token=north.viewer.token)
        assert await reader.closed() == (4013, {"code": "unavailable"})
