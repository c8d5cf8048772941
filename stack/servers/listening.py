"""The addresses at which devices connect to `opsc up`: the listener's ports, as its settings and as
URLs.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Mapping
from dataclasses import dataclass

from service.tcp import is_loopback
from stack.errors import StackError
from stack.servers.ports import Ports, claimed
from stack.servers.postgres import LOOPBACK
from stack.servers.tls import Certificate

LISTEN_PORT = 1883
LISTEN_TLS_PORT = 8883
LISTEN_HTTP_PORT = 9104
INGEST_PORT = 5055
NO_INGEST = "off"
BY_IMEI = (
    *("OPSC_LISTEN_TELTONIKA", "OPSC_LISTEN_GT06", "OPSC_LISTEN_QUECLINK"),
    *("OPSC_LISTEN_H02", "OPSC_LISTEN_MEITRACK"),
)
NEED_TLS = ("OPSC_LISTEN_TLS_PORT", "OPSC_LISTEN_TLS12_PORT", "OPSC_LISTEN_CLIENT_CA")
OTHER_FILES = 64
"""What a listener keeps open beside its connections, with room to spare."""
_CONNECTIONS = "OPSC_LISTEN_MAX_CONNECTIONS"
_USUAL_CONNECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class Listening:
    """The listener's address. port: None where it has no plain one; tls_port: where it has one.
    ingest: host and port for devices that send by HTTP; None: there is none.
    """

    host: str
    port: int | None
    tls_port: int | None
    ingest: str | None = None

    @property
    def url(self) -> str:
        """The URL for programs on this machine: the plain port, where there is one."""
        return f"mqtt://{self.local_host}:{self.port}" if self.port else str(self.tls_url)

    @property
    def tls_url(self) -> str | None:
        return None if self.tls_port is None else f"mqtts://{self.local_host}:{self.tls_port}"

    @property
    def ingest_url(self) -> str | None:
        return None if self.ingest is None else f"http://{self.ingest}/v1/ingest/"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port or self.tls_port}"

    @property
    def local_host(self) -> str:
        """The host, or this machine where the listener listens on every address."""
        if self.host in ("", "0.0.0.0", "::"):
            return LOOPBACK
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_plain_for_all(self) -> bool:
        """Whether devices elsewhere may connect without TLS."""
        return self.port is not None and not is_loopback(self.host)

    def variables(self) -> Mapping[str, str]:
        """Return settings of the role."""
        settings = {"OPSC_LISTEN_HOST": self.host, "OPSC_LISTEN_PORT": str(self.port or 0)}
        settings["OPSC_LISTEN_INGEST_HTTP"] = self.ingest or NO_INGEST
        if self.tls_port is not None:
            settings["OPSC_LISTEN_TLS_PORT"] = str(self.tls_port)
        if _CONNECTIONS not in os.environ:
            settings[_CONNECTIONS] = str(min(_USUAL_CONNECTIONS, most_connections()))
        return settings


def listening(ports: Ports, certificate: Certificate | None) -> Listening:
    """Choose the ports. Raises StackError for settings that need a certificate, without one."""
    host = os.environ.get("OPSC_LISTEN_HOST") or LOOPBACK
    port = tls_port = None
    if os.environ.get("OPSC_LISTEN_PORT") != "0":
        _, port = ports.address("listener", "OPSC_LISTEN_PORT", LISTEN_PORT)
    if certificate is not None:
        _, tls_port = ports.address("listener-tls", "OPSC_LISTEN_TLS_PORT", LISTEN_TLS_PORT)
    if port is None and tls_port is None:
        raise StackError("OPSC_LISTEN_PORT=0 needs TLS: OPSC_TLS_CERT and OPSC_TLS_KEY, or --tls")
    ingest = None
    if os.environ.get("OPSC_LISTEN_INGEST_HTTP") != NO_INGEST:
        ingest = "{}:{}".format(*ports.address("devices", "OPSC_LISTEN_INGEST_HTTP", INGEST_PORT))
    return Listening(host, port, tls_port, ingest)


def claim_boxes() -> None:
    """Take the ports of boxes, before anything is started. Raises PortTaken."""
    for name in BY_IMEI:
        for part in os.environ.get(name, NO_INGEST).split(","):
            way, _, address = part.strip().rpartition("://")
            if way != "udp" and address != NO_INGEST:
                claimed(name, address)


def require_certificate(certificate: Certificate | None) -> None:
    """Raise StackError where a setting needs a certificate, and there is none."""
    for name in NEED_TLS:
        if certificate is None and os.environ.get(name):
            raise StackError(f"{name} needs TLS: OPSC_TLS_CERT and OPSC_TLS_KEY, or --tls")
    client_ca = os.environ.get("OPSC_LISTEN_CLIENT_CA")
    if client_ca and not os.access(client_ca, os.R_OK):
        raise StackError(f"cannot read {client_ca}: OPSC_LISTEN_CLIENT_CA names a file")


def most_connections() -> int:
    """Return how many devices the limit of open files has room for."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _USUAL_CONNECTIONS if hard == resource.RLIM_INFINITY else max(1, hard - OTHER_FILES)
