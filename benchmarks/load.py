"""A load generator that costs little beside what it loads: prebuilt packets from raw sockets.

    python -m benchmarks.load STREAM GAUGES PORT [SENT]

Sends the stream's packets over and over, each connection with at most WINDOW messages that the
broker has not acknowledged, all together no more than the gauges LIMIT and RATE allow, until the
gauge STOP is set. Then it waits for what is outstanding, prints `{"sent": n}` and exits with 0;
with 1 where the broker did not acknowledge all of it. There is no Python per message: only whole
stretches of packets are handed to the kernel, and acknowledgements are counted by their bytes.

SENT: where to write when each message was handed to the kernel (`benchmarks.latency` reads it).
"""

import json
import socket
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.gauges import Cell, Gauges
from benchmarks.packets import CONNACK_BYTES, DISCONNECT, PUBACK_BYTES, connect
from benchmarks.stream import Share, Stream, read_stream

WINDOW = 64
TURN_S = 0.004
DRAIN_S = 30.0


class Publisher:
    """One connection and its share of the stream."""

    def __init__(self, number: int, share: Share, span_us: int, port: int) -> None:
        self._share, self._span_us = share, span_us
        self._bytes = share.packets.data
        self._passes = 0
        self._message = 0  # the next of this pass
        self._at = self._until = 0  # bytes handed to the kernel, bytes meant for it
        self._ack_bytes = 0
        self.sent = 0
        self.stretches: list[tuple[int, int]] = []  # messages, and when they went, ns since 1970
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(connect(f"bench-{number:03}"))
        if self._socket.recv(CONNACK_BYTES)[3:] != b"\x00":
            raise ConnectionError("the broker refused the connection")
        self._socket.setblocking(False)

    @property
    def outstanding(self) -> int:
        return self.sent - self._ack_bytes // PUBACK_BYTES

    def read_acknowledgements(self) -> None:
        if not self.outstanding:
            return
        try:
            received = self._socket.recv(65_536)
        except BlockingIOError:
            return
        if not received:
            raise ConnectionError("the broker closed the connection")
        self._ack_bytes += len(received)

    def send(self, allowed: int) -> int:
        """Hand over up to `allowed` messages and say how many; first what was left unfinished."""
        if self._at < self._until:
            self._flush()
            return 0
        messages = min(allowed, WINDOW - self.outstanding)
        if not messages:
            return 0
        if self._message == len(self._share.ends):
            self._begin_next_pass()
        messages = min(messages, len(self._share.ends) - self._message)
        self._message += messages
        self.sent += messages
        self.stretches.append((messages, time.time_ns()))
        self._until = self._share.ends[self._message - 1]
        self._flush()
        return messages

    def finish(self) -> None:
        """Hand over the rest of a message that was begun."""
        if self._at < self._until:
            self._flush()

    def close(self) -> None:
        self._socket.setblocking(True)
        self._socket.sendall(DISCONNECT)
        self._socket.close()

    def _flush(self) -> None:
        try:
            self._at += self._socket.send(self._bytes[self._at : self._until])
        except BlockingIOError:
            return

    def _begin_next_pass(self) -> None:
        self._passes += 1
        self._share.clock.advance(self._passes * self._span_us)
        self._message = self._at = self._until = 0


def run(publishers: list[Publisher], gauges: Gauges) -> tuple[int, int]:
    """Messages sent, and of them not acknowledged by the broker."""
    sent = first = 0
    started = time.monotonic()
    while not gauges[Cell.STOP]:
        limit = gauges[Cell.LIMIT]
        if rate := gauges[Cell.RATE]:
            limit = min(limit, round(rate * (time.monotonic() - started)))
        for publisher in publishers[first:] + publishers[:first]:
            publisher.read_acknowledgements()
            sent += publisher.send(max(0, limit - sent))
        first = (first + 1) % len(publishers)
        time.sleep(TURN_S)
    _drain(publishers)
    return sent, sum(publisher.outstanding for publisher in publishers)


def _drain(publishers: list[Publisher]) -> None:
    deadline = time.monotonic() + DRAIN_S
    while any(publisher.outstanding for publisher in publishers) and time.monotonic() < deadline:
        for publisher in publishers:
            publisher.finish()
            publisher.read_acknowledgements()
        time.sleep(TURN_S)
    for publisher in publishers:
        publisher.close()


def _connected(stream: Stream, port: int) -> list[Publisher]:
    shares = enumerate(stream.shares)
    return [Publisher(number, share, stream.span_us, port) for number, share in shares]


def _write_sent(path: Path, publishers: list[Publisher]) -> None:
    """By connection, shape (stretches, 2): messages, and when they went, nanoseconds since 1970."""
    np.savez(path, *[np.array(one.stretches, np.int64).reshape(-1, 2) for one in publishers])


def main(arguments: list[str]) -> int:
    stream, gauges, port, *sent_to = arguments
    publishers = _connected(read_stream(Path(stream)), int(port))
    sent, lost = run(publishers, Gauges(Path(gauges)))
    for path in sent_to:
        _write_sent(Path(path), publishers)
    print(json.dumps({"sent": sent, "not_acknowledged": lost}))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
