"""Devices as bytes on a socket: packets that a client library would not send, and answers as read.

`version` is that of MQTT: 3 (3.1), 4 (3.1.1) or 5; a PUBLISH of version 5 has no properties.
"""

import socket
import ssl
import struct
from typing import Self

from tests.waiting import PATIENCE_S

CONNACK, PUBLISH, PUBACK, PUBREC, PUBCOMP = 0x20, 0x30, 0x40, 0x50, 0x70
SUBACK, PINGRESP, DISCONNECT = 0x90, 0xD0, 0xE0
PINGREQ = b"\xc0\x00"


def text(value: str | bytes) -> bytes:
    """Return a string, with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack("!H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    """Return a packet: its first byte, its length, its content."""
    size, length = len(body), b""
    while True:
        size, low = divmod(size, 128)
        length += bytes((low | (0x80 if size else 0),))
        if not size:
            return bytes((head,)) + length + body


def connect(
    username: str,
    password: str = "secret",
    *,
    version: int = 5,
    client_id: str = "c",
    is_clean: bool = True,
    keepalive_s: int = 60,
    session_expiry_s: int = 0,
    will: tuple[str, bytes, int] | None = None,
) -> bytes:
    """Return a CONNECT. will: topic, payload, and delay in seconds (version 5)."""
    none = b"\x05\x11" + struct.pack("!I", session_expiry_s) if version == 5 else b""
    body = text("MQIsdp" if version == 3 else "MQTT")
    body += bytes((version, 0xC0 | (2 if is_clean else 0) | (4 if will else 0)))
    body += struct.pack("!H", keepalive_s) + none + text(client_id)
    if will is not None:
        topic, payload, delay_s = will
        body += b"\x05\x18" + struct.pack("!I", delay_s) if version == 5 else b""
        body += text(topic) + text(payload)
    return packet(0x10, body + text(username) + text(password))


def publish(
    topic: str,
    payload: bytes,
    packet_id: int = 0,
    *,
    version: int = 5,
    qos: int = 1,
    is_again: bool = False,
) -> bytes:
    """Return a PUBLISH; with QoS 0 where there is no packet id. is_again: DUP is set."""
    named = struct.pack("!H", packet_id) if packet_id else b""
    none = b"\0" if version == 5 else b""
    head = 0x30 | (qos << 1 if packet_id else 0) | is_again << 3
    return packet(head, text(topic) + named + none + payload)


class Wire:
    """A connection. Reading fails the test where nothing comes for `PATIENCE_S`."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, source: str = "") -> None:
        address = (source, 0) if source else None
        made = socket.create_connection(("127.0.0.1", port), PATIENCE_S, source_address=address)
        self.socket = made if tls is None else tls.wrap_socket(made)
        self._unread = b""

    @classmethod
    def signed_in(cls, port: int, username: str, *, version: int = 5, source: str = "") -> Self:
        """Return a device that has heard that it is accepted."""
        made = cls(port, source=source)
        made.send(connect(username, version=version))
        assert made.connack() == 0
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def close(self) -> None:
        self.socket.close()

    def read(self) -> tuple[int, bytes] | None:
        """Return the next packet: its type (the upper half of the first byte) and content. None:
        ended.
        """
        while True:
            unread, size, shift, at = self._unread, 0, 0, 1
            while at < len(unread):
                size |= (unread[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if unread[at - 1] < 128:
                    if len(unread) >= at + size:
                        self._unread = unread[at + size :]
                        return unread[0] & 0xF0, unread[at : at + size]
                    break
            try:
                data = self.socket.recv(65_536)
            except ConnectionError:
                return None
            if not data:
                return None
            self._unread += data

    def connack(self) -> int | None:
        """Return the reason code of CONNACK; None where the connection ended without one."""
        found = self.read()
        if found is None:
            return None
        assert found[0] == CONNACK
        return found[1][1]

    def end(self) -> int | None:
        """Read to the end; the reason of DISCONNECT, or None where there was none."""
        code = None
        while (found := self.read()) is not None:
            if found[0] == DISCONNECT:
                code = found[1][0]
        return code
