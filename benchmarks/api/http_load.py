"""A load generator for HTTP that costs little beside what it loads: prebuilt requests, raw sockets.

    python -m benchmarks.api.http_load FILE

FILE holds a `Load` as JSON. Without a rate each connection sends its next request as soon as its
answer is there; with one, requests are due at even distances, whether answers come or not, and how
long one takes counts from when it was due. Prints an `Outcome` as JSON. Only the head of an answer
is looked at; an answer with another status than the expected one ends the run with exit code 1.
"""

import asyncio
import sys
import time
from collections import deque
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import cast

import msgspec
import numpy as np
import uvloop

UNIQUE = b"0000-unique-text-0000"  # in a request; stands for another text each time it is sent


class Load(msgspec.Struct, frozen=True):
    """requests: whole ones, sent in turn. rate: a second; None: as many as are answered."""

    port: int
    requests: Sequence[bytes]
    status: int
    connections: int
    seconds: float
    rate: float | None = None


class Outcome(msgspec.Struct, frozen=True):
    """answered: of those sent within the time."""

    answered: int
    per_s: float
    p50_ms: float
    p99_ms: float
    bytes_received: int


class UnexpectedAnswer(Exception):
    """The head and the beginning of what came."""


class Generator:
    """All connections of one run."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._idle: deque[_Connection] = deque()
        self._due: deque[float] = deque()  # when requests were due that wait for a connection
        self._numbers = count(time.time_ns())
        self._turn = count()
        self._end_s = 0.0
        self.taken_s: list[float] = []
        self.bytes_received = 0
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> Outcome:
        loop, load = asyncio.get_running_loop(), self._load
        for _ in range(load.connections):
            _, protocol = await loop.create_connection(
                lambda: _Connection(self), "127.0.0.1", load.port
            )
            self._idle.append(protocol)
        began_s = time.perf_counter()
        self._end_s = began_s + load.seconds
        if load.rate is None:
            while self._idle:
                self.send_next(self._idle.popleft())
        else:
            loop.call_soon(self._send_due, began_s, 0)
        await asyncio.wait([self.failed], timeout=load.seconds + 0.5)
        if self.failed.done():
            self.failed.result()
        return self._outcome()

    def send_next(self, connection: "_Connection") -> None:
        """Send the next request on a connection whose answer has come."""
        if self._due:
            connection.send(self._request(), self._due.popleft())
        elif self._load.rate is not None:
            self._idle.append(connection)
        elif (now_s := time.perf_counter()) < self._end_s:
            connection.send(self._request(), now_s)

    def answered(self, taken_s: float, size: int) -> None:
        self.taken_s.append(taken_s)
        self.bytes_received += size

    def check(self, answer: bytes) -> None:
        if not answer.startswith(b"HTTP/1.1 %d " % self._load.status) and not self.failed.done():
            self.failed.set_exception(UnexpectedAnswer(answer[:2000].decode("latin-1")))

    def _send_due(self, began_s: float, sent: int) -> None:
        """Send what is due by now, and come back when the next one is."""
        rate, now_s = self._load.rate or 0.0, time.perf_counter()
        while (due_s := began_s + sent / rate) <= now_s < self._end_s:
            if self._idle:
                self._idle.popleft().send(self._request(), due_s)
            else:
                self._due.append(due_s)
            sent += 1
        if now_s < self._end_s:
            asyncio.get_running_loop().call_later(due_s - now_s, self._send_due, began_s, sent)

    def _request(self) -> bytes:
        requests = self._load.requests
        request = requests[next(self._turn) % len(requests)]
        return request.replace(UNIQUE, b"%021d" % next(self._numbers))

    def _outcome(self) -> Outcome:
        p50, p99 = np.percentile(np.array(self.taken_s) * 1e3, [50, 99])
        answered = len(self.taken_s)
        per_s = answered / self._load.seconds
        return Outcome(answered, per_s, float(p50), float(p99), self.bytes_received)


class _Connection(asyncio.Protocol):
    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._received = b""
        self._due_s = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # what uvloop gives is no subclass

    def send(self, request: bytes, due_s: float) -> None:
        self._due_s = due_s
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return
        head = self._received[:head_end].lower()
        at = head.index(b"content-length:") + 15
        size = head_end + 4 + int(head[at:].split(b"\r\n", 1)[0])
        if len(self._received) < size:
            return
        self._generator.check(self._received)
        self._received = b""
        self._generator.answered(time.perf_counter() - self._due_s, size)
        self._generator.send_next(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._generator.failed.done():
            self._generator.failed.set_exception(UnexpectedAnswer("the connection was closed"))


async def _run(load: Load) -> Outcome:
    return await Generator(load).run()


def main(arguments: Sequence[str]) -> int:
    load = msgspec.json.decode(Path(arguments[0]).read_bytes(), type=Load)
    try:
        outcome = uvloop.run(_run(load))
    except UnexpectedAnswer as error:
        print(error, file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
