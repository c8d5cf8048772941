"""A load generator that costs little beside what it loads: prebuilt packets from raw sockets.

    python -m benchmarks.common.load STREAM GAUGES PORT [--in-flight N] [--signed-in] [--ca FILE]
                              [--times FILE]

Sends the stream's packets over and over, each connection with at most `--in-flight` messages that
the server has not acknowledged, all together no more than the gauges LIMIT and RATE allow, until
the gauge STOP is set. Then it waits for what is outstanding, prints `{"sent": n}` and exits with 0;
with 1 where the server did not acknowledge all of it. Where several messages are in flight there is
no Python per message: stretches of packets are handed to the kernel, and acknowledgements are
counted by their bytes.

--signed-in: each connection signs in as the tracker whose messages it sends. --ca: with TLS,
trusting this certificate. --times: where to write when messages were handed to the kernel and when
they were acknowledged (`benchmarks.pipeline.latency` reads it).
"""

import argparse
import json
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.packets import CONNACK_BYTES, DISCONNECT, PUBACK_BYTES, connect
from benchmarks.common.payloads import tracker_id, tracker_secret
from benchmarks.common.stream import Share, read_stream
from stack.servers.tls import pinned

IN_FLIGHT = 64
TURN_S = 0.004
TIMED_TURN_S = 0.0005
"""Where a rate is given: an acknowledgement is seen at most so much later."""
DRAIN_S = 30.0
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Publisher:
    """One connection and its share of the stream."""

    def __init__(self, link: socket.socket, share: Share, span_us: int, in_flight: int) -> None:
        self._share, self._span_us, self._in_flight = share, span_us, in_flight
        self._bytes = share.packets.data
        self._passes = 0
        self._message = 0  # the next of this pass
        self._at = self._until = 0  # bytes handed to the kernel, bytes meant for it
        self._ack_bytes = 0
        self.sent = 0
        self.is_waiting = False  # for its turn to send
        # Messages, and when they went or were acknowledged, nanoseconds since 1970.
        self.stretches: list[tuple[int, int]] = []
        self.acknowledged: list[tuple[int, int]] = []
        self._socket = link
        self._socket.setblocking(False)

    @property
    def outstanding(self) -> int:
        return self.sent - self._ack_bytes // PUBACK_BYTES

    @property
    def may_send(self) -> bool:
        return self._at < self._until or self.outstanding < self._in_flight

    def fileno(self) -> int:
        return self._socket.fileno()

    def read_acknowledgements(self) -> None:
        try:
            received = self._socket.recv(65_536)
        except _NOT_NOW:
            return
        if not received:
            raise ConnectionError("the server closed the connection")
        before = self._ack_bytes // PUBACK_BYTES
        self._ack_bytes += len(received)
        self.acknowledged.append((self._ack_bytes // PUBACK_BYTES - before, time.time_ns()))

    def send(self, allowed: int) -> int:
        """Hand over up to `allowed` messages and say how many; first what was left unfinished."""
        if self._at < self._until:
            self._flush()
            return 0
        messages = min(allowed, self._in_flight - self.outstanding)
        if messages <= 0:
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
        except _NOT_NOW:
            return

    def _begin_next_pass(self) -> None:
        self._passes += 1
        self._share.clock.advance(self._passes * self._span_us)
        self._message = self._at = self._until = 0


def run(publishers: list[Publisher], gauges: Gauges) -> tuple[int, int]:
    """Return messages sent, and of them not acknowledged by the server."""
    by_handle = {publisher.fileno(): publisher for publisher in publishers}
    poll = select.epoll()
    for handle in by_handle:
        poll.register(handle, select.EPOLLIN)
    waiting = deque[Publisher]()
    for publisher in publishers:
        _wait(publisher, waiting)
    sent, started = 0, time.monotonic()
    while not gauges[Cell.STOP]:
        limit = gauges[Cell.LIMIT]
        if rate := gauges[Cell.RATE]:
            limit = min(limit, round(rate * (time.monotonic() - started)))
        for handle, _ in poll.poll(0, len(publishers)):
            by_handle[handle].read_acknowledgements()
            _wait(by_handle[handle], waiting)
        sent += _send(waiting, limit - sent)
        time.sleep(TIMED_TURN_S if rate else TURN_S)
    _drain(publishers)
    return sent, sum(publisher.outstanding for publisher in publishers)


def _wait(publisher: Publisher, waiting: deque[Publisher]) -> None:
    """Queue for a turn, where there is something to send."""
    if not publisher.is_waiting and publisher.may_send:
        publisher.is_waiting = True
        waiting.append(publisher)


def _send(waiting: deque[Publisher], allowed: int) -> int:
    """Give each that waits one turn; how many messages were handed over."""
    left = allowed
    for _ in range(len(waiting)):
        if left <= 0:
            break
        publisher = waiting.popleft()
        publisher.is_waiting = False
        left -= publisher.send(left)
        _wait(publisher, waiting)
    return max(0, allowed) - max(0, left)


def _drain(publishers: list[Publisher]) -> None:
    deadline = time.monotonic() + DRAIN_S
    while (left := [one for one in publishers if one.outstanding]) and time.monotonic() < deadline:
        for publisher in left:
            publisher.finish()
            publisher.read_acknowledgements()
        time.sleep(TURN_S)
    for publisher in publishers:
        publisher.close()


def _connected(port: int, connecting: bytes, tls: ssl.SSLContext | None) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls is not None:
        link = tls.wrap_socket(link)
    link.sendall(connecting)
    if link.recv(CONNACK_BYTES)[3:] != b"\x00":
        raise ConnectionError("the server refused the connection")
    return link


def _publishers(options: argparse.Namespace) -> list[Publisher]:
    stream = read_stream(options.stream)
    tls = None if options.ca is None else pinned(str(options.ca))
    made: list[Publisher] = []
    for number, share in enumerate(stream.shares):
        connecting = connect(f"bench-{number:03}")
        if options.signed_in:
            connecting = connect(tracker_id(share.tracker), tracker_secret(share.tracker))
        link = _connected(options.port, connecting, tls)
        made.append(Publisher(link, share, stream.span_us, options.in_flight))
    return made


def _write_times(path: Path, publishers: list[Publisher]) -> None:
    """Write by connection, shape (n, 2) each: messages sent and when, then
    acknowledged and when.
    """
    times = [part for one in publishers for part in (one.stretches, one.acknowledged)]
    np.savez(path, *[np.array(part, np.int64).reshape(-1, 2) for part in times])


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.common.load")
    parser.add_argument("stream", type=Path)
    parser.add_argument("gauges", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT)
    parser.add_argument("--signed-in", action="store_true")
    parser.add_argument("--ca", type=Path)
    parser.add_argument("--times", type=Path)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = _parse(arguments)
    publishers = _publishers(options)
    sent, lost = run(publishers, Gauges(options.gauges))
    if options.times is not None:
        _write_times(options.times, publishers)
    print(json.dumps({"sent": sent, "not_acknowledged": lost}))
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
