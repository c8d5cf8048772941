"""A backlog of fixes over a network with a long round trip.

The delay stands between the device and the listener: every byte arrives half a round trip later,
however many are under way.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from benchmarks.common.packets import CONNACK_BYTES, PUBACK_BYTES, connect, publish_head
from benchmarks.common.payloads import Form, fix_texts, joined, topic, tracker_id, tracker_secret
from benchmarks.common.workload import Plan, tracks
from stack.servers.postgres import free_port

CHUNK_BYTES = 65_536


@asynccontextmanager
async def delayed(port: int, round_trip_s: float) -> AsyncIterator[int]:
    """Provide a port whose connections go to `port`, half of the round trip later each way."""
    tasks: set[asyncio.Task[None]] = set()

    async def joined_to(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        for one in (_passed(reader, far_writer), _passed(far_reader, writer)):
            tasks.add(asyncio.create_task(one))

    async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(CHUNK_BYTES):
            loop.call_later(round_trip_s / 2, writer.write, data)
        loop.call_later(round_trip_s / 2, writer.close)

    near = free_port(0)
    async with await asyncio.start_server(joined_to, "127.0.0.1", near):
        yield near
        for task in tasks:
            task.cancel()


def backlog(tracker: int, fixes: int, fixes_per_message: int) -> list[bytes]:
    """PUBLISH packets of a tracker's history, oldest first."""
    rows = tracks(Plan(trackers=tracker + 1), fixes)[tracker]
    texts = fix_texts(rows, Form.JSON)
    packets: list[bytes] = []
    for at in range(0, fixes, fixes_per_message):
        payload = joined(texts[at : at + fixes_per_message], Form.JSON)
        head = publish_head(topic(tracker, Form.JSON), len(packets) % 65_535 + 1, len(payload))
        packets.append(head + payload)
    return packets


async def send(port: int, tracker: int, packets: Sequence[bytes], in_flight: int) -> float:
    """Send all as the tracker; seconds from the first message to the last PUBACK."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(connect(tracker_id(tracker), tracker_secret(tracker)))
    answer = await reader.readexactly(CONNACK_BYTES)
    if answer[3]:
        raise ConnectionError(f"CONNACK with code {answer[3]}")
    began_s = time.monotonic()
    for number, packet in enumerate(packets):
        if number >= in_flight:
            await reader.readexactly(PUBACK_BYTES)
        writer.write(packet)
        await writer.drain()
    await reader.readexactly(PUBACK_BYTES * min(in_flight, len(packets)))
    took_s = time.monotonic() - began_s
    writer.close()
    return took_s
