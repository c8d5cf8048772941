"""Boxes that send by UDP: the same packets in datagrams, and a socket that sends them."""

import asyncio
import socket
import struct
from collections.abc import Sequence

ANSWER_S = 0.5
"""A box asks again after this long without an answer."""
PATIENCE_S = 60.0


def datagram(imei: str, records: Sequence[bytes], number: int = 1) -> bytes:
    """Return records of Codec 8 as a box sends them. number: of the packet."""
    count = bytes((len(records),))
    data = b"\x08" + count + b"".join(records) + count
    body = struct.pack(">HBBH", 0xCAFE, 1, number % 256, len(imei)) + imei.encode() + data
    return struct.pack(">H", len(body)) + body


def accepted(count: int, number: int = 1) -> bytes:
    """Return the answer to a datagram."""
    return struct.pack(">HHBBB", 5, 0xCAFE, 1, number % 256, count)


class Radio:
    """A socket of a box. address: of this machine that it sends from."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self.socket.send(data)

    async def heard(self, wait_s: float = ANSWER_S) -> bytes:
        """Return the next answer; empty where there is none, or nobody listens."""
        try:
            async with asyncio.timeout(wait_s):
                return await asyncio.get_running_loop().sock_recv(self.socket, 2_048)
        except (TimeoutError, ConnectionRefusedError):
            return b""

    async def asked(self, data: bytes) -> bytes:
        """Send until there is an answer, as a box does, and return it."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    self.send(data)
                except ConnectionRefusedError:  # of the datagram before
                    await asyncio.sleep(ANSWER_S / 5)
                    continue
                if answer := await self.heard():
                    return answer

    def close(self) -> None:
        self.socket.close()
