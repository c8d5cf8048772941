"""Devices that speak MQTT 3.1.1 and 5 byte by byte, send without a pause, and keep a ledger.

A device keeps each message until the listener has acknowledged it, and sends it again on the next
connection. With QoS 2 the message counts as acknowledged by its PUBREC.
"""

import asyncio
import json
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.ingest.conftest import fix
from tests.ingest.tenants import Vehicle, soon

IN_FLIGHT = 20
PAUSE_S = 0.02
RECONNECT_S = 0.1
KEEPALIVE_S = 60
CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 2, 3, 4, 5, 6, 7
FOR_GOOD = (4, 5, 0x86, 0x87)
"""Answers to CONNECT that are final."""
REFUSED_FROM = 0x80


@dataclass(slots=True, eq=False)
class Device:
    """A tracker. version: 4 or 5. patience_s: how long it waits for an answer before it connects
    anew; None: for ever."""

    vehicle: Vehicle
    secret: str
    version: int = 4
    qos: int = 1
    patience_s: float | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    sent: dict[int, datetime] = field(default_factory=dict)
    acknowledged: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    connects: int = 0
    is_refused: bool = False
    _released: set[int] = field(default_factory=set)  # packet ids with PUBREC and no PUBCOMP
    _began: datetime = field(default_factory=lambda: soon(-36_000))

    async def run(self, ports: Sequence[int]) -> None:
        """Send until `stop` is set, and listen until cancelled or refused."""
        while not self.is_refused:
            port = ports[self.connects % len(ports)]
            self.connects += 1
            with suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
                await self._connected(port)
            await asyncio.sleep(RECONNECT_S)

    @property
    def waiting(self) -> list[int]:
        """Messages that are not answered, oldest first."""
        return [one for one in self.sent if one not in self.acknowledged | self.refused]

    async def _connected(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(self._connect())
            async with asyncio.timeout(self.patience_s or 60):
                kind, body = await _packet(reader)
            assert kind == CONNACK
            self.is_refused = body[1] in FOR_GOOD
            if body[1]:
                return
            for number in self.waiting:
                writer.write(self._publish(number, is_again=True))
            for packet_id in self._released:
                writer.write(_answer(PUBREL, packet_id))
            sending = asyncio.create_task(self._send(writer))
            try:
                await self._listen(reader, writer)
            finally:
                sending.cancel()
        finally:
            writer.transport.abort()

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        while not self.stop.is_set():
            if len(self.waiting) + len(self._released) < IN_FLIGHT:
                number = len(self.sent)
                self.sent[number] = self._began + timedelta(seconds=number)
                writer.write(self._publish(number, is_again=False))
            await asyncio.sleep(PAUSE_S)

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(self.patience_s):
                kind, body = await _packet(reader)
            if kind in (PUBACK, PUBREC):
                packet_id = int.from_bytes(body[:2], "big")
                is_refused = len(body) > 2 and body[2] >= REFUSED_FROM
                (self.refused if is_refused else self.acknowledged).add(packet_id - 1)
                if kind == PUBREC and not is_refused:
                    self._released.add(packet_id)
                    writer.write(_answer(PUBREL, packet_id))
            elif kind == PUBCOMP:
                self._released.discard(int.from_bytes(body[:2], "big"))

    def _connect(self) -> bytes:
        expiry = b"\x05\x11" + struct.pack(">I", 3600) if self.version == 5 else b""
        head = b"\0\x04MQTT" + bytes((self.version, 0xC0)) + struct.pack(">H", KEEPALIVE_S)
        texts = b"".join(map(_text, ("box", self.vehicle.name, self.secret)))
        return _framed(0x10, head + expiry + texts)

    def _publish(self, number: int, *, is_again: bool) -> bytes:
        """Return a PUBLISH. Packet ids are numbers of messages and one: a device sends fewer than
        65,535.
        """
        properties = b"\0" if self.version == 5 else b""
        payload = json.dumps(fix(self.sent[number], 13.4, 52.5)).encode()
        head = 0x30 | self.qos << 1 | is_again << 3
        topic = _text(f"trackers/{self.vehicle.name}/fixes")
        return _framed(head, topic + struct.pack(">H", number + 1) + properties + payload)


def _answer(kind: int, packet_id: int) -> bytes:
    return bytes((kind << 4 | 2, 2)) + struct.pack(">H", packet_id)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def _framed(head: int, body: bytes) -> bytes:
    size, length = len(body), b""
    while size > 127:
        length += bytes((size & 127 | 128,))
        size >>= 7
    return bytes((head,)) + length + bytes((size,)) + body


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readexactly(1))[0]
    size = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return head >> 4, await reader.readexactly(size)
