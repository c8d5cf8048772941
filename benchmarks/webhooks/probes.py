"""Trackers that go in and out of a zone, and how soon the webhook of each way in arrives.

    python -m benchmarks.webhooks.probes PORT SINK_PORT FIRST TRACKERS PAUSE_S FILE

Each tracker signs in at the listener, and after a pause of PAUSE_S on average sends a fix inside
of the zone, waits for PUBACK and webhook, then sends two fixes outside. Beside them runs the least
that a durable hand-over between three processes takes (OPSC_DATABASE_URL, a superuser's): a row is
committed, a NOTIFY heard, the row changed in two more transactions, and a POST answered. Ends with
stdin, and writes FILE: `puback_ms`, `webhook_ms` and `handover_ms`, since the send of each.
"""

import asyncio
import json
import os
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import uvloop

from benchmarks.common.packets import CONNACK_BYTES, PUBACK_BYTES, connect, publish_head
from benchmarks.common.payloads import Form, topic, tracker_id, tracker_secret
from benchmarks.webhooks.http_sink import NO_CONTENT, HttpSink

IN, OUT = (52.5, 13.4), (52.51, 13.4)
HANDOVER = b"/handover"
PATIENCE_S = 30.0
_STEP = timedelta(seconds=60)  # from OUT to IN in a minute is no leap
_BEGIN = timedelta(hours=30)  # before now: a tracker's times go on faster than the clock


class Probes:
    """The measurement, and the receiver of its webhooks."""

    def __init__(self, port: int, sink_port: int, pause_s: float) -> None:
        self._port, self._sink_port, self._pause_s = port, sink_port, pause_s
        self._awaited: dict[str, asyncio.Future[int]] = {}  # by tracker
        self.puback_ms: list[float] = []
        self.webhook_ms: list[float] = []
        self.handover_ms: list[float] = []

    def on_post(self, path: bytes, body: bytes) -> bytes:
        if path != HANDOVER:
            data = json.loads(body)["data"]
            awaited = self._awaited.pop(data["tracker_id"], None) if _is_in(data) else None
            if awaited is not None and not awaited.done():  # cancelled at the end
                awaited.set_result(time.monotonic_ns())
        return NO_CONTENT

    async def probe(self, number: int) -> None:
        """Go in and out until cancelled."""
        reader, writer = await self._signed_in(number)
        at = datetime.now(UTC) - _BEGIN
        packet_id = 0

        async def send(place: tuple[float, float]) -> None:
            nonlocal at, packet_id
            at, packet_id = at + _STEP, packet_id % 60_000 + 1
            fix = {"time": at.isoformat(), "lat": place[0], "lon": place[1]}
            payload = json.dumps(fix).encode()
            writer.write(publish_head(topic(number, Form.JSON), packet_id, len(payload)) + payload)
            await reader.readexactly(PUBACK_BYTES)

        await send(OUT)
        while True:
            await asyncio.sleep(random.expovariate(1 / self._pause_s))
            arrived = asyncio.get_running_loop().create_future()
            self._awaited[tracker_id(number)] = arrived
            sent_ns = time.monotonic_ns()
            await send(IN)
            puback_ns = time.monotonic_ns()
            async with asyncio.timeout(PATIENCE_S):
                webhook_ns = await arrived
            self.puback_ms.append((puback_ns - sent_ns) / 1e6)
            self.webhook_ms.append((webhook_ns - sent_ns) / 1e6)
            await send(OUT)
            await send(OUT)

    async def hand_over(self, url: str) -> None:
        """Hand rows over until cancelled."""
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as writer,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as listener,
        ):
            await writer.execute("CREATE TABLE IF NOT EXISTS bench_handover (id int, state int)")
            await writer.execute("TRUNCATE bench_handover")
            await listener.execute("LISTEN bench_handover")
            post_reader, post_writer = await asyncio.open_connection("127.0.0.1", self._sink_port)
            number = 0
            while True:
                await asyncio.sleep(random.expovariate(1 / self._pause_s))
                number += 1
                sent_ns = time.monotonic_ns()
                await writer.execute("INSERT INTO bench_handover VALUES (%s, 0)", (number,))
                await writer.execute("SELECT pg_notify('bench_handover', '')")
                async for _ in listener.notifies(stop_after=1):
                    pass
                for state in (1, 2):
                    await listener.execute("UPDATE bench_handover SET state = %s", (state,))
                post_writer.write(b"POST %s HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}" % HANDOVER)
                await post_reader.readexactly(len(NO_CONTENT))
                self.handover_ms.append((time.monotonic_ns() - sent_ns) / 1e6)
                await listener.execute("DELETE FROM bench_handover")

    async def _signed_in(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.2)
                continue
            writer.write(connect(tracker_id(number), tracker_secret(number)))
            await reader.readexactly(CONNACK_BYTES)
            return reader, writer


def _is_in(data: dict[str, object]) -> bool:
    return data["transition"] == "enter"


async def _measure(arguments: list[str]) -> dict[str, list[float]]:
    port, sink_port, first, trackers = map(int, arguments[:4])
    probes = Probes(port, sink_port, float(arguments[4]))
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: HttpSink(probes.on_post), "127.0.0.1", sink_port)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(probes.probe(number)) for number in range(first, first + trackers)
        ]
        tasks.append(group.create_task(probes.hand_over(os.environ["OPSC_DATABASE_URL"])))
        await asyncio.to_thread(sys.stdin.read)
        for task in tasks:
            task.cancel()
    return {
        "puback_ms": probes.puback_ms,
        "webhook_ms": probes.webhook_ms,
        "handover_ms": probes.handover_ms,
    }


if __name__ == "__main__":
    Path(sys.argv[6]).write_text(json.dumps(uvloop.run(_measure(sys.argv[1:]))))
