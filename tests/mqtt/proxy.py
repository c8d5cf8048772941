"""A TCP proxy on loopback that misbehaves on request: cuts, stalls, hands on one byte at a time."""

import asyncio
import socket
import struct
from types import TracebackType
from typing import Self

READ_BYTES = 65_536


class Proxy:
    """Between clients and one server. What it is told to do, it does to all links at once."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._piece_bytes = READ_BYTES
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._accepted = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Reset every connection, as a failing router would."""
        for writer in self._writers:
            reset_on_close = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close
            )
            writer.transport.abort()
        self._writers.clear()

    def stall(self) -> None:
        """Keep connections open, hand on nothing."""
        self._flowing.clear()

    def let_flow(self) -> None:
        self._flowing.set()

    def dribble(self) -> None:
        """Hand on one byte at a time."""
        self._piece_bytes = 1

    async def next_connection(self) -> None:
        """Wait until a client connects."""
        self._accepted.clear()
        await self._accepted.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._accepted.set()
        try:
            to_server = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, to_server[1]}
        for source, sink in ((reader, to_server[1]), (to_server[0], writer)):
            task = asyncio.create_task(self._pump(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(READ_BYTES):
                for start in range(0, len(data), self._piece_bytes):
                    await self._flowing.wait()
                    sink.write(data[start : start + self._piece_bytes])
                    await sink.drain()
                    await asyncio.sleep(0)  # so that the other side reads each piece apart
        except OSError:
            pass
        finally:
            sink.close()
            self._writers.discard(sink)
