"""Receivers of webhooks that do not behave, in the organization whose webhooks are verified.

Each is an endpoint that wants every event. None of them may delay or double what the good endpoint
of the organization gets.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from stack.scenario.api_client import ApiClient

_LOOPBACK = "127.0.0.1"
_Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Wait without an answer, until the other side gives up."""
    while await reader.read(65_536):
        pass


async def _fail(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _redirect(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    host, port = writer.get_extra_info("sockname")
    place = f"location: http://{host}:{port}/inside\r\n".encode()
    writer.write(b"HTTP/1.1 307 Temporary Redirect\r\n" + place + b"content-length: 0\r\n\r\n")
    await writer.drain()


async def _answer_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 99999999999\r\n\r\n")
    while True:
        writer.write(b"x" * 65_536)
        await writer.drain()


async def _drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one byte at a time, without end."""
    while True:
        writer.write(b"H")
        await writer.drain()
        await asyncio.sleep(0.05)


BAD_ANSWERS: Mapping[str, _Answer] = {
    "hang": _hang,
    "fail": _fail,
    "reset": _reset,
    "redirect": _redirect,
    "endless": _answer_without_end,
    "drip": _drip,
}


class BadReceivers:
    """attempts: requests by behaviour. redirected: those that followed a redirect. urls: those of
    the endpoints.
    """

    def __init__(self) -> None:
        self.attempts = dict.fromkeys(BAD_ANSWERS, 0)
        self.redirected = 0
        self.urls = list[str]()

    @asynccontextmanager
    async def endpoints(self, client: ApiClient) -> AsyncIterator[None]:
        """Listen, and be endpoints of the client's organization while the block runs."""
        async with AsyncExitStack() as ending:
            for name, answer in BAD_ANSWERS.items():
                server = await asyncio.start_server(self._serving(name, answer), _LOOPBACK, 0)
                ending.callback(server.close)
                port = server.sockets[0].getsockname()[1]
                url = f"http://{_LOOPBACK}:{port}/{name}"
                await client.post("/v1/webhook-endpoints", {"url": url, "types": ["*"]})
                self.urls.append(url)
            yield

    def _serving(self, name: str, answer: _Answer) -> _Answer:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                self.attempts[name] += 1
                self.redirected += b" /inside " in head.partition(b"\r\n")[0]
                await answer(reader, writer)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        return serve
