"""The PROXY protocol, versions 1 and 2: a proxy tells us the address of its client.

Format: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, sections 2.1 and 2.2. nginx
speaks version 1, which is a line of text.
"""

import socket
import struct

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD = struct.Struct("!12sBBH")
_MAX_BYTES = 4_096
_LOCAL, _PROXY = 0x20, 0x21
_LINE = b"PROXY "
_LINE_LEAST_BYTES = len(b"PROXY UNKNOWN\r\n")  # fewer than version 2 has
_LINE_MOST_BYTES = 107
_FAMILIES = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}


class ProxyProtocolError(ValueError):
    """Bytes that are no header."""


class ProxyHeader:
    """The reader of one header. address: of the client; None where the proxy speaks for itself."""

    def __init__(self) -> None:
        self._partial = b""
        self.address: str | None = None

    @property
    def missing(self) -> int:
        """Return how many bytes may be read now without reading what follows the header."""
        partial = self._partial
        if len(partial) < _LINE_LEAST_BYTES:
            return _LINE_LEAST_BYTES - len(partial)
        if partial.startswith(_LINE):
            return 0 if partial.endswith(b"\r\n") else 1 if partial.endswith(b"\r") else 2
        if len(partial) < _HEAD.size:
            return _HEAD.size - len(partial)
        return _HEAD.size + int.from_bytes(partial[14:16], "big") - len(partial)

    def feed(self, data: bytes) -> bytes | None:
        """Return the bytes behind the header, or None while the header is incomplete.

        Raises ProxyProtocolError.
        """
        self._partial += data
        partial = self._partial
        if partial.startswith(_LINE[: len(partial)]):
            return self._feed_line(partial)
        if not _SIGNATURE.startswith(partial[:12]):
            raise ProxyProtocolError("no signature")
        if len(partial) < _HEAD.size:
            return None
        _, command, family, length = _HEAD.unpack_from(partial)
        if command not in (_LOCAL, _PROXY) or length > _MAX_BYTES:
            raise ProxyProtocolError(f"command {command:#x} with {length} bytes")
        end = _HEAD.size + length
        if len(partial) < end:
            return None
        if command == _PROXY:
            self.address = _address(family, partial[_HEAD.size : end])
        return partial[end:]

    def _feed_line(self, partial: bytes) -> bytes | None:
        line, end, _ = partial[:_LINE_MOST_BYTES].partition(b"\r\n")
        if not end:
            if len(partial) >= _LINE_MOST_BYTES:
                raise ProxyProtocolError("a line without an end")
            return None
        self.address = _address_in(line)
        return partial[len(line) + len(end) :]


def _address_in(line: bytes) -> str | None:
    _, family, *words = line.split(b" ")
    if family == b"UNKNOWN":
        return None
    try:
        client, _, _, _ = words
        kind = _FAMILIES[family]
        return socket.inet_ntop(kind, socket.inet_pton(kind, client.decode("ascii")))
    except (KeyError, OSError, ValueError):
        raise ProxyProtocolError("a line without two addresses") from None


def _address(family: int, body: bytes) -> str | None:
    for wanted, kind, size in ((0x1, socket.AF_INET, 4), (0x2, socket.AF_INET6, 16)):
        if family >> 4 == wanted:
            if len(body) < size:
                raise ProxyProtocolError("the address ends early")
            return socket.inet_ntop(kind, body[:size])
    return None
