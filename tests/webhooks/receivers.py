"""Receivers of webhooks: one that behaves, and others named by how they do not."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Received:
    """One request as it arrived."""

    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers each request with what `statuses` holds next, then with 204."""

    url: str = ""
    requests: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    delay_s: float = 0
    location: str = "http://127.0.0.1:1/elsewhere"  # of redirects
    peers: set[tuple[str, int]] = field(default_factory=set)
    open_now: int = 0
    open_most: int = 0

    @property
    def ids(self) -> Counter[str]:
        return Counter(request.id for request in self.requests)

    async def answer(self, request: web.Request) -> web.Response:
        self.open_now += 1
        self.open_most = max(self.open_most, self.open_now)
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append(Received(headers, body))
        status = self.statuses.pop(0) if self.statuses else 204
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        self.open_now -= 1
        location = {"location": self.location} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=location)


@asynccontextmanager
async def well_behaved(**settings) -> AsyncIterator[Receiver]:
    """Provide a receiver that keeps what it gets."""
    receiver = Receiver(**settings)
    app = web.Application()
    app.router.add_post("/{path:.*}", receiver.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw(answer: Answer) -> AsyncIterator[str]:
    """Provide the URL of a receiver that does with each connection what `answer` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await answer(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    finally:
        server.close()


async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait without an answer, until the other side gives up."""
    while await reader.read(65_536):
        pass


async def resets(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Cut the connection without a word."""
    writer.transport.abort()


async def talks_nonsense(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Write bytes of another protocol."""
    writer.write(b"220 mail.example.com \x00\xff ESMTP\r\n")
    await writer.drain()


async def accepts_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a good status, then a body for ever, fast."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def accepts_drop_by_drop(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a good status, then a body of one byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def sends_headers_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send headers that never end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x-more: y\r\n" * 100)
        await writer.drain()
        await asyncio.sleep(0)
