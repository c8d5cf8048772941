"""A TCP link that misbehaves when it is told to: cut, reset, stalled, one byte at a time.

    async with Link(upstream_port) as link:   # clients connect to link.port
        link.reset()
        link.stall(); await asyncio.sleep(3); link.go_on()

Bytes are handed on unchanged and in order. Each direction holds one piece of at most 64 KiB, so
that a stalled link soon stops its sender, as a real one does.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from types import TracebackType
from typing import Self

from stack.servers.postgres import LOOPBACK

_PIECE_BYTES = 64 * 1024
_WHOLE, _SINGLE = _PIECE_BYTES, 1
_LINGER_0 = struct.pack("ii", 1, 0)  # closing sends RST instead of FIN


class Link:
    """All connections through one port; `passed` counts those that were opened."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._bytes_at_a_time = _WHOLE
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.passed = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, LOOPBACK, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        """End all connections in order (FIN)."""
        for writer in self._writers:
            writer.close()

    def reset(self) -> None:
        """End all connections at once (RST); what is under way is lost."""
        for writer in self._writers:
            raw: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):  # it has just ended
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
            writer.transport.abort()

    def stall(self) -> None:
        """Hand on nothing, though all connections stay open."""
        self._open.clear()

    def dribble(self) -> None:
        """Hand on single bytes."""
        self._bytes_at_a_time = _SINGLE

    def go_on(self) -> None:
        """Pass bytes on again, as a good network does."""
        self._bytes_at_a_time = _WHOLE
        self._open.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.passed += 1
        self._writers.add(writer)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._both_ways(reader, writer)
        self._writers.discard(writer)
        writer.close()
        self._tasks.discard(task)

    async def _both_ways(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream = await asyncio.open_connection(LOOPBACK, self._upstream_port)
        self._writers.add(upstream[1])
        ways = [
            asyncio.create_task(self._hand_on(reader, upstream[1])),
            asyncio.create_task(self._hand_on(upstream[0], writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(upstream[1])
            upstream[1].close()

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes on until one side ends."""
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while piece := await reader.read(_PIECE_BYTES):
            step = self._bytes_at_a_time
            for start in range(0, len(piece), step):
                await self._open.wait()
                writer.write(piece[start : start + step])
                await writer.drain()
                if step == _SINGLE:
                    await asyncio.sleep(0)
