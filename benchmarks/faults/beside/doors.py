"""Phones that send by HTTP and boxes that send by TCP and UDP beside the fleet, in an organization
of their own.

Each sends what is next, as its app or its firmware does, until it is accepted, and then goes on. So
all that was sent must be stored, once. `Broken` is raised where this does not hold.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, NamedTuple

import aiohttp

from benchmarks.faults.disturbance import Broken
from benchmarks.faults.injections import Extent
from benchmarks.faults.load import new_organization
from benchmarks.faults.system import LOOPBACK, FaultSystem
from stack.scenario.api_client import ApiClient
from telemetry.times import format_time
from tests.listener.tcp.boxes import login, new_imei, packet, record
from tests.listener.udp.datagrams import Radio, accepted, datagram

Do = Callable[[FaultSystem, Extent], Awaitable[None]]

PHONES_OF_EACH = 2
BOXES = 4
RECORDS = 20  # of a packet
_PAUSE_S = 0.1
_AGAIN_S = 0.2
_SETTLED_S = 60.0
_REQUEST_S = 40.0  # the listener answers within 30 s
_SECOND_US = 1_000_000
_LAT, _LON = 52.5, 13.4


class _Request(NamedTuple):
    """The request of an app with some fixes, the first at a time. query: instead of a body."""

    fixes: int
    body: Any = None
    query: Mapping[str, str] | None = None


def _osmand(at_us: int) -> _Request:
    place = {"lat": str(_LAT), "lon": str(_LON), "timestamp": str(at_us // _SECOND_US)}
    return _Request(1, query=place)


def _owntracks(at_us: int) -> _Request:
    body = {"_type": "location", "tst": at_us // _SECOND_US, "lat": _LAT, "lon": _LON, "acc": 10}
    return _Request(1, body)


def _overland(at_us: int) -> _Request:
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [_LON, _LAT]},
            "properties": {"timestamp": format_time(at_us + number * _SECOND_US)},
        }
        for number in range(3)
    ]
    return _Request(3, {"locations": features})


def _native(at_us: int) -> _Request:
    times = (format_time(at_us + number * _SECOND_US) for number in range(5))
    return _Request(5, [{"time": text, "lat": _LAT, "lon": _LON} for text in times])


_APPS: Mapping[str, Callable[[int], _Request]] = {
    "osmand": _osmand,
    "owntracks": _owntracks,
    "overland": _overland,
    "fixes": _native,
}


def beside_doors(do: Do) -> Do:
    """Return the same fault while phones send by HTTP, and boxes by TCP and UDP."""

    async def broken(system: FaultSystem, extent: Extent) -> None:
        await _sent_beside(system, partial(do, system, extent))

    return broken


async def _sent_beside(system: FaultSystem, action: Callable[[], Awaitable[None]]) -> None:
    """Let devices send until the action has ended. Raises Broken, and what the action raises."""
    async with new_organization(system.stack) as client:
        stop, devices = asyncio.Event(), list[tuple[str, str, asyncio.Task[int]]]()
        async with asyncio.TaskGroup() as tasks:
            for app in list(_APPS) * PHONES_OF_EACH:
                made = await client.post("/v1/trackers", {"name": app})
                key = f"{made['id']}.{made['secret']}"
                sending = tasks.create_task(_send(system, app, key, stop))
                devices.append(("HTTP", made["id"], sending))
            for imei in (new_imei() for _ in range(BOXES)):
                made = await client.post("/v1/trackers", {"name": "box", "imei": imei})
                sending = tasks.create_task(_send_records(system, imei, stop))
                devices.append(("TCP", made["id"], sending))
            for imei in (new_imei() for _ in range(BOXES)):
                made = await client.post("/v1/trackers", {"name": "box", "imei": imei})
                sending = tasks.create_task(_send_datagrams(system, imei, stop))
                devices.append(("UDP", made["id"], sending))
            await action()
            stop.set()
        for door, tracker_id, sending in devices:
            await _check(client, door, tracker_id, sending.result())
            system.done[f"fixes by {door}"] += sending.result()


async def _send_records(system: FaultSystem, imei: str, stop: asyncio.Event) -> int:
    """Send packets of records until `stop`. Returns how many records were accepted: all of them."""
    at_ms, accepted = (time.time_ns() // 1_000_000_000 - 86_400) * 1_000, 0
    ends_s = time.monotonic() + _SETTLED_S
    while not stop.is_set():
        records = [record(at_ms + 1_000 * number) for number in range(RECORDS)]
        try:
            async with _box(system, imei) as (reader, writer):
                while not stop.is_set():
                    writer.write(packet(records))
                    async with asyncio.timeout(_REQUEST_S):
                        count = int.from_bytes(await reader.readexactly(4))
                    if count == len(records):
                        accepted, at_ms = accepted + count, at_ms + 1_000 * RECORDS
                        ends_s = time.monotonic() + _SETTLED_S + _REQUEST_S
                        records = [record(at_ms + 1_000 * number) for number in range(RECORDS)]
                    await asyncio.sleep(_PAUSE_S)
        except (OSError, EOFError, TimeoutError) as error:
            if time.monotonic() > ends_s:
                raise Broken(f"a box is not answered for a long time: {error!r}") from None
            await asyncio.sleep(_AGAIN_S)
    return accepted


async def _send_datagrams(system: FaultSystem, imei: str, stop: asyncio.Event) -> int:
    """Send datagrams of records until `stop`, each until it is answered. Returns how many records
    were accepted: all that were sent.
    """
    at_ms, accepted_records = (time.time_ns() // 1_000_000_000 - 86_400) * 1_000, 0
    radio = Radio(system.boxes or 0)
    try:
        while not stop.is_set():
            number = accepted_records // RECORDS
            records = [record(at_ms + 1_000 * place) for place in range(RECORDS)]
            sent, answer = datagram(imei, records, number), b""
            while answer != accepted(RECORDS, number):  # it may be of one that was sent twice
                try:
                    answer = await radio.asked(sent)
                except TimeoutError:
                    raise Broken("a box is not answered for a long time by UDP") from None
            accepted_records, at_ms = accepted_records + RECORDS, at_ms + 1_000 * RECORDS
            await asyncio.sleep(_PAUSE_S)
    finally:
        radio.close()
    return accepted_records


@asynccontextmanager
async def _box(
    system: FaultSystem, imei: str
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Provide a connection that has signed in. Raises OSError, EOFError and TimeoutError."""
    reader, writer = await asyncio.open_connection(LOOPBACK, system.boxes)
    try:
        writer.write(login(imei))
        async with asyncio.timeout(_REQUEST_S):
            if await reader.readexactly(1) != b"\x01":
                raise EOFError("refused")
        yield reader, writer
    finally:
        writer.transport.abort()


