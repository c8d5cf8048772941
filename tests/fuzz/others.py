"""Other input of strangers and broken peers: payloads, PROXY headers, HTTP, boxes over TCP, frames
of the link.
"""

import asyncio
import ipaddress
import re
import socket
from contextlib import suppress
from typing import NamedTuple
from uuid import UUID

from ingest.sources.link import CREDIT_MESSAGES, LinkOptions, LinkServer
from ingest.sources.link_address import LinkAddress
from listener.devices.proxy_protocol import ProxyHeader, ProxyProtocolError
from listener.http.doors import DOORS, credentials_of, payload_of, place_of
from listener.http.requests import HEAD_BYTES, RefusedRequest, Request, RequestReader
from listener.link.ingest_link import Sender
from listener.link.outbox import DeviceMessage, Origin
from listener.tcp.protocol import Packet
from listener.tcp.teltonika import TeltonikaDatagram
from telemetry import link
from telemetry.formats.decode import Format, check_clock, decode, format_of
from telemetry.formats.decoded import MAX_MESSAGE_BYTES
from telemetry.link import FrameError, FrameReader
from tests.listener.tcp.streams import STREAMS, events
from tests.telemetry.payloads import assert_independent

BETWEEN = b"\xc1\xc1"
"""Between the payloads of an input: no MessagePack contains this byte, but in strings."""
NOW_US = 1_769_860_800_000_000


def payloads(data: bytes) -> None:
    """Decode payloads of a batch as ingest does. The first byte of each says the format."""
    parts = data.split(BETWEEN)[:8]
    messages = [(part[1:], Format(part[0] % len(Format))) for part in parts if part]
    assert_independent(messages)
    decoded = decode([payload for payload, _ in messages], [form for _, form in messages])
    kept, refused = check_clock(decoded.batch, NOW_US)
    assert len(kept) + len(refused) == len(decoded.batch)
    format_of(data.decode(errors="replace"))


# PROXY protocol -----------------------------------------------------------------------------------


def proxy(data: bytes) -> None:
    """Read a PROXY header, cut in pieces of the size that the first byte says."""
    size, data = (data[0] % 20 + 1 if data else 1), data[1:]
    header, rest = ProxyHeader(), None
    try:
        for at in range(0, len(data), size):
            piece = data[at : at + size]
            assert header.missing > 0
            rest = header.feed(piece)
            if rest is not None:
                rest += data[at + size :]
                break
        found = (header.address, rest)
    except ProxyProtocolError:
        found = None
    assert found == _plain_header(data)


def _plain_line(data: bytes) -> tuple[str | None, bytes | None] | None:
    """Read a header of version 1 at once."""
    end = data.find(b"\r\n", 0, 107)
    if end < 0:
        return (None, None) if len(data) < 107 else None
    line = rb"PROXY (?:UNKNOWN(?: .*)?|TCP([46]) ([^ ]*)(?: [^ ]*){3})"
    found = re.fullmatch(line, data[:end], re.DOTALL)
    if found is None or not found[1]:
        return None if found is None else (None, data[end + 2 :])
    try:
        address = ipaddress.ip_address(found[2].decode("ascii"))
    except ValueError:
        return None
    if str(address.version) != found[1].decode() or b"%" in found[2]:
        return None
    kind = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return socket.inet_ntop(kind, address.packed), data[end + 2 :]


def _plain_header(data: bytes) -> tuple[str | None, bytes | None] | None:
    """Read a header at once; None for one that is wrong, however little of it has come."""
    if data and data[:6] == b"PROXY "[: len(data)]:
        return _plain_line(data)
    signature = bytes.fromhex("0d0a0d0a000d0a515549540a")
    if data[:12] != signature[: len(data)]:
        return None
    if len(data) < 16:
        return None, None
    command, family, size = data[12], data[13] >> 4, data[14] * 256 + data[15]
    if command not in (0x20, 0x21) or size > 4096:
        return None
    if len(data) < 16 + size:
        return None, None
    body, rest = data[16 : 16 + size], data[16 + size :]
    length = {1: 4, 2: 16}.get(family)
    if command == 0x20 or length is None:
        return None, rest
    if size < length:
        return None
    kind = socket.AF_INET if family == 1 else socket.AF_INET6
    return socket.inet_ntop(kind, body[:length]), rest


# HTTP ---------------------------------------------------------------------------------------------


