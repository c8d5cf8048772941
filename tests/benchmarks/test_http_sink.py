"""The receiver of the benchmark of webhooks."""

import asyncio
import json

import aiohttp
import pytest

from benchmarks.webhooks.http_sink import NO_CONTENT, Arrivals, HttpSink

POST = b"POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("cut", range(1, 2 * len(POST), 7))
async def test_posts_are_answered_wherever_they_are_cut(cut: int) -> None:
    posted: list[tuple[bytes, bytes]] = []

    def on_post(path: bytes, body: bytes) -> bytes:
        posted.append((path, body))
        return NO_CONTENT

    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: HttpSink(on_post), "127.0.0.1", 0) as server:
        address = server.sockets[0].getsockname()
        reader, writer = await asyncio.open_connection(*address)
        writer.write((2 * POST)[:cut])
        await writer.drain()
        writer.write((2 * POST)[cut:])
        assert await reader.readexactly(2 * len(NO_CONTENT)) == 2 * NO_CONTENT
        writer.close()
    assert posted == 2 * [(b"/a", b"hello")]


async def test_figures_are_of_what_arrived_since_they_were_asked_for() -> None:
    arrivals, loop = Arrivals(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpSink(arrivals.on_post), "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for wanted in (3, 0):
            for _ in range(wanted):
                body = json.dumps({"created_at": "2026-01-01T00:00:00.000Z"}, separators=(",", ":"))
                assert (await session.post(url, data=body)).status == 204
            figures = json.loads(await (await session.get(f"{url}/figures")).read())
            assert figures["posts"] == wanted
            assert (figures["p50_ms"] > 0) is (wanted > 0)
