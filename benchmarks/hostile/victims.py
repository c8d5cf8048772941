"""Trackers of another organization than the attackers': how long their PUBACKs take.

    python -m benchmarks.hostile.victims PORT TRACKERS MESSAGES_PER_S FILE

Sends right fixes with QoS 1 at moments of a Poisson process until stdin ends, then waits for what
is not acknowledged, writes FILE and exits with 0. A victim whose connection ends connects anew and
sends again what was not acknowledged. A newcomer, which is a tracker more, signs in once in half a
second and leaves again. Times are of CLOCK_MONOTONIC, which all processes share.
"""

import random
import select
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from benchmarks.common.packets import DISCONNECT, connect, publish_head
from benchmarks.common.payloads import Form, topic, tracker_id, tracker_secret

ADDRESS, NEWCOMER_ADDRESS = "127.0.0.1", "127.0.0.2"
CONNACK, PUBACK = 0x20, 0x40
DRAIN_S = 20.0
NEWCOMER_S = 0.5
PATIENCE_S = 5.0
READ_BYTES = 65_536
FIX = '{"time":"%s","lat":%.6f,"lon":13.4}'


class Connection:
    """A tracker's connection, which reads without waiting. Packets of four bytes come back."""

    def __init__(self, port: int, tracker: int, address: str) -> None:
        self._received = b""
        self._socket = socket.create_connection(
            ("127.0.0.1", port), PATIENCE_S, source_address=(address, 0)
        )
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(connect(tracker_id(tracker), tracker_secret(tracker)))

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def packets(self) -> list[tuple[int, int]]:
        """Read; first byte and packet id of each packet. Raises ConnectionError at the end."""
        data = self._socket.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError("the listener ended the connection")
        data = self._received + data
        whole = len(data) // 4 * 4
        self._received = data[whole:]
        return [(data[at], data[at + 2] << 8 | data[at + 3]) for at in range(0, whole, 4)]

    def close(self) -> None:
        self._socket.close()


class Victim:
    """A tracker that keeps its messages until they are acknowledged."""

    def __init__(self, port: int, tracker: int) -> None:
        self._port, self._tracker = port, tracker
        self._topic = topic(tracker, Form.JSON)
        self._packet_id = 0
        self._kept: dict[int, tuple[int, bytes]] = {}  # packet id -> first sent, packet
        self.took: list[tuple[int, int]] = []
        """When a message was sent and when it was acknowledged, ns."""
        self.cuts = 0
        self.connection = self._connected()

    @property
    def kept(self) -> int:
        return len(self._kept)

    def _connected(self) -> Connection:
        made = Connection(self._port, self._tracker, ADDRESS)
        while not (heard := made.packets()):
            pass
        if heard[0] != (CONNACK, 0):
            raise ConnectionError(f"a victim is not let in: {heard}")
        return made

    def send(self) -> None:
        """Send the next fix."""
        self._packet_id = self._packet_id % 65_535 + 1
        text = FIX % (datetime.now(UTC).isoformat(), 52 + random.random())
        payload = text.encode()
        packet = publish_head(self._topic, self._packet_id, len(payload)) + payload
        self._kept[self._packet_id] = time.monotonic_ns(), packet
        try:
            self.connection.send(packet)
        except OSError:
            self.connect_anew()

    def read(self) -> None:
        """Note PUBACKs."""
        try:
            packets = self.connection.packets()
        except OSError:
            self.connect_anew()
            return
        now_ns = time.monotonic_ns()
        for head, packet_id in packets:
            if head == PUBACK and packet_id in self._kept:
                self.took.append((self._kept.pop(packet_id)[0], now_ns))

    def connect_anew(self) -> None:
        """Connect, and send what was not acknowledged."""
        self.cuts += 1
        self.connection.close()
        self.connection = self._connected()
        for _, packet in self._kept.values():
            self.connection.send(packet)


