"""Frames between a listener and ingest, as bytes and values.

    frame  = length u32 | kind u8 | body         (little-endian; length counts kind and body)

    listener                              ingest
       HELLO  version, listener, key   ->
                                      <-  WELCOME  version, epoch of the leader
       CONNECTIONS  opened, closed     ->
       MESSAGES  numbered, in a block  ->
                                      <-  RESULTS  epoch, ranges of numbers with a result each
                                      <-  EVICTED  connections that were taken over
                                      <-  RECEIPTS for connected trackers

Messages are numbered per link, from 0 on, without gaps. A range in RESULTS means that the messages
are committed, stored or in quarantine. Numbers are worth nothing on another link: there the
listener sends again what was not answered. A message names its topic by a number that an earlier or
the same frame has defined, for one connection; a definition replaces an earlier one.
"""

import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import numpy as np
from numpy.typing import NDArray

VERSION = 2
MAX_FRAME_BYTES = 16 * 1024 * 1024
"""A longer frame is an error: each side cuts the link."""

_HEAD = struct.Struct("<IB")
_BLOCK = struct.Struct("<QIII")  # first number, messages, bytes of topics, bytes of extras
_RESULTS = struct.Struct("<Q")
_RUN = np.dtype([("first", "<u8"), ("count", "<u4"), ("result", "u1")])
_encoder = msgspec.msgpack.Encoder()


class FrameKind(IntEnum):
    HELLO = 1
    WELCOME = 2
    CONNECTIONS = 3
    MESSAGES = 4
    RESULTS = 5
    EVICTED = 6
    RECEIPTS = 7


class FrameError(ValueError):
    """Bytes that are not a frame, or not one that belongs here."""


class Hello(msgspec.Struct, array_like=True):
    """The first frame of a listener. key: the shared key; empty on a unix socket."""

    version: int
    listener: UUID
    key: bytes = b""


class Welcome(msgspec.Struct, array_like=True):
    """The first frame of the leader. credit: messages and bytes that may be unanswered."""

    version: int
    epoch: int
    credit_messages: int
    credit_bytes: int


class Opened(msgspec.Struct, array_like=True):
    """A device signed in. age_us: how long ago: over a link no clocks of two machines are compared.
    is_session: it ends an older connection of the tracker; a request by HTTP ends none.
    """

    connection: int
    tracker_id: UUID
    org_id: UUID
    client_id: str
    age_us: int
    is_session: bool = True


class Connections(msgspec.Struct, array_like=True):
    """Connections that were opened and those that are gone. No message of those follows."""

    opened: list[Opened]
    closed: list[int]


class Topic(msgspec.Struct, array_like=True):
    """The definition of `number` as a topic of a connection."""

    number: int
    connection: int
    name: str


class Extra(msgspec.Struct, array_like=True):
    """Additions that few messages have. index: the message's place in its block."""

    index: int
    correlation_data: bytes | None = None
    oversize_bytes: int = 0


class Receipt(msgspec.Struct, array_like=True):
    """A receipt for a tracker that is connected and wants it."""

    tracker_id: UUID
    payload: bytes
    correlation_data: bytes | None = None


class Block(NamedTuple):
    """Consecutive messages. topics and payloads are aligned; topics are numbers."""

    first: int
    topics: list[int]
    payloads: list[bytes]
    defined: list[Topic]
    extras: list[Extra]


class Results(NamedTuple):
    """Ranges of messages that are committed: shape (n,) with `first`, `count` and `result`."""

    epoch: int
    runs: NDArray[np.void]


Body = Hello | Welcome | Connections | Block | Results | list[int] | list[Receipt]

_DECODERS: dict[FrameKind, msgspec.msgpack.Decoder[Any]] = {
    FrameKind.HELLO: msgspec.msgpack.Decoder(Hello),
    FrameKind.WELCOME: msgspec.msgpack.Decoder(Welcome),
    FrameKind.CONNECTIONS: msgspec.msgpack.Decoder(Connections),
    FrameKind.EVICTED: msgspec.msgpack.Decoder(list[int]),
    FrameKind.RECEIPTS: msgspec.msgpack.Decoder(list[Receipt]),
}
_KIND_OF: dict[type, FrameKind] = {
    Hello: FrameKind.HELLO,
    Welcome: FrameKind.WELCOME,
    Connections: FrameKind.CONNECTIONS,
}
_topics = msgspec.msgpack.Decoder(list[Topic])
_extras = msgspec.msgpack.Decoder(list[Extra])


def frame(body: Hello | Welcome | Connections) -> bytes:
    """Return the frame of a body that is written as MessagePack."""
    return _framed(_KIND_OF[type(body)], _encoder.encode(body))


def evicted(connections: Sequence[int]) -> bytes:
    """Return the frame that ends connections which were taken over."""
    return _framed(FrameKind.EVICTED, _encoder.encode(list(connections)))


