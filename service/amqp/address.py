"""The address of the log of RabbitMQ, as OPSC_LOG_URL has it."""

import re
import ssl
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import unquote

LOG_FORM = (
    "a URL like amqp://user:password@host:port/vhost, with commas between several host:port;"
    " amqps:// for TLS"
)
_PORTS = {"amqp": 5672, "amqps": 5671}
_URL = re.compile(r"(amqps?)://([^:@/\s]+):([^@/\s]+)@([^@/?#\s]+)(?:/([^/?#\s]*))?")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:\s]+)(?::(\d{1,5}))?")


class LogAddress(NamedTuple):
    """hosts: host and port of each node. vhost: the part of RabbitMQ that is ours."""

    is_tls: bool
    user: str
    password: str
    hosts: tuple[tuple[str, int], ...]
    vhost: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL. Raises ValueError, which shows nothing of it: a password is in it."""
        match = _URL.fullmatch(text)
        if match is None:
            raise ValueError(f"must be {LOG_FORM}")
        scheme, user, password, places, vhost = match.groups()
        hosts: list[tuple[str, int]] = []
        for place in places.split(","):
            host = _HOST.fullmatch(place)
            port = int(host[2] or _PORTS[scheme]) if host is not None else 0
            if host is None or not 0 < port <= 65_535:
                raise ValueError(f"must be {LOG_FORM}")
            hosts.append((host[1].strip("[]"), port))
        return cls(
            scheme == "amqps", unquote(user), unquote(password), tuple(hosts), unquote(vhost or "/")
        )


def log_tls(address: LogAddress | None, ca: Path | None) -> ssl.SSLContext | None:
    """Return the context of `amqps://`: TLS 1.3, which checks certificate and host name.

    ca: OPSC_LOG_TLS_CA, else the system's authorities are believed. Raises ValueError.
    """
    if address is None:
        return None
    if not address.is_tls:
        if ca is not None:
            raise ValueError(
                "OPSC_LOG_TLS_CA is given, but OPSC_LOG_URL has no TLS: write amqps://"
            )
        return None
    try:
        context = ssl.create_default_context(cafile=ca)
    except OSError as error:
        raise ValueError(f"OPSC_LOG_TLS_CA: cannot be used: {error}") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
