"""Addresses of the link to listeners: a unix socket on one machine, TCP with or without TLS between
machines.
"""

import re
from ipaddress import ip_address
from typing import NamedTuple, Self

LINK_FORM = (
    "an address like unix:/run/opsc/ingest.sock, tls://10.0.0.5:9110 or tcp://127.0.0.1:9110"
)
MAX_PATH_BYTES = 107
"""Linux' bound of the path of a unix socket."""
_TCP = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^\[\]:/\s]+):(\d{1,5})")


class LinkAddress(NamedTuple):
    """An address. path: of a unix socket, else host and port."""

    scheme: str
    path: str
    host: str
    port: int

    @property
    def is_unix(self) -> bool:
        return self.scheme == "unix"

    @property
    def is_every_address(self) -> bool:
        """Whether it stands for all addresses of this machine: to listen on, not to connect to."""
        try:
            return ip_address(self.host).is_unspecified
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an address. Raises ValueError."""
        if text.startswith("unix:/"):
            path = text.removeprefix("unix:")
            if len(path.encode()) > MAX_PATH_BYTES:
                raise ValueError(f"the path has more than {MAX_PATH_BYTES} bytes")
            return cls("unix", path, "", 0)
        match = _TCP.fullmatch(text)
        if match is None or not 0 < int(match[3]) <= 65_535:
            raise ValueError(f"must be {LINK_FORM}, not {text!r}")
        return cls(match[1], "", match[2].strip("[]"), int(match[3]))

    def __str__(self) -> str:
        if self.is_unix:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"
