"""The address of the broker, and how its certificate is checked.

`BrokerAddress.parse` takes `mqtt://host[:port]` (plain, 1883) and `mqtts://host[:port]` (TLS,
8883) and raises ValueError with the reason for anything else. TLS is version 1.3 or nothing.
Credentials never stand in the URL: URLs end up in logs and process lists.
"""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, urlsplit

DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Host, port and, for TLS, the context that checks the broker."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if not self.host:
            raise ValueError("broker address has no host")
        if any(character <= " " for character in self.host):
            raise ValueError(f"broker host {self.host!r} holds a blank or a control character")
        try:
            self.host.encode("idna")
        except UnicodeError as error:
            raise ValueError(f"broker host {self.host!r} is no host name: {error}") from None
        if not 1 <= self.port <= 65535:
            raise ValueError(f"broker port must be 1..65535, not {self.port}")
        if self.tls is not None and self.tls.minimum_version < ssl.TLSVersion.TLSv1_3:
            raise ValueError("broker TLS context must require TLS 1.3 (minimum_version)")

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
    ) -> Self:
        """Read a broker URL. `ca_file` replaces the system's authorities; the other two are for
        mutual TLS.
        """
        parts = _split(url)
        host, port = _endpoint(parts)
        if parts.scheme == "mqtts":
            return cls(host, port, tls_context(ca_file, certificate_file, key_file))
        if ca_file or certificate_file or key_file:
            raise ValueError("certificates are given, but mqtt:// does not use TLS: write mqtts://")
        return cls(host, port)

    def __str__(self) -> str:
        scheme = "mqtt" if self.tls is None else "mqtts"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


def tls_context(
    ca_file: Path | None = None,
    certificate_file: Path | None = None,
    key_file: Path | None = None,
) -> ssl.SSLContext:
    """Return a client context for TLS 1.3 that checks the certificate and the host name."""
    if key_file and not certificate_file:
        raise ValueError("a key file is given without its certificate file")
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    if certificate_file:
        context.load_cert_chain(certificate_file, key_file)
    return context


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:  # whose text may show a password
        raise ValueError("broker URL cannot be read") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("broker URL must start with mqtt:// or mqtts://, as in mqtt://host:1883")
    if parts.username is not None or parts.password is not None:
        raise ValueError(
            "broker URL must not hold a user name or password: use the settings for them"
        )
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("broker URL must end after the port")
    return parts


def _endpoint(parts: SplitResult) -> tuple[str, int]:
    try:
        port = parts.port
    except ValueError:
        raise ValueError("broker port must be a number in 1..65535") from None
    if not parts.hostname:
        raise ValueError("broker URL has no host")
    return parts.hostname, DEFAULT_PORTS[parts.scheme] if port is None else port
