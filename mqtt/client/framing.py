"""Bytes in, packets out: cuts a stream into packets, however the network cut it.

Incomplete and invalid are different things: an incomplete packet waits for more bytes, an invalid
one raises MalformedPacketError after all packets before it have been given out. A packet longer
than the bound raises as soon as its length is known, so the buffer never holds more than one
packet and one read.
"""

from collections.abc import Iterator

import mqtt5

from mqtt.errors import MalformedPacketError, ProtocolViolationError

LENGTH_BYTES_MAX = 4


class PacketReader:
    """A reader of one direction of one connection. After an error it must not be used again."""

    def __init__(self, max_packet_bytes: int) -> None:
        self._max_packet_bytes = max_packet_bytes
        self._partial = bytearray()
        self._wanted_bytes = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of the packet that is not complete yet."""
        return len(self._partial)

    def feed(self, data: bytes) -> Iterator[mqtt5.Packet]:
        """Yield each packet that `data` completes. Must be run to its end."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._wanted_bytes:
                return
            data = bytes(self._partial)
            self._partial.clear()
        view = memoryview(data)
        end = len(data)
        offset = 0
        while offset < end:
            rest = view[offset:]
            try:
                packet, size = mqtt5.read(rest)
            except IndexError:
                self._keep(rest)
                return
            except ValueError as error:
                raise MalformedPacketError(str(error), bytes(rest[:16])) from error
            except BaseException as error:
                # The codec is Rust: a string that is not UTF-8 makes it panic, and a panic reaches
                # Python as a PanicException, which is a BaseException and cannot be imported.
                if type(error).__name__ != "PanicException":
                    raise
                raise MalformedPacketError("codec gave up", bytes(rest[:16])) from None
            if size > self._max_packet_bytes:
                raise _too_large(size, self._max_packet_bytes)
            yield packet
            offset += size

    def _keep(self, rest: memoryview) -> None:
        size = frame_size(rest)
        if size is not None and size <= len(rest):
            raise MalformedPacketError("content ends before its length", bytes(rest[:16]))
        if size is not None and size > self._max_packet_bytes:
            raise _too_large(size, self._max_packet_bytes)
        self._partial += rest
        self._wanted_bytes = size or 0


def frame_size(head: memoryview) -> int | None:
    """Return the size in bytes of the packet that starts with `head`; None while its length is not
    complete.

    The length is at most four bytes of seven bits, lowest first (MQTT 5, 1.5.5).
    """
    length = 0
    for position, byte in enumerate(head[1 : 1 + LENGTH_BYTES_MAX]):
        length |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            return 2 + position + length
    return None


def _too_large(size: int, limit: int) -> ProtocolViolationError:
    return ProtocolViolationError(
        f"packet of {size} bytes, we allow {limit}",
        mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE,
    )