def receipts(made: Sequence[Receipt]) -> bytes:
    """Return the frame of receipts."""
    return _framed(FrameKind.RECEIPTS, _encoder.encode(list(made)))


def block(
    first: int,
    topics: Sequence[int],
    payloads: Sequence[bytes],
    defined: Sequence[Topic] = (),
    extras: Sequence[Extra] = (),
) -> bytes:
    """Return the frame of consecutive messages, the first of which has the number `first`."""
    head = _encoder.encode(list(defined)) if defined else b""
    tail = _encoder.encode(list(extras)) if extras else b""
    count = len(topics)
    numbers = struct.pack(f"<{2 * count}I", *topics, *map(len, payloads))
    body = b"".join(
        (_BLOCK.pack(first, count, len(head), len(tail)), numbers, head, tail, *payloads)
    )
    return _framed(FrameKind.MESSAGES, body)


def results(epoch: int, numbers: NDArray[np.uint64], codes: NDArray[np.uint8]) -> bytes:
    """Return the frame that answers messages.

    numbers: shape (n,), rising. codes: shape (n,), a `telemetry.result.Result` each.
    """
    ends = np.flatnonzero((np.diff(numbers) != 1) | (np.diff(codes) != 0)) + 1
    starts = np.concatenate([np.zeros(1, np.intp), ends])
    runs = np.empty(len(starts), _RUN)
    runs["first"], runs["result"] = numbers[starts], codes[starts]
    runs["count"] = np.diff(np.append(starts, len(numbers)))
    return _framed(FrameKind.RESULTS, _RESULTS.pack(epoch) + runs.tobytes())


def _framed(kind: FrameKind, body: bytes) -> bytes:
    return _HEAD.pack(len(body) + 1, kind) + body


def bodies(data: bytes) -> list[Body]:
    """Return the bodies of whole frames, one after the other. Raises FrameError."""
    reader = FrameReader()
    found = list(reader.feed(data))
    if reader.is_within_frame:
        raise FrameError(f"{len(data)} bytes end within a frame")
    return found


class FrameReader:
    """Cuts a stream into frames, however the network cut it. Holds one frame and one read."""

    def __init__(self) -> None:
        self._partial = bytearray()

    @property
    def is_within_frame(self) -> bool:
        """Whether the rest of a frame is to come."""
        return bool(self._partial)

    def feed(self, data: bytes) -> Iterator[Body]:
        """Yield the body of each frame that `data` completes. Must be run to its end.

        Raises FrameError where the bytes are no frame.
        """
        if self._partial:
            self._partial += data
            if not _is_complete(self._partial):
                return
            data = bytes(self._partial)
            self._partial.clear()
        offset, end = 0, len(data)
        while end - offset >= _HEAD.size:
            length, kind = _HEAD.unpack_from(data, offset)
            if not 0 < length <= MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes: 1 to {MAX_FRAME_BYTES} are allowed")
            if end - offset < 4 + length:
                break
            yield _read(kind, data, offset + _HEAD.size, offset + 4 + length)
            offset += 4 + length
        self._partial += data[offset:]


def _is_complete(partial: bytearray) -> bool:
    if len(partial) < _HEAD.size:
        return False
    length = int.from_bytes(partial[:4], "little")
    return length > MAX_FRAME_BYTES or len(partial) >= 4 + length


def _read(kind: int, data: bytes, start: int, end: int) -> Body:
    try:
        if kind == FrameKind.MESSAGES:
            return _read_block(data, start, end)
        if kind == FrameKind.RESULTS:
            runs = start + _RESULTS.size
            (epoch,) = _RESULTS.unpack(data[start : min(runs, end)])
            return Results(epoch, np.frombuffer(data[runs:end], _RUN))
        return _DECODERS[FrameKind(kind)].decode(data[start:end])
    except (msgspec.DecodeError, struct.error, ValueError, OverflowError) as error:
        raise FrameError(f"a frame of kind {kind} cannot be read: {error}") from None


def _read_block(data: bytes, start: int, end: int) -> Block:
    first, count, head, tail = _BLOCK.unpack_from(data, start)
    at = start + _BLOCK.size
    if end - at < 8 * count + head + tail:
        raise FrameError(f"a block of {count} messages ends early")
    numbers = struct.unpack_from(f"<{2 * count}I", data, at)
    at += 8 * count
    defined = _topics.decode(data[at : at + head]) if head else []
    at += head
    extras = _extras.decode(data[at : at + tail]) if tail else []
    at += tail
    payloads: list[bytes] = []
    for length in numbers[count:]:
        payloads.append(data[at : at + length])
        at += length
    if at != end:
        raise FrameError(f"the payloads of a block have {at - end:+} bytes too many")
    return Block(first, list(numbers[:count]), payloads, defined, extras)