async def _send(system: FaultSystem, app: str, key: str, stop: asyncio.Event) -> int:
    """Send until `stop`. Returns how many fixes were accepted: all that were sent."""
    url = f"{system.stack.ingest_url}{app}/{key}"
    at_us, accepted = (time.time_ns() // 1000 // _SECOND_US - 86_400) * _SECOND_US, 0
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_REQUEST_S)) as http:
        while not stop.is_set():
            request = _APPS[app](at_us)
            await _until_accepted(http, url, request)
            accepted += request.fixes
            at_us += request.fixes * _SECOND_US
            await asyncio.sleep(_PAUSE_S)
    return accepted


async def _until_accepted(http: aiohttp.ClientSession, url: str, request: _Request) -> None:
    """Send until it is accepted. Raises Broken where the listener wants it never again."""
    method, body = ("GET", None) if request.body is None else ("POST", json.dumps(request.body))
    ends_s = time.monotonic() + _SETTLED_S + _REQUEST_S
    while time.monotonic() < ends_s:
        try:
            async with http.request(method, url, params=request.query, data=body) as answered:
                if answered.status == 200 and answered.headers["opsc-result"] == "stored":
                    return
                if answered.status not in (429, 503):
                    raise Broken(f"{url.rpartition('/')[0]} answered {answered.status}")
        except (aiohttp.ClientError, TimeoutError):
            pass  # as an app does
        await asyncio.sleep(_AGAIN_S)
    raise Broken(f"{url.rpartition('/')[0]} accepts nothing for {_SETTLED_S + _REQUEST_S:.0f} s")


async def _check(client: ApiClient, door: str, tracker_id: str, accepted: int) -> None:
    """Check what is stored of a device. Of a box its last packet may be, too, if it was stopped
    before it heard the answer.
    """
    stored = await client.total("/v1/gps-events", {"tracker_id": tracker_id})
    unheard = stored - accepted if door == "TCP" else 0
    if stored != accepted and unheard != RECORDS:
        raise Broken(f"{accepted} fixes were accepted by {door}, {stored} are stored")
