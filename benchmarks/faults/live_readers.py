"""Readers of live events, in the organization whose events are verified: cut off, they go on.

Half of them read WebSockets, half event streams. Each keeps its own ledger, and connects again
behind its last `seq`. In the end each must have every event of the organization once, in order,
with the id that `GET /v1/events` shows.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from benchmarks.faults.disturbance import Broken
from stack.scenario.api_client import ApiClient

READERS = 6
_ALL_READ_S = 60.0
_PAUSE_S = 0.2
_CONNECT_S = 5.0
_SILENT_S = 60.0  # longer than a server is silent: it sends pings and ids
_TROUBLE = (aiohttp.ClientError, OSError, TimeoutError)


class _CutOff(OSError):
    """The server has closed the connection, or says that the reader must go on elsewhere."""


@dataclass(slots=True)
class Ledger:
    """The events of one reader, in the order in which they came, over all of its connections."""

    name: str
    events: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    cuts: int = 0

    @property
    def last_seq(self) -> int:
        return self.events[-1][0] if self.events else 0

    def add(self, event: dict[str, object]) -> None:
        self.events.append((int(str(event["seq"])), str(event["id"])))


class LiveReaders:
    """cuts: connections that ended under a reader. read: events by all readers."""

    def __init__(self) -> None:
        self.ledgers: list[Ledger] = []

    @property
    def cuts(self) -> int:
        return sum(ledger.cuts for ledger in self.ledgers)

    @property
    def read(self) -> int:
        return sum(len(ledger.events) for ledger in self.ledgers)

    def has_more_than(self, events: int) -> bool:
        return self.read > events

    @asynccontextmanager
    async def beside(self, client: ApiClient, api_url: str) -> AsyncIterator[None]:
        """Read while the block runs, and then to the last event. Raises Broken where a reader has
        not every event once.
        """
        key = await client.post("/v1/api-keys", {"name": "live readers"})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        headers = {"Authorization": f"Bearer {key['secret']}"}
        self.ledgers = [
            Ledger(f"{('WebSocket', 'event stream')[number % 2]} {number}")
            for number in range(READERS)
        ]
        async with aiohttp.ClientSession(api_url, headers=headers, timeout=timeout) as http:
            reading = [
                asyncio.create_task(self._read(number, http, key["secret"]))
                for number in range(READERS)
            ]
            try:
                yield
                await self._check(client, reading)
            finally:
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)

    async def _read(self, number: int, http: aiohttp.ClientSession, token: str) -> None:
        ledger = self.ledgers[number]
        while True:
            try:
                if number % 2:
                    await _read_stream(http, ledger)
                else:
                    await _read_websocket(http, ledger, token)
            except _TROUBLE:
                ledger.cuts += 1
                await asyncio.sleep(_PAUSE_S)

    async def _check(self, client: ApiClient, reading: list[asyncio.Task[None]]) -> None:
        pages = client.walk("/v1/events")
        listed = [json.loads(bytes(raw)) async for page in pages for raw in page]
        wanted = sorted((event["seq"], event["id"]) for event in listed)
        if [seq for seq, _ in wanted] != list(range(1, len(wanted) + 1)):
            raise Broken("the list of events has a gap")
        ends_s = time.monotonic() + _ALL_READ_S
        while any(ledger.last_seq < len(wanted) for ledger in self.ledgers):
            for task in reading:
                if task.done():
                    await task  # raises what has ended it
            if time.monotonic() > ends_s:
                break
            await asyncio.sleep(0.1)
        for ledger in self.ledgers:
            if ledger.events[: len(wanted)] != wanted:
                raise Broken(_difference(ledger, wanted))


async def _read_stream(http: aiohttp.ClientSession, ledger: Ledger) -> None:
    async with http.get("/v1/events/stream", params={"after": ledger.last_seq}) as answer:
        if answer.status != 200:
            raise _CutOff(f"status {answer.status}")
        async for line in answer.content:
            if line.startswith(b"event: end"):
                raise _CutOff("the stream says that it ends")
            if line.startswith(b"data: "):
                ledger.add(json.loads(line.removeprefix(b"data: ")))
    raise _CutOff("the stream has ended")


async def _read_websocket(http: aiohttp.ClientSession, ledger: Ledger, token: str) -> None:
    async with http.ws_connect("/v1/ws") as socket:
        await socket.send_json({"op": "authenticate", "token": token})
        await socket.send_json(
            {"op": "subscribe", "id": 1, "channel": "events", "after": ledger.last_seq}
        )
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                break
            said = json.loads(message.data)
            if said["op"] == "event":
                ledger.add(said["event"])
            elif said["op"] == "error":
                raise Broken(f"{ledger.name} was told: {said}")
    raise _CutOff(f"closed with {socket.close_code}")


def _difference(ledger: Ledger, wanted: list[tuple[int, str]]) -> str:
    """Say where a ledger differs first."""
    for place, event in enumerate(wanted):
        if place >= len(ledger.events):
            return f"{ledger.name} has {place} events of {len(wanted)}, after {ledger.cuts} cuts"
        if ledger.events[place] != event:
            return f"{ledger.name} has {ledger.events[place]} in the place of {event}"
    raise AssertionError("there is no difference")
