"""`opsc listen`: the listener role. Composition, and nothing else.

The ports are bound once. One process serves them itself; several inherit them, so that a second
`opsc listen` on the same ports fails, and takes no devices (`listener.processes`).
"""

import asyncio
import gc
import os
import resource
import signal
import socket
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

import structlog
import uvloop

from listener.devices.arrivals import Arrivals
from listener.devices.certificates import Certificates
from listener.devices.connection import Device
from listener.http.connection import HttpDevice
from listener.link.ingest_link import Sender
from listener.link.leader import LeaderLink
from listener.processes import NUMBER, SOCKETS, ListeningSockets, Processes
from listener.settings import ListenSettings
from listener.stored.presence import Presence
from listener.stored.sessions import Sessions
from listener.stored.writes import keep_written
from listener.tcp.connection import USER_TIMEOUT_MS, TcpDevice
from listener.tcp.datagrams import DatagramDoor
from listener.tcp.gt06 import Gt06
from listener.tcp.h02 import H02
from listener.tcp.meitrack import Meitrack
from listener.tcp.protocol import DeviceProtocol
from listener.tcp.queclink import Queclink
from listener.tcp.teltonika import Teltonika, TeltonikaDatagram
from listener.worker import Worker
from service.amqp.address import log_tls
from service.health import serving
from service.itself import watching_itself
from service.start import RefusedSettings, read_settings

BACKLOG = 4_096
BUFFER_BYTES = 64 * 1024
"""The kernel's, of each connection and direction; it would lend megabytes to those who do not read.
"""
RESERVED_FILES = 32
"""Descriptors for the link, the database and the page, beside those of connections."""
WRITE_S = 5.0
"""For what is to be written at the end."""
GARBAGE = (50_000, 20, 100)
"""Objects between looks for garbage: thousands of messages are held at a time, none in circles."""

Made = Callable[[str], asyncio.Protocol]
"""Makes the connection of a device from its address."""


class Keeper(Protocol):
    """Keeps the way that messages take, for as long as the process runs.

    trouble: why messages wait.
    """

    @property
    def trouble(self) -> str | None: ...
    async def run(self) -> None: ...


def _now() -> datetime:
    return datetime.now(UTC)


OVER_TCP: Mapping[str, Callable[[], DeviceProtocol]] = {
    "teltonika": Teltonika,
    "gt06": partial(Gt06, _now),
    "queclink": Queclink,
    "h02": partial(H02, _now),
    "meitrack": Meitrack,
}
OVER_UDP: Mapping[str, Callable[[], DeviceProtocol]] = {
    "teltonika": TeltonikaDatagram,
    "queclink": Queclink,
    "h02": partial(H02, _now),
    "meitrack": Meitrack,
}

_log = structlog.get_logger("listener")


def main() -> int:
    """Run until SIGTERM or SIGINT. Exit code: 0 stopped in order, 1 failed, 2 wrong settings."""
    try:
        settings = read_settings(ListenSettings)
        certificates = Certificates(settings)
    except RefusedSettings as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"OPSC_TLS_CERT, OPSC_TLS_KEY: cannot be used: {error}", file=sys.stderr)
        return 2
    if too_few := _too_few_files(settings):
        print(too_few, file=sys.stderr)
        return 2
    inherited = os.environ.get(SOCKETS)
    try:
        ports = _inherited(inherited) if inherited else _bound(settings)
        if settings.listen_processes > 1 and inherited is None:
            return Processes(settings, ports).run()
        number = int(os.environ.get(NUMBER, "0"))
        uvloop.run(_serve(settings, ports, certificates, number))
    except OSError as error:
        _log.error("cannot listen", error=str(error))
        return 1
    return 0


async def _serve(
    settings: ListenSettings, ports: ListeningSockets, certificates: Certificates, number: int
) -> None:
    loop, stopping, drained = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stopping.set)
    if SOCKETS in os.environ:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's
        loop.add_reader(sys.stdin, stopping.set)  # its end: the parent is gone
    else:
        loop.add_signal_handler(signal.SIGHUP, stopping.set)
    database_url = settings.database_url.get_secret_value()
    sessions, presence = Sessions(), Presence()
    worker, keeper = _with_a_way(settings, sessions, presence)

    def warnings() -> Sequence[str]:
        return [trouble for trouble in (keeper.trouble, worker.stale()) if trouble is not None]

    def trouble() -> str | None:
        return None if worker.identities.age_s is not None else "trackers are not known yet"

    host, port = settings.http_address
    page = serving((host, port + number), trouble, worker.metrics.page, warnings)
    async with page, watching_itself(worker.metrics.registry):
        background = [
            asyncio.create_task(work)
            for work in (
                worker.identities.keep(database_url),
                sessions.look_up(database_url),
                keeper.run(),
                worker.keep_time(),
                certificates.keep(),
            )
        ]
        writers = [
            sessions.write,
            presence.write,
            worker.claims.write,
            worker.commands.write,
            worker.unknown_devices.write,
            worker.gateway_sightings.write,
        ]
        writing = asyncio.create_task(keep_written(database_url, writers, drained))
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        servers = await _open(worker, ports, certificates)
        ended = asyncio.create_task(stopping.wait())
        watched = {ended, writing, *background}
        done, _ = await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        for server in servers:
            server.close()
        await worker.drain()
        drained.set()
        await asyncio.wait({writing}, timeout=WRITE_S)
        for task in background:
            task.cancel()
        for task in done - {ended}:
            task.result()  # a bug: say so, and end


