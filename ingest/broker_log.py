"""Whom the broker refused what, read from its log as it grows: mosquitto keeps no such counts.

- `sign_in`: a user that is not known, a wrong secret, none at all.
- `publish`: a message to a topic that is not the tracker's own.
- `subscribe`: a tracker's filter beside its own receipts. mosquitto says yes and delivers nothing.
- `tls`: a connection that was no TLS 1.3, or had no certificate where one is needed.

Messages of QoS 0 that are refused stand in the log at level debug only.
"""

import re
from collections import Counter
from enum import StrEnum
from pathlib import Path

_READ_BYTES = 1024 * 1024  # in one look; the rest waits for the next
_PARTIAL_BYTES = 64 * 1024  # a line that is longer is no line of a log


class Refused(StrEnum):
    """What was refused."""

    SIGN_IN = "sign_in"
    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    TLS = "tls"


# The client id is the user name, and a tracker's has no blank. mosquitto ends the connection after
# a refused message of QoS 1, with this as the reason.
_KIND_OF = (
    (Refused.SIGN_IN, re.compile(r": Client .* disconnected, not authorised\.$")),
    (Refused.PUBLISH, re.compile(r": Bad socket read/write on client .*: Quota exceeded$")),
    (Refused.PUBLISH, re.compile(r": Denied PUBLISH from .* \(d\d, q0, ")),
    (Refused.SUBSCRIBE, re.compile(r": (trk_\S+) [012] (?!trackers/\1/ack$)")),
    (
        Refused.TLS,
        re.compile(r": OpenSSL Error\[0\]: |: Client connection from \S+ failed: error:"),
    ),
)


def refused_in(line: str) -> Refused | None:
    """What a line of the log says was refused, if anything."""
    return next((kind for kind, pattern in _KIND_OF if pattern.search(line)), None)


class BrokerLog:
    """A log that another process writes, and begins anew when it is full. Starts at its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = path.stat().st_size if path.exists() else 0
        self._partial = b""

    def refused(self) -> Counter[Refused]:
        """What was refused since the last call. Raises OSError where the log cannot be read."""
        *lines, rest = (self._partial + self._read()).split(b"\n")
        self._partial = rest[-_PARTIAL_BYTES:]
        kinds = (refused_in(line.decode(errors="replace")) for line in lines)
        return Counter(kind for kind in kinds if kind is not None)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                if self._path.stat().st_size < self._offset:
                    self._offset = 0
                file.seek(self._offset)
                content = file.read(_READ_BYTES)
        except FileNotFoundError:
            return b""
        self._offset += len(content)
        return content