class Newcomer:
    """A device that signs in again and again. took: when it began and how long until CONNACK, ns;
    0: never.
    """

    def __init__(self, port: int, tracker: int) -> None:
        self._port, self._tracker = port, tracker
        self._began_ns = time.monotonic_ns()
        self.connection: Connection | None = None
        self.took: list[tuple[int, int]] = []

    def look(self, poll: select.epoll) -> None:
        """Begin where it is time, or give up."""
        waited_s = (time.monotonic_ns() - self._began_ns) / 1e9
        if self.connection is not None and waited_s > PATIENCE_S:
            self._end(poll, is_in=False)
        if self.connection is None and waited_s > NEWCOMER_S:
            self._began_ns = time.monotonic_ns()
            try:
                self.connection = Connection(self._port, self._tracker, NEWCOMER_ADDRESS)
            except OSError:
                self.took.append((self._began_ns, 0))
                return
            poll.register(self.connection, select.EPOLLIN)

    def read(self, poll: select.epoll) -> None:
        """Note CONNACK."""
        assert self.connection is not None
        try:
            packets = self.connection.packets()
        except OSError:
            packets = [(0, 0)]
        if packets:
            self._end(poll, is_in=packets[0] == (CONNACK, 0))

    def _end(self, poll: select.epoll, *, is_in: bool) -> None:
        assert self.connection is not None
        self.took.append((self._began_ns, time.monotonic_ns() - self._began_ns if is_in else 0))
        poll.unregister(self.connection)
        with suppress(OSError):
            self.connection.send(DISCONNECT)
        self.connection.close()
        self.connection = None


class Victims:
    """All of them, and the newcomer."""

    def __init__(self, port: int, trackers: int) -> None:
        self._victims = [Victim(port, number) for number in range(trackers)]
        self._newcomer = Newcomer(port, trackers)

    def run(self, per_s: float) -> None:
        """Send until stdin ends, and wait for what is not acknowledged."""
        chance, due_s, end_s = random.Random(1), time.monotonic(), float("inf")
        poll = select.epoll()
        poll.register(sys.stdin, select.EPOLLIN | select.EPOLLHUP)
        is_ending, by_handle, cuts = False, self._registered(poll), self._cuts
        while not is_ending or (self._unanswered and time.monotonic() < end_s):
            while not is_ending and due_s <= time.monotonic():
                chance.choice(self._victims).send()
                due_s += chance.expovariate(per_s)
            if not is_ending:
                self._newcomer.look(poll)
            wait_s = 0.05 if is_ending else max(0.0, min(due_s - time.monotonic(), 0.05))
            for handle, _ in poll.poll(wait_s):
                if handle == sys.stdin.fileno():
                    is_ending, end_s = True, time.monotonic() + DRAIN_S
                    poll.unregister(sys.stdin)
                elif (victim := by_handle.get(handle)) is not None:
                    victim.read()
                elif self._newcomer.connection is not None:
                    self._newcomer.read(poll)
            if self._cuts > cuts:
                by_handle, cuts = self._registered(poll), self._cuts

    @property
    def _cuts(self) -> int:
        return sum(victim.cuts for victim in self._victims)

    @property
    def _unanswered(self) -> int:
        return sum(victim.kept for victim in self._victims)

    def _registered(self, poll: select.epoll) -> dict[int, Victim]:
        """Watch all connections; the handle of one that is new may be an old one's."""
        for victim in self._victims:
            try:
                poll.register(victim.connection, select.EPOLLIN)
            except FileExistsError:
                continue
        return {victim.connection.fileno(): victim for victim in self._victims}

    def write(self, path: Path) -> None:
        """Write what became of all."""
        took = [one for victim in self._victims for one in victim.took]
        np.savez(
            path,
            took=np.array(sorted(took), np.int64).reshape(-1, 2),
            newcomer=np.array(self._newcomer.took, np.int64).reshape(-1, 2),
            unanswered=self._unanswered,
            cuts=self._cuts,
        )


def main(arguments: Sequence[str]) -> int:
    port, trackers, per_s, path = arguments
    victims = Victims(int(port), int(trackers))
    print("connected", flush=True)
    victims.run(float(per_s))
    victims.write(Path(path))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
