"""Many readers in one process, which do no more than count.

    python -m benchmarks.live.readers PORT READERS EVENTS [TOKEN...]

Without a token a reader connects and counts what comes; with tokens it opens a WebSocket,
authenticates with one of them and subscribes, where EVENTS is more than 0. Prints `ready` when all
readers are, and then, once each has EVENTS events, the times of the first and of the last arrival,
in nanoseconds of the monotonic clock. Ends when its input ends, and with 1 where a connection does,
or says something else.
"""

import asyncio
import json
import resource
import sys
import time
from typing import cast

import uvloop

_MARK = b'{"op":"event"'
_PING, _PONG = 0x89, 0x8A
_UPGRADE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
_SUBSCRIBE = b'{"op":"subscribe","id":1,"channel":"events"}'
_AT_ONCE = 50


def masked(text: bytes, kind: int = 0x81) -> bytes:
    """Return a frame of a client. The mask is zero: the text stays as it is."""
    if len(text) < 126:
        return bytes((kind, 0x80 | len(text))) + bytes(4) + text
    return bytes((0x81, 0xFE)) + len(text).to_bytes(2, "big") + bytes(4) + text


class Arrivals:
    """The count of all readers. failure: why there is no use in waiting."""

    def __init__(self, readers: int, events: int) -> None:
        self.waiting = readers
        self.ready_readers = self._wanted = 0
        self._come = asyncio.Event()
        self.left = readers * events
        self.ready, self.done = asyncio.Event(), asyncio.Event()
        self.first_ns = self.last_ns = 0
        self.failure: str | None = None

    async def come(self, number: int) -> None:
        """Wait until `number` are ready: the server answers connections in their order."""
        self._wanted, self._come = number, asyncio.Event()
        if self.ready_readers < number:
            await self.until(self._come)

    async def until(self, event: asyncio.Event) -> None:
        """Wait for an event. Raises SystemExit where a reader has failed."""
        if self.failure is None:
            await event.wait()
        if self.failure is not None:
            raise SystemExit(f"readers: {self.failure}")

    def fail(self, text: str) -> None:
        self.failure = self.failure or text
        for event in (self._come, self.ready, self.done):
            event.set()

    def is_ready(self) -> None:
        self.waiting -= 1
        self.ready_readers += 1
        if self.ready_readers >= self._wanted:
            self._come.set()
        if not self.waiting:
            self.ready.set()

    def arrived(self, events: int) -> None:
        self.last_ns = time.monotonic_ns()
        self.first_ns = self.first_ns or self.last_ns
        self.left -= events
        if self.left <= 0:
            self.done.set()


class Reader(asyncio.Protocol):
    """One connection."""

    def __init__(self, arrivals: Arrivals, token: str | None, is_subscribed: bool) -> None:
        self._arrivals, self._token, self._subscribes = arrivals, token, is_subscribed
        self._is_ready = False
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._token is None:
            self._becomes_ready()
        else:
            self._transport.write(_UPGRADE)

    def data_received(self, data: bytes) -> None:
        if data[0] == _PING and len(data) == 2 + data[1]:
            # Alone, since nothing else comes while a reader waits. One among events is not
            # answered: they have all come before the server misses the pong.
            self._transport.write(masked(data[2:], _PONG))
        elif self._is_ready:
            text = self._tail + data
            found = text.count(_MARK)
            self._tail = text[-len(_MARK) + 1 :]
            if found:
                self._arrivals.arrived(found)
        elif data.startswith(b"HTTP/1.1 101"):
            message = json.dumps({"op": "authenticate", "token": self._token}).encode()
            self._transport.write(masked(message))
        elif b'"op":"authenticated"' in data and self._subscribes:
            self._transport.write(masked(_SUBSCRIBE))
        elif b'"op":"subscribed"' in data or b'"op":"authenticated"' in data:
            self._becomes_ready()
        else:
            self._arrivals.fail(f"unexpected: {data[:200]!r}")

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrivals.fail(f"a connection was lost: {exc or 'closed by the server'}")

    def _becomes_ready(self) -> None:
        self._is_ready = True
        self._arrivals.is_ready()


async def main(port: int, readers: int, events: int, tokens: list[str]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    loop, arrivals = asyncio.get_running_loop(), Arrivals(readers, events)
    for first in range(0, readers, _AT_ONCE):
        numbers = range(first, min(first + _AT_ONCE, readers))
        await asyncio.gather(
            *(
                loop.create_connection(
                    lambda number=number: Reader(
                        arrivals, tokens[number % len(tokens)] if tokens else None, events > 0
                    ),
                    f"127.0.0.{2 + number // 20_000}" if readers > 20_000 else "127.0.0.1",
                    port,
                )
                for number in numbers
            )
        )
        await arrivals.come(numbers.stop - _AT_ONCE)
    await arrivals.until(arrivals.ready)
    print("ready", flush=True)
    if events:
        await arrivals.until(arrivals.done)
        print(arrivals.first_ns, arrivals.last_ns, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