async def _open(
    worker: Worker, ports: ListeningSockets, certificates: Certificates
) -> list[asyncio.AbstractServer | Arrivals | DatagramDoor]:
    servers: list[asyncio.AbstractServer | Arrivals | DatagramDoor] = []
    contexts = {"tls": certificates.tls13, "tls12": certificates.tls12}

    async def serve(bound: socket.socket, made: Made, way: str) -> None:
        if way in contexts or worker.settings.proxy_networks:
            servers.append(Arrivals(worker, bound, contexts.get(way), made))
        else:
            accept = partial(made, "")
            servers.append(await worker.loop.create_server(accept, sock=bound, backlog=BACKLOG))

    for bound, way in ((ports.plain, "tcp"), (ports.tls, "tls"), (ports.tls12, "tls12")):
        if bound is not None:
            await serve(bound, lambda address: Device(worker, address), way)
    for bound, (protocol, way) in zip(ports.boxes, _box_ways(worker.settings), strict=True):
        make = (OVER_UDP if way == "udp" else OVER_TCP)[protocol]
        if way == "udp":
            servers.append(DatagramDoor(worker, bound, make))
        else:
            await serve(bound, partial(_box, worker, make), way)
    if ports.ingest is not None:
        served = await worker.loop.create_server(
            lambda: HttpDevice(worker), sock=ports.ingest, backlog=BACKLOG
        )
        servers.append(served)
    return servers


def _box(worker: Worker, make: Callable[[], DeviceProtocol], address: str) -> TcpDevice:
    return TcpDevice(worker, make(), address)


def _box_ways(settings: ListenSettings) -> list[tuple[str, str]]:
    """Return protocol and way of each port of boxes."""
    return [
        (protocol, address.way)
        for protocol, addresses in settings.boxes.items()
        for address in addresses
    ]


def _with_a_way(
    settings: ListenSettings, sessions: Sessions, presence: Presence
) -> tuple[Worker, Keeper]:
    """Return the worker, and the keeper of the way that its messages take: to the leader of ingest,
    or into the log.
    """
    if settings.log_address is not None:
        from listener.link.log import LogKeeper, LogSender

        into_log = LogSender(presence.listener_id)
        worker = Worker(settings, into_log, sessions, presence)
        address, tls = settings.log_address, log_tls(settings.log_address, settings.log_tls_ca)
        return worker, LogKeeper(address, into_log, worker.metrics, tls)
    key = settings.link_secret.get_secret_value().encode()
    sender = Sender(presence.listener_id, key)
    worker = Worker(settings, sender, sessions, presence)
    url = settings.database_url.get_secret_value()
    return worker, LeaderLink(url, sender, worker.metrics, _link_tls(settings))


def _link_tls(settings: ListenSettings) -> ssl.SSLContext | None:
    """Return the context of a link to `tls://`; trust: OPSC_LINK_TLS_CA, else what the
    system trusts.
    """
    ca = settings.link_tls_ca
    return ssl.create_default_context(cafile=None if ca is None else str(ca))


# Ports ----------------------------------------------------------------------------------------


def _bound(settings: ListenSettings) -> ListeningSockets:
    host = settings.listen_host
    return ListeningSockets(
        plain=_bind(host, settings.listen_port) if settings.listen_port else None,
        tls=_bind(host, settings.listen_tls_port) if settings.listen_tls_port else None,
        tls12=_bind(host, settings.listen_tls12_port) if settings.listen_tls12_port else None,
        ingest=_bind_at(settings.ingest_address),
        boxes=[
            _bind_datagrams(address.host, address.port)
            if address.way == "udp"
            else _bind(address.host, address.port)
            for addresses in settings.boxes.values()
            for address in addresses
        ],
    )


def _bind_at(address: tuple[str, int] | None) -> socket.socket | None:
    return None if address is None else _bind(*address)


def _bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens. What is set on it, accepted connections inherit."""
    family = _family(host, port)
    is_dual = host in ("", "::") and socket.has_dualstack_ipv6()
    try:
        made = socket.create_server(
            (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=is_dual
        )
    except OSError as error:
        raise OSError(f"{host or '::'}:{port}: {error.strerror or error}") from error
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    made.setblocking(False)
    return made


def _bind_datagrams(host: str, port: int) -> socket.socket:
    """Return a socket for datagrams."""
    family = _family(host, port)
    made = socket.socket(family, socket.SOCK_DGRAM)
    if family is socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, host not in ("", "::"))
    try:
        made.bind((host, port))
    except OSError as error:
        raise OSError(f"udp {host or '::'}:{port}: {error.strerror or error}") from error
    made.setblocking(False)
    return made


def _family(host: str, port: int) -> socket.AddressFamily:
    return socket.getaddrinfo(host or "::", port, type=socket.SOCK_STREAM)[0][0]


def _inherited(text: str) -> ListeningSockets:
    """Return the sockets that the parent bound: descriptors, in the order of `ListeningSockets`,
    `-` for none.
    """
    plain, tls, tls12, ingest, *boxes = (
        None if handle == "-" else socket.socket(fileno=int(handle)) for handle in text.split()
    )
    return ListeningSockets(plain, tls, tls12, ingest, [box for box in boxes if box is not None])


def _too_few_files(settings: ListenSettings) -> str | None:
    """Raise the limit of open files as far as we may; say so where it is not enough."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.listen_max_connections + RESERVED_FILES
    if hard == resource.RLIM_INFINITY or soft < hard:
        soft = wanted if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1_024), hard))
    if soft >= wanted:
        return None
    return (
        f"OPSC_LISTEN_MAX_CONNECTIONS: {settings.listen_max_connections} connections need {wanted}"
        f" open files, and this process may have {soft} (ulimit -n, LimitNOFILE)"
    )


if __name__ == "__main__":
    sys.exit(main())
