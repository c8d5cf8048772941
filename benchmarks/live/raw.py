"""The ceiling of a fan-out: a server that writes ready frames to its connections, and no more.

    python -m benchmarks.live.raw PORT CONNECTIONS EVENTS BYTES

Begins when its input has a line and all connections are there: each of EVENTS frames of BYTES goes
to each connection, as many in one write as the API joins. Ends with 1 where a connection is
missing.
"""

import asyncio
import sys
import time
from typing import cast

import uvloop

from api.live.connection import CHUNK_BYTES
from api.live.frames import text_frame

_ACCEPTED_S = 30.0  # a client is connected before we have accepted its connection


class Connection(asyncio.Protocol):
    """One reader, which says nothing."""

    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transports.append(cast(asyncio.Transport, transport))


async def _accepted(transports: list[asyncio.Transport], connections: int) -> None:
    ends_s = time.monotonic() + _ACCEPTED_S
    while len(transports) < connections:
        if time.monotonic() > ends_s:
            raise SystemExit(
                f"raw: {len(transports):,} of {connections:,} connections after {_ACCEPTED_S:g} s"
            )
        await asyncio.sleep(0.01)


async def main(port: int, connections: int, events: int, size: int) -> None:
    loop = asyncio.get_running_loop()
    transports: list[asyncio.Transport] = []
    await loop.create_server(lambda: Connection(transports), "127.0.0.1", port, backlog=4096)
    print("listening", flush=True)
    await loop.run_in_executor(None, sys.stdin.readline)
    await _accepted(transports, connections)
    frame = text_frame(b'{"op":"event","event":'.ljust(size, b" "))
    at_once = max(1, CHUNK_BYTES // len(frame))
    for first in range(0, events, at_once):
        chunk = frame * min(at_once, events - first)
        for transport in transports:
            transport.write(chunk)
        await asyncio.sleep(0)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(*map(int, sys.argv[1:])))
