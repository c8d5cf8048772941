"""HTTP/1.1 and MQTT 3.1.1 over asyncio streams, as much of them as a victim and attackers need.

Our own bytes instead of client libraries: an attacker has little of a core, chooses the address
that it comes from, and breaks off where no client would.
"""

import asyncio
import re
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from benchmarks.common.packets import CONNACK_BYTES, PUBACK_BYTES, connect, publish_head

HOST = "127.0.0.1"
KEPT_S = 3.0
"""Idle time after which a connection is not used again: the API closes it after 5 s."""
_PUBACK = 0x40
_END_OF_HEAD = b"\r\n\r\n"
_CODE = re.compile(rb'"code": ?"([a-z_]+)"')


@dataclass(frozen=True, slots=True)
class Answer:
    """The whole answer to a request. is_last: the server ends the connection after it."""

    status: int
    body: bytes
    is_last: bool

    @property
    def told(self) -> str:
        """Status, with the code of a problem."""
        found = _CODE.search(self.body) if self.status >= 400 else None
        return str(self.status) if found is None else f"{self.status} {found[1].decode()}"


def request(
    method: str,
    target: str,
    token: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a request as bytes; a body is JSON unless the headers say otherwise."""
    lines = {"host": HOST, **({} if token is None else {"authorization": f"Bearer {token}"})}
    if body is not None:
        lines |= {"content-type": "application/json", "content-length": str(len(body))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b"")


async def connected(port: int, address: str, receive_bytes: int | None = None) -> socket.socket:
    """Return a connected socket that comes from an address. Raises OSError.

    receive_bytes: what the kernel takes for a reader that never reads.
    """
    made = socket.socket()
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_bytes is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        made.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(made, (HOST, port))
    except BaseException:
        made.close()
        raise
    return made


class HttpConnection:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._used_s = time.monotonic()

    @classmethod
    async def open(cls, port: int, address: str) -> Self:
        """Connect. Raises OSError."""
        return cls(*await asyncio.open_connection(sock=await connected(port, address)))

    @property
    def is_usable(self) -> bool:
        """Whether a further request may go over it."""
        is_fresh = time.monotonic() - self._used_s < KEPT_S
        return is_fresh and not self._reader.at_eof() and not self._writer.is_closing()

    async def ask(self, data: bytes) -> Answer:
        """Send a request and read all of its answer. Raises OSError where the connection ends."""
        self._writer.write(data)
        try:
            answer = await read_answer(self._reader)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the connection ended before the answer did") from error
        self._used_s = time.monotonic()
        return answer

    def close(self) -> None:
        self._writer.transport.abort()


async def read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read head and body. Raises asyncio.IncompleteReadError where the connection ends before."""
    head = await reader.readuntil(_END_OF_HEAD)
    fields = headers_of(head)
    return Answer(
        status=int(head[9:12]),
        body=await _read_body(reader, fields),
        is_last=fields.get("connection", "").lower() == "close",
    )


def headers_of(head: bytes) -> dict[str, str]:
    """Return the fields of a head by their names in lower case."""
    lines = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.lower(): value.strip() for name, _, value in lines if name}


async def _read_body(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    if "chunked" not in fields.get("transfer-encoding", ""):
        return await reader.readexactly(int(fields.get("content-length", 0)))
    parts: list[bytes] = []
    while size := int(await reader.readuntil(b"\r\n"), 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return b"".join(parts)


class Tracker:
    """A tracker's session at the listener: it publishes fixes at QoS 1, and waits for PUBACKs."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._topic = f"trackers/{name}/fixes"
        self._reader, self._writer = reader, writer
        self._packet_id = 0
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, port: int, address: str, name: str, secret: str) -> Self:
        """Connect and sign in. Raises OSError."""
        made = await connected(port, address)
        reader, writer = await asyncio.open_connection(sock=made)
        writer.write(connect(name, secret))
        try:
            heard = await reader.readexactly(CONNACK_BYTES)
        except asyncio.IncompleteReadError:
            heard = b""
        if heard[3:] != b"\0":
            writer.transport.abort()
            raise ConnectionRefusedError(f"the listener does not let {name} in")
        return cls(name, reader, writer)

    @property
    def is_open(self) -> bool:
        return not self._reading.done()

    async def publish(self, payload: bytes) -> None:
        """Send a message and wait until it is acknowledged. Raises OSError."""
        if not self.is_open:
            raise ConnectionResetError("the listener has ended the session")
        self._packet_id = self._packet_id % 65_535 + 1
        packet_id = self._packet_id
        self._waiting[packet_id] = answered = asyncio.get_running_loop().create_future()
        self._writer.write(publish_head(self._topic, packet_id, len(payload)) + payload)
        await answered

    def close(self) -> None:
        self._reading.cancel()
        self._writer.transport.abort()

    async def _read(self) -> None:
        try:
            while True:
                packet = await self._reader.readexactly(PUBACK_BYTES)
                _, _, packet_id = struct.unpack(">BBH", packet)
                one = self._waiting.pop(packet_id, None) if packet[0] == _PUBACK else None
                if one is not None and not one.done():
                    one.set_result(None)
        except (OSError, asyncio.IncompleteReadError):
            for one in self._waiting.values():
                if not one.done():
                    one.set_exception(ConnectionResetError("the listener ended the session"))


WS_BEGIN: Mapping[str, str] = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
}
"""The headers that make a GET the beginning of a WebSocket (RFC 6455)."""


def ws_text(data: bytes) -> bytes:
    """Return a text frame of a client, masked with zeroes."""
    size = len(data)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return b"\x81" + length + bytes(4) + data
