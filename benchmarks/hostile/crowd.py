"""Sockets of an attacker: many, from many addresses, counted, and held to a share of a core.

Everything is non-blocking and of one thread. An attack sends what it wants; `look` reads what came
back and counts answers and ends.
"""

import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from benchmarks.common.packets import remaining_length
from benchmarks.common.payloads import tracker_id, tracker_secret

READ_BYTES = 65_536
LOOK_EVENTS = 4_096
LEAST_PAUSE_S = 0.001
ANSWERS = {0x20: "CONNACK", 0x40: "PUBACK", 0x90: "SUBACK", 0xB0: "UNSUBACK", 0xD0: "PINGRESP"}
ANSWERS |= {0xE0: "DISCONNECT", 0x30: "PUBLISH"}


Door = Literal["mqtt", "http", "teltonika", "queclink", "datagrams"]


class Throttle:
    """A throttle that holds this process to a share of one core, by its own processor time."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._began_s, self._began_cpu_s = time.monotonic(), time.process_time()

    @property
    def used_s(self) -> float:
        """Processor time since the beginning."""
        return time.process_time() - self._began_cpu_s

    def rest(self) -> None:
        """Sleep until the processor time used is the share of the time that has passed."""
        over_s = self.used_s - self._share * (time.monotonic() - self._began_s)
        time.sleep(max(LEAST_PAUSE_S, over_s / self._share))


class Line:
    """One connection. answers: packets that came back. is_open: not ended by the other side."""

    def __init__(self, crowd: "Crowd", made: socket.socket) -> None:
        self._crowd = crowd
        self._socket = made
        self._unsent = b""
        self._received = b""
        self.answers = 0
        self.is_open = True

    def fileno(self) -> int:
        return self._socket.fileno()

    @property
    def may_send(self) -> bool:
        """Whether the kernel has taken all that was sent; what it has not is offered again."""
        self._flush()
        return self.is_open and not self._unsent

    def send(self, data: bytes) -> None:
        """Hand bytes to the kernel; what it does not take now waits."""
        self._unsent += data
        self._flush()

    def read(self) -> None:
        """Take what came back."""
        try:
            data = self._socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._ended()
            return
        self._count(self._received + data)

    def close(self) -> None:
        """End the connection from this side."""
        if self.is_open:
            self.is_open = False
            self._crowd.forget(self)
            self._socket.close()

    def _flush(self) -> None:
        if not self.is_open or not self._unsent:
            return
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        except OSError:
            self._ended()
            return
        self._crowd.done["bytes"] += sent
        self._unsent = self._unsent[sent:]

    def _count(self, data: bytes) -> None:
        """Count whole packets. All answers are short: their length is one byte."""
        if self._crowd.door in ("teltonika", "queclink", "datagrams"):
            self._crowd.done["answers"] += 1
            self.answers += 1
            return
        if self._crowd.door == "http":
            for answer in data.split(b"HTTP/1.1 ")[1:]:
                self._crowd.done[answer[:3].decode()] += 1
                self.answers += 1
            return
        at = 0
        while len(data) - at >= 2 and len(data) - at >= 2 + data[at + 1]:
            kind = ANSWERS.get(data[at] & 0xF0, "other")
            refused = kind == "CONNACK" and data[at + 3] != 0
            self._crowd.done["refused CONNACK" if refused else kind] += 1
            self.answers += not refused
            at += 2 + data[at + 1]
        self._received = data[at:]

    def _ended(self) -> None:
        self._crowd.done["ended by the listener"] += 1
        self.close()


class Crowd:
    """All connections of an attacker. done: what it did and what came back, counted."""

    def __init__(self, port: int, addresses: Sequence[str], door: Door = "mqtt") -> None:
        self._port = port
        self.door = door
        self._addresses = addresses
        self._poll = select.epoll()
        self._lines: dict[int, Line] = {}
        self.done: Counter[str] = Counter()
        self.most = 0

    @property
    def open(self) -> int:
        """Connections that are open now."""
        return len(self._lines)

    @property
    def lines(self) -> list[Line]:
        """All connections that are open now."""
        return list(self._lines.values())

    def connect(self, *, reads: bool = True) -> Line | None:
        """Begin a connection from the next address; None where there is no descriptor for it."""
        address = self._addresses[self.done["connections"] % len(self._addresses)]
        made = None
        try:
            is_datagram = self.door == "datagrams"
            made = socket.socket(type=socket.SOCK_DGRAM if is_datagram else socket.SOCK_STREAM)
            made.setblocking(False)
            if not reads:
                made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            made.bind((address, 0))
            made.connect_ex(("127.0.0.1", self._port))
        except OSError:
            self.done["no descriptor or port"] += 1
            if made is not None:
                made.close()
            return None
        line = Line(self, made)
        self._lines[made.fileno()] = line
        self._poll.register(made, select.EPOLLIN if reads else 0)
        self.done["connections"] += 1
        self.most = max(self.most, len(self._lines))
        return line

    def forget(self, line: Line) -> None:
        """Stop looking at a connection."""
        self._lines.pop(line.fileno(), None)
        self._poll.unregister(line.fileno())

    def look(self) -> None:
        """Read what came back, on all connections."""
        for handle, _ in self._poll.poll(0, LOOK_EVENTS):
            if (line := self._lines.get(handle)) is not None:
                line.read()

    def close(self) -> None:
        """End all connections."""
        for line in list(self._lines.values()):
            line.close()


def kept(crowd: Crowd, wanted: int, begin: bytes) -> Iterator[list[Line]]:
    """Hold this many connections that begin with some bytes; those that end begin again."""
    lines: list[Line] = []
    while True:
        lines = [line for line in lines if line.is_open]
        for _ in range(min(200, wanted - len(lines))):
            line = crowd.connect()
            if line is None:
                break
            line.send(begin)
            lines.append(line)
        crowd.look()
        yield lines


def again_and_again(crowd: Crowd, begin: bytes) -> Iterator[None]:
    """Hold 500 connections that say one thing; each that ends makes place for a new one."""
    for lines in kept(crowd, 500, begin):
        for line in lines:
            if line.answers:
                line.close()
        yield


class Fleet:
    """Trackers that are signed in, and sign in again when their connection ends."""

    def __init__(self, crowd: Crowd, trackers: Sequence[int], *, version: int = 4) -> None:
        self._crowd = crowd
        self._version = version
        self._lines: dict[int, Line | None] = dict.fromkeys(trackers)

    def ready(self) -> Iterator[tuple[int, Line]]:
        """Yield each tracker that is signed in, with its connection; the others begin
        to sign in.
        """
        for tracker, line in self._lines.items():
            if line is None or not line.is_open:
                self._lines[tracker] = made = self._crowd.connect()
                if made is not None:
                    made.send(sign_in(tracker, version=self._version))
            elif line.answers:
                yield tracker, line


def sign_in(tracker: int, secret: str | None = None, *, version: int = 4) -> bytes:
    """Return a CONNECT with a clean start and without keepalive."""
    name, none = tracker_id(tracker), b"\0" if version == 5 else b""
    secret = tracker_secret(tracker) if secret is None else secret
    body = text("MQTT") + bytes((version, 0xC2, 0, 0)) + none
    return packet(0x10, body + text(name) + text(name) + text(secret))


def text(value: str | bytes) -> bytes:
    """Return a string, with its length before it."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def packet(head: int, body: bytes) -> bytes:
    """Return a packet: its first byte, its length, its content."""
    return bytes((head,)) + remaining_length(len(body)) + body


def addresses(first: int, count: int) -> list[str]:
    """Return loopback addresses: 127.1.0.0 and those that follow."""
    return [f"127.1.{number >> 8}.{number & 255}" for number in range(first, first + count)]


Step = Callable[[Crowd], Iterator[None]]
"""An attack: it yields after a little work, and never ends by itself."""
