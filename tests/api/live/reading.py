"""Readers of live events, and events for them."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import aiohttp
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.api.running import PASSWORD, Client, Organization, RunningApi

BREACH = "asset.geofence_breach"

_EMIT = """
WITH raised AS (
    UPDATE organizations SET event_seq = event_seq + %(count)s WHERE org_id = %(org)s
    RETURNING event_seq - %(count)s AS last_seq
)
INSERT INTO events (org_id, id, type, occurred_at, data, seq)
SELECT %(org)s, gen_random_uuid(), %(type)s, now(), %(data)s::json, last_seq + number
  FROM raised, generate_series(1, %(count)s) AS number
RETURNING seq
"""


def emit(
    api: RunningApi, org: Organization, count: int = 1, type_: str = BREACH, **data: Any
) -> list[int]:
    """Commit events with their seqs, as the sequencer does."""
    values = {"org": org.org_id, "count": count, "type": type_, "data": json.dumps(data)}
    return sorted(seq for (seq,) in api.sql_named(_EMIT, values))


async def session_cookie(api: RunningApi, org: Organization) -> str:
    """Sign in as the dashboard does, and return the Cookie header."""
    url = f"{api.url}/v1/auth/session"
    body = {
        "email": org.email,
        "password": PASSWORD,
        "organization_id": org.id,
    }
    async with aiohttp.request("POST", url, json=body) as answer:
        assert answer.status in (200, 201), await answer.text()
        (cookie,) = answer.cookies.values()
        return f"{cookie.key}={cookie.value}"


class Reader:
    """A WebSocket as a client sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def say(self, op: str, **fields: Any) -> None:
        await self.socket.send(json.dumps({"op": op, **fields}))

    async def ask(self, op: str, **fields: Any) -> Any:
        """Return the answer to a message, which is the next."""
        await self.say(op, **fields)
        return await self.next()

    async def next(self) -> Any:
        return json.loads(await self.socket.recv())

    async def seqs(self, count: int) -> list[int]:
        """Return the seqs of the next events."""
        return [(await self.next())["event"]["seq"] for _ in range(count)]

    async def closed(self) -> tuple[int, Any]:
        """Read to the end, and return the code and the reason of the close."""
        with suppress(websockets.ConnectionClosed):
            while True:
                await self.socket.recv()
        code, reason = self.socket.close_code, self.socket.close_reason or ""
        return code or 0, json.loads(reason) if reason[:1] == "{" else reason


@asynccontextmanager
async def stranger(url: str, **options: Any) -> AsyncIterator[Reader]:
    """Provide a connection that has not authenticated. url: of the API."""
    async with connect("ws" + url.removeprefix("http") + "/v1/ws", proxy=None, **options) as socket:
        yield Reader(socket)


@asynccontextmanager
async def signed_in(api_url: str, client: Client, **options: Any) -> AsyncIterator[Reader]:
    """Provide a connection of a caller."""
    async with stranger(api_url, **options) as reader:
        answer = await reader.ask("authenticate", token=client.token)
        assert answer["op"] == "authenticated", answer
        yield reader


@asynccontextmanager
async def subscribed(
    api_url: str,
    client: Client,
    *,
    after: int | None = None,
    types: Sequence[str] | None = None,
    **options: Any,
) -> AsyncIterator[Reader]:
    """Provide a reader of events."""
    async with signed_in(api_url, client, **options) as reader:
        wanted = {"after": after, "types": types}
        answer = await reader.ask("subscribe", id=1, channel="events", **wanted)
        assert answer["op"] == "subscribed", answer
        yield reader


async def stalled(api: RunningApi, opened: AsyncExitStack, org: Organization) -> Reader:
    """Return a reader of events that does not read its socket."""
    port = int(api.url.rpartition(":")[2])
    own = sockets.socket()
    own.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 * 1024)
    own.setblocking(False)
    await asyncio.get_running_loop().sock_connect(own, ("127.0.0.1", port))
    reader = await opened.enter_async_context(
        subscribed(api.url, org.viewer, sock=own, max_queue=1, ping_interval=None)
    )
    reader.socket.transport.pause_reading()
    return reader


class Stream:
    """The messages of a stream: type, id and data."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.ids: list[int] = []

    async def next(self) -> tuple[str, str | None, Any]:
        """Return the next message that has data."""
        fields: dict[str, str] = {}
        while True:
            line = (await self.response.content.readline()).decode()
            assert line, "the stream ended"
            if line == "\n":
                if "data" in fields:
                    kind, data = fields.get("event", "message"), json.loads(fields["data"])
                    return kind, fields.get("id"), data
                fields = {}
                continue
            name, _, value = line.rstrip("\n").partition(":")
            fields[name] = value.removeprefix(" ")
            if name == "id":
                self.ids.append(int(fields[name]))

    async def seqs(self, count: int) -> list[int]:
        seqs: list[int] = []
        for _ in range(count):
            _, id_, event = await self.next()
            assert id_ == str(event["seq"])
            seqs.append(event["seq"])
        return seqs


@asynccontextmanager
async def streaming(
    api: RunningApi, client: Client, last_event_id: int | None = None, **parameters: Any
) -> AsyncIterator[Stream]:
    headers = {"Authorization": f"Bearer {client.token}"}
    if last_event_id is not None:
        headers["Last-Event-ID"] = str(last_event_id)
    async with aiohttp.request(
        "GET", f"{api.url}/v1/events/stream", headers=headers, params=parameters
    ) as response:
        assert response.status == 200, await response.text()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        yield Stream(response)


UNAUTHORIZED = (4001, {"code": "unauthorized"})


async def key_of(org: Organization, scopes: list[str] | None = None) -> dict[str, Any]:
    answer = await org.admin.post("/v1/api-keys", {"name": "Map", "scopes": scopes})
    assert answer.status == 201, answer.content
    return answer.json
