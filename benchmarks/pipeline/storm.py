"""Devices that all connect at once: how long until each is signed in, and until each is served."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from benchmarks.common.drive import DriveFailed
from benchmarks.common.packets import CONNACK_BYTES, PUBACK_BYTES, connect, publish_head
from benchmarks.common.payloads import Form, fix_texts, topic, tracker_id, tracker_secret
from benchmarks.common.workload import Plan, tracks

TIMEOUT_S = 180.0
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class Caller:
    """The bytes that one device sends: CONNECT, and a message once it is signed in."""

    connecting: bytes
    message: bytes


@dataclass(frozen=True, slots=True)
class Served:
    """Seconds from the first connection to the last CONNACK, and to the last PUBACK.

    again: connections that ended before that, after which the device tried again.
    """

    signed_in_s: float
    served_s: float
    again: int


def callers(devices: int) -> list[Caller]:
    """Return one for each tracker, with one fix."""
    texts = fix_texts(tracks(Plan(trackers=devices), 2)[:, 0], Form.JSON)
    return [
        Caller(
            connect(tracker_id(number), tracker_secret(number)),
            publish_head(topic(number, Form.JSON), 1, len(text)) + text,
        )
        for number, text in enumerate(texts)
    ]


class Storm:
    """All connections of a storm; they stay until `end`."""

    def __init__(self) -> None:
        self._devices: list[_Device] = []
        self._again = 0

    async def begin(
        self,
        port: int,
        made: Sequence[Caller],
        tls: ssl.SSLContext | None,
        source: str = "127.0.0.1",
    ) -> Served:
        """Connect all at once, from an address. Raises DriveFailed where they are not served in
        time.
        """
        began_s = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S), asyncio.TaskGroup() as group:
                for caller in made:
                    group.create_task(self._serve(caller, (source, 0), port, tls))
        except TimeoutError:
            text = f"{len(self._devices)} of {len(made)} devices were served in {TIMEOUT_S:g} s"
            raise DriveFailed(f"{text}, and {self._again} connections ended") from None
        signed_in_s = max(one.signed_in_s for one in self._devices) - began_s
        served_s = max(one.served_s for one in self._devices) - began_s
        return Served(signed_in_s, served_s, self._again)

    async def _serve(
        self, caller: Caller, source: tuple[str, int], port: int, tls: ssl.SSLContext | None
    ) -> None:
        """Connect until it is served, as a device does."""
        loop = asyncio.get_running_loop()
        options = {} if tls is None else {"ssl": tls, "ssl_handshake_timeout": TIMEOUT_S}
        options["local_addr"] = source
        while True:
            device = _Device(caller)
            try:
                await loop.create_connection(lambda one=device: one, "127.0.0.1", port, **options)
                await device.served
            except OSError:
                self._again += 1
                await asyncio.sleep(RETRY_S)
            else:
                self._devices.append(device)
                return

    def end(self) -> None:
        """Cut all connections."""
        for device in self._devices:
            device.cut()


class _Device(asyncio.Protocol):
    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self.signed_in_s = self.served_s = 0.0
        self.served: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._caller.connecting)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        if not self.signed_in_s and len(self._received) >= CONNACK_BYTES:
            if self._received[3]:
                self._fail(ConnectionError(f"CONNACK with code {self._received[3]}"))
                return
            self.signed_in_s = time.monotonic()
            self._transport.write(self._caller.message)
        if len(self._received) >= CONNACK_BYTES + PUBACK_BYTES and not self.served.done():
            self.served_s = time.monotonic()
            self.served.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(ConnectionError(f"the connection ended: {exc or 'closed'}"))

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if not self.served.done():
            self.served.set_exception(error)
