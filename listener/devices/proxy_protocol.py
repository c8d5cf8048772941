"""The PROXY protocol, version 2: a proxy tells us the address of its client.

Format: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt, section 2.2.
"""

import socket
import struct

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_HEAD = struct.Struct("!12sBBH")
_MAX_BYTES = 4_096
_LOCAL, _PROXY = 0x20, 0x21


class ProxyProtocolError(ValueError):
    """Bytes that are no header of version 2."""


class ProxyHeader:
    """The reader of one header. address: of the client; None where the proxy speaks for itself."""

    def __init__(self) -> None:
        self._partial = b""
        self.address: str | None = None

    @property
    def missing(self) -> int:
        """Return how many bytes may be read now without reading what follows the header."""
        partial = self._partial
        if len(partial) < _HEAD.size:
            return _HEAD.size - len(partial)
        return _HEAD.size + int.from_bytes(partial[14:16], "big") - len(partial)

    def feed(self, data: bytes) -> bytes | None:
        """Return the bytes behind the header, or None while the header is incomplete.

        Raises ProxyProtocolError.
        """
        self._partial += data
        partial = self._partial
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


def _address(family: int, body: bytes) -> str | None:
    for wanted, kind, size in ((0x1, socket.AF_INET, 4), (0x2, socket.AF_INET6, 16)):
        if family >> 4 == wanted:
            if len(body) < size:
                raise ProxyProtocolError("the address ends early")
            return socket.inet_ntop(kind, body[:size])
    return None
