"""A receiver of POSTs that costs little: raw asyncio, keep-alive, an answer without a body.

    python -m benchmarks.webhooks.http_sink PORT

Every POST is answered with 204, but those to /hang never. GET /figures returns what arrived since
the last time, and forgets it: the number of POSTs, POSTs a second between the first tenth and the
last, and how long after the envelope's `created_at` each came, milliseconds.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, cast

import numpy as np
import uvloop

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
CREATED = b'"created_at":"'
_CUT = 0.1  # of all POSTs, at the beginning and at the end of the time over which a rate is taken

OnPost: TypeAlias = Callable[[bytes, bytes], bytes | None]
"""Called with the path and the body; returns the answer, or None: never."""


class HttpSink(asyncio.Protocol):
    """One connection."""

    def __init__(self, on_post: OnPost) -> None:
        self._on_post = on_post
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is another class

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end]
            body_end = end + 4 + _content_length(head)
            if len(self._received) < body_end:
                return
            body, self._received = self._received[end + 4 : body_end], self._received[body_end:]
            answer = self._on_post(head.split(b" ", 2)[1], body)
            if answer is not None:
                self._transport.write(answer)


def _content_length(head: bytes) -> int:
    _, found, after = head.lower().partition(b"content-length:")
    return int(after.partition(b"\r\n")[0]) if found else 0


class Arrivals:
    """The POSTs that came since the figures were asked for last."""

    def __init__(self) -> None:
        self._at_s: list[float] = []
        self._created: list[tuple[float, bytes]] = []  # when it arrived, and its `created_at`

    def on_post(self, path: bytes, body: bytes) -> bytes | None:
        if path == b"/figures":
            return self._figures()
        if path == b"/hang":
            return None
        now_s = time.time()
        self._at_s.append(now_s)
        place = body.find(CREATED) + len(CREATED)
        if place >= len(CREATED):
            self._created.append((now_s, body[place : body.index(b'"', place)]))
        return NO_CONTENT

    def _figures(self) -> bytes:
        count = len(self._at_s)
        lags = [
            1e3 * (at_s - datetime.fromisoformat(created.decode()).timestamp())
            for at_s, created in self._created
        ] or [0.0]
        first, last = int(_CUT * count), int((1 - _CUT) * count)
        per_s = 0.0
        if last - first > 1:
            per_s = (last - first) / (self._at_s[last - 1] - self._at_s[first])
        p50, p99 = (float(value) for value in np.percentile(lags, [50, 99]))
        text = json.dumps({"posts": count, "per_s": per_s, "p50_ms": p50, "p99_ms": p99}).encode()
        self._at_s, self._created = [], []
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text)


async def _serve(port: int) -> None:
    arrivals, loop = Arrivals(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpSink(arrivals.on_post), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
