"""A broker that says exactly the bytes a test tells it to, and hears packets one by one."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self, TypeVar

import mqtt5

from tests.waiting import PATIENCE_S

AnyPacket = TypeVar("AnyPacket", bound=mqtt5.Packet)


class Peer:
    """One accepted connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._heard = b""

    async def hears(self, kind: type[AnyPacket]) -> AnyPacket:
        """Return the next packet, which must be of this kind."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    packet, size = mqtt5.read(memoryview(self._heard))
                    break
                except IndexError:
                    data = await self._reader.read(65_536)
                    assert data, f"closed while waiting for {kind.__name__}"
                    self._heard += data
        self._heard = self._heard[size:]
        assert isinstance(packet, kind), packet
        return packet

    async def hears_the_end(self) -> None:
        """Wait for the end: the other side closed, and said nothing more."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                self._heard += await self._reader.read()
        assert self._heard == b""

    def says(self, *data: bytes) -> None:
        """Send all of it in one segment."""
        self.writer.write(b"".join(data))

    def leaves(self) -> None:
        self.writer.transport.abort()


class ScriptedBroker:
    """A broker that listens on loopback; `await accept()` gives the connections in turn."""

    def __init__(self) -> None:
        self._accepted: asyncio.Queue[Peer] = asyncio.Queue(maxsize=100)
        self._peers: list[Peer] = []
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._on_connect, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        for peer in self._peers:
            peer.leaves()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"mqtt://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def accept(self) -> Peer:
        async with asyncio.timeout(PATIENCE_S):
            return await self._accepted.get()

    async def _on_connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = Peer(reader, writer)
        self._peers.append(peer)
        await self._accepted.put(peer)