def requests(data: bytes) -> None:
    """Read requests, cut in pieces of the size that the first byte says."""
    size, data = (data[0] if data else 0) or 1, data[1:]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    first, whole = _first_request(pieces), _first_request([data])
    if first is not None and whole is not None:
        assert first[:-1] == whole[:-1]  # what follows at once ends the connection


def _first_request(pieces: list[bytes]) -> Request | None:
    """Read all requests one after the other, and return the first."""
    reader, read = RequestReader(), list[Request]()
    with suppress(RefusedRequest):
        for piece in pieces:
            if (request := reader.feed(piece)) is not None:
                read.append(request)
                place_of(request.path)
                credentials_of(request.headers.get(b"authorization", ""))
                payload_of(DOORS["osmand"], request, 7)
                reader.next()
            assert reader.held_bytes <= HEAD_BYTES + MAX_MESSAGE_BYTES
    return read[0] if read else None


# Boxes over TCP -----------------------------------------------------------------------------------


def boxes(data: bytes) -> None:
    """Read what a box sends over TCP, and as one datagram. The first byte says its protocol, the
    second the size of pieces.
    """
    protocol, size, data = (data[0] if data else 0), (data[1:2] or b"\1")[0] or 1, data[2:]
    make, _ = STREAMS[protocol % len(STREAMS)]
    said, is_broken = events(make(), [data[at : at + size] for at in range(0, len(data), size)])
    assert (said, is_broken) == events(make(), [data])
    sent = [event.payload for event in said if isinstance(event, Packet)]
    assert_independent([(payload, format_of(make().topic("x"))) for payload in sent[:8]])
    datagram, _ = events(TeltonikaDatagram(), [data])
    packets = [event.payload for event in datagram if isinstance(event, Packet)]
    assert_independent([(packet, Format.TELTONIKA_IMEI) for packet in packets])


# Frames -------------------------------------------------------------------------------------------


def frames(data: bytes) -> None:
    """Send frames, cut in pieces of the size that the first byte says, to both ends of the link."""
    size, data = (data[0] if data else 0) or 1, data[1:]
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert _bodies(pieces) == _bodies([data])
    asyncio.run(_to_ends(pieces))


def _bodies(pieces: list[bytes]) -> list[object]:
    """Return what the reader makes of frames; the last is None where it refuses them."""
    reader, read = FrameReader(), list[object]()
    try:
        for piece in pieces:
            for body in reader.feed(piece):
                is_results = isinstance(body, link.Results)
                read.append((body.epoch, body.runs.tolist()) if is_results else body)
    except FrameError:
        read.append(None)
    return read


class _Sent(NamedTuple):
    """A message that a listener has for ingest."""

    number: int
    topic: str = "t"
    payload: bytes = b"x"
    correlation_data: bytes | None = None
    oversize_bytes: int = 0
    qos: int = 1


_UNCONNECTED = socket.socket(socket.AF_UNIX)


class _Transport(asyncio.Transport):
    """A transport where nothing arrives."""

    def __init__(self) -> None:
        super().__init__({"socket": _UNCONNECTED})
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert len(data) >= 5

    def is_closing(self) -> bool:
        return self._is_closing

    def abort(self) -> None:
        self._is_closing = True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass


async def _to_ends(pieces: list[bytes]) -> None:
    server = LinkServer(LinkOptions(LinkAddress.parse("unix:/never.sock")), epoch=1)
    peer = server.protocol()
    peer.connection_made(_Transport())
    for piece in pieces:
        peer.data_received(piece)
    assert len(server.queue) <= CREDIT_MESSAGES
    peer.connection_lost(None)
    assert len(server.queue) == 0
    await _to_listener(pieces)


async def _to_listener(pieces: list[bytes]) -> None:
    """Check that nothing is lost or answered twice by whatever the other end says."""
    answered: list[int] = []

    def committed(message: DeviceMessage, result: int) -> None:
        answered.append(message.number)

    sender = Sender(UUID(int=1))
    origin = Origin(1, 0, UUID(int=2), UUID(int=3), "", 0.0, committed, lambda _: None)
    sender.opened(origin)
    for number in range(5):
        sender.offer(origin, _Sent(number))
    made = sender.link()
    made.connection_made(_Transport())
    for piece in pieces:
        made.data_received(piece)
        await asyncio.sleep(0)  # it sends what it may send by now
    assert len(set(answered)) == len(answered)
    assert len(sender.outbox) + len(answered) == 5
    made.connection_lost(None)
