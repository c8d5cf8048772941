"""Meitrack over TCP or UDP: packets that each say the IMEI (`telemetry.formats.boxes.meitrack`).

    $$ letter length, IMEI, command ... * checksum CR LF

AAA has no answer, and is not sent again. A device that waits for the server's confirmation sends
AFF, or CCC with several positions, and is told after COMMIT how many of them it may delete. What
a device says of commands, and pictures, are messages, too: the decoder knows what to do.
"""

from listener.tcp.protocol import Damaged, Event, Login, NoProtocol, Packet, Received
from telemetry.formats.boxes.meitrack import (
    HEAD,
    PacketError,
    check,
    checksum,
    records_of,
)
from telemetry.topics import meitrack_topic

MAX_LENGTH_BYTES = 4 * 1024
_LONGEST_HEAD_BYTES = len(b"$$A9999,")
_LEAST_LENGTH_BYTES = len(b",123456789012345,AAA,*00\r\n")
_CONFIRMED = frozenset({b"AFF", b"CCC"})


class Meitrack(Received):
    """The bytes of one connection, or of one datagram."""

    name = "meitrack"
    command = None

    def __init__(self) -> None:
        super().__init__()
        self._imei = ""

    def topic(self, tracker_id: str) -> str:
        return meitrack_topic(tracker_id)

    def next(self) -> Event | None:
        """Return what was received next. Raises NoProtocol."""
        if (size := self._packet_bytes()) is not None:
            packet = bytes(self._buffer[:size])
            head = HEAD.match(packet)
            if head is None or packet[-2:] != b"\r\n":
                raise NoProtocol("no packet")
            imei = head[3].decode()
            try:
                check(packet)
                answer = _answer(packet)
            except PacketError:
                del self._buffer[:size]
                return Damaged(packet, answer=b"")
            if imei != self._imei:
                self._imei = imei
                return Login(imei, answer=b"")
            del self._buffer[:size]
            return Packet(packet, answer)
        return None

    def _packet_bytes(self) -> int | None:
        """Return the length of the next packet, None while it is not whole. Raises NoProtocol."""
        begin = bytes(self._buffer[:_LONGEST_HEAD_BYTES])
        comma = begin.find(b",", 3)
        if begin[:2] != b"$$"[: len(begin)] or (comma < 0 and len(begin) == _LONGEST_HEAD_BYTES):
            raise NoProtocol("no packet")
        if comma < 0:
            return None
        digits = begin[3:comma]
        if not digits.isdigit() or not _LEAST_LENGTH_BYTES <= int(digits) <= MAX_LENGTH_BYTES:
            raise NoProtocol("no packet")
        size = comma + int(digits)
        return size if len(self._buffer) >= size else None


def _answer(packet: bytes) -> bytes:
    """Return what tells a device to delete what it has sent; empty where it waits for nothing.
    Raises PacketError.
    """
    head = HEAD.match(packet)
    if head is None or head[4] not in _CONFIRMED:
        return b""
    count = records_of(packet) if head[4] == b"CCC" else 1
    body = b",%b,%b,%d*" % (head[3], head[4], count)
    begin = b"@@%b%d%b" % (head[1], len(body) + len(b"00\r\n"), body)
    return begin + checksum(begin) + b"\r\n"
