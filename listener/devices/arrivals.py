"""The way from an accepted socket to a device's connection: the PROXY protocol, then TLS.

A plain port without proxies needs none of it. TLS handshakes take turns, so that in a storm those
that came first are served first; those that are too many wait, unread.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from listener.devices.bounds import is_within
from listener.devices.proxy_protocol import ProxyHeader, ProxyProtocolError

if TYPE_CHECKING:
    from listener.worker import Worker

HANDSHAKES = 64
PLACE_S = 0.5
"""A handshake that takes longer waits for the other side, and makes place for the next one: clients
that never finish theirs would keep all others out.
"""
HANDSHAKE_S = 30.0
"""From accept to the end of the handshake, waiting included."""
HEADER_S = 5.0
NO_PLACE_S = 0.1
"""Pause after a connection that could not be accepted."""


class Handshakes:
    """Places for handshakes; each is held until the end of one, at most for `PLACE_S`."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(HANDSHAKES)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place."""
        await self._places.acquire()
        timer = asyncio.get_running_loop().call_later(PLACE_S, self._places.release)
        try:
            yield
        finally:
            if timer.when() > asyncio.get_running_loop().time():
                timer.cancel()
                self._places.release()


class Arrivals:
    """The port's sockets that are not a device's yet. tls: of new connections, None without. made:
    makes the connection of a device from its address.

    They have no transport: one would read bytes that belong to TLS.
    """

    def __init__(
        self,
        worker: "Worker",
        listening: socket.socket,
        tls: Callable[[], ssl.SSLContext] | None,
        made: Callable[[str], asyncio.Protocol],
    ) -> None:
        self._worker = worker
        self._made = made
        self._listening = listening
        self._tls = tls
        self._task = worker.loop.create_task(self._accept())

    def close(self) -> None:
        """Accept no more."""
        self._task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                accepted, peer = await self._worker.loop.sock_accept(self._listening)
            except OSError:  # too many open files, or a connection that is gone already
                await asyncio.sleep(NO_PLACE_S)
                continue
            self._worker.spawn(self._receive(accepted, str(peer[0])))

    async def _receive(self, accepted: socket.socket, address: str) -> None:
        """Make a device's connection of a socket."""
        try:
            if is_within(address, self._worker.settings.proxy_networks):
                async with asyncio.timeout(HEADER_S):
                    address = await self._read_header(accepted) or address
            if self._tls is None:
                device = self._made(address)
                await self._worker.loop.connect_accepted_socket(lambda: device, accepted)
            else:
                await self._shake_hands(accepted, address, self._tls())
        except ProxyProtocolError:
            self._cut(accepted, "PROXY header")
        except TimeoutError:
            self._cut(accepted, "no PROXY header")
        except OSError:
            self._cut(accepted, "gone")

    async def _read_header(self, accepted: socket.socket) -> str | None:
        """Read the PROXY header, and no byte beyond it. Return the client's address."""
        header = ProxyHeader()
        while header.missing:
            data = await self._worker.loop.sock_recv(accepted, header.missing)
            if not data:
                raise ProxyProtocolError("the header ends early")
            header.feed(data)
        return header.address

    async def _shake_hands(
        self, accepted: socket.socket, address: str, context: ssl.SSLContext
    ) -> None:
        worker = self._worker
        why = worker.addresses.refusal(address, worker.now_s())
        if why is None and worker.shaking_hands >= worker.max_connections // 2:
            why = "full"
        if why is not None:
            self._cut(accepted, why)
            return
        worker.addresses.began(address)
        worker.shaking_hands += 1

        def arrived() -> asyncio.Protocol:
            return self._made(address)

        try:
            async with asyncio.timeout(HANDSHAKE_S), worker.handshakes.place():
                await worker.loop.connect_accepted_socket(
                    arrived, accepted, ssl=context, ssl_handshake_timeout=HANDSHAKE_S
                )
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            self._cut(accepted, tls_failure(error))
        finally:
            worker.addresses.ended(address)
            worker.shaking_hands -= 1

    def _cut(self, accepted: socket.socket, why: str) -> None:
        self._worker.metrics.refused.labels(why).inc()
        accepted.close()


def tls_failure(error: Exception) -> str:
    """Return why a handshake failed, in a few words that do not come from the other side."""
    reason = getattr(error, "reason", None) or ""
    if reason in ("UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER", "VERSION_TOO_LOW"):
        return "tls version"
    if "CERTIFICATE" in reason:
        return "tls certificate"
    return "tls"


def tls_context(
    certificate: str, key: str, *, client_ca: str | None, oldest: ssl.TLSVersion
) -> ssl.SSLContext:
    """Return the context of a port. Raises OSError where the files cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = oldest
    if oldest is ssl.TLSVersion.TLSv1_2:
        context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
    context.load_cert_chain(certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
