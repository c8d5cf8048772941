"""The background of a soak run: a fleet that signs in as trackers do and sends at a steady rate.

    python -m benchmarks.soak.load STREAM GAUGES PORT

Each tracker has a connection of its own, since the listener lets it publish for itself alone, and
sends prebuilt packets. A tracker whose connection is lost signs in again and sends once more what
was not acknowledged, in order, as MQTT wants it at QoS 1; so each message arrives at least once.

The load is open: the gauge RATE says how much is due, whatever the system does. Two bounds keep it
from running away: the gauge LIMIT (messages altogether), and BEHIND_S, beyond which what is due is
given up and counted. It ends once the gauge STOP is set and all is acknowledged, and prints what it
sent; exit code 1 where not all was acknowledged.
"""

from __future__ import annotations

import json
import secrets
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from api.auth.passwords import hash_password
from benchmarks.common import rows as setup_rows
from benchmarks.common import workload
from benchmarks.common.gauges import Cell, Gauges
from benchmarks.common.packets import CONNACK_BYTES, DISCONNECT, PUBACK_BYTES, connect
from benchmarks.common.payloads import Form, tracker_id
from benchmarks.common.stream import Share, read_stream, write_stream
from benchmarks.common.workload import Plan
from db.resources.trackers import secret_hash

FIXES_IN_A_PASS = 120
EMAIL, PASSWORD = "admin@soak.example", secrets.token_urlsafe(18)  # may edit zones
WINDOW = 32
BURST = 4  # messages that a tracker hands over at a time
TURN_S = 0.004
BEHIND_S = 5.0
CATCHES_UP = 1.5  # times the rate
RETRY_S = 0.5
DRAIN_S = 120.0
SECRETS = "secrets.json"
_PASSES_A_DAY = 86_400 // (FIXES_IN_A_PASS * workload.INTERVAL_S)


def trackers_for(messages: int) -> int:
    """Return how many trackers are needed so that none has to say a time twice: the packets' times
    stay within a day.
    """
    each = _PASSES_A_DAY * FIXES_IN_A_PASS
    return max(1_000, -(-messages // (each * 9 // 10)))


def register(admin: setup_rows.Admin, plan: Plan) -> list[str]:
    """Add the fleet with its zones and a user to an empty database, and return the trackers'
    secrets.
    """
    setup_rows.add_fleet(admin, plan.trackers, workload.zone_rings(plan))
    own = [secrets.token_urlsafe(32) for _ in range(plan.trackers)]
    hashes = [(secret_hash(one), setup_rows.tracker_uuid(n)) for n, one in enumerate(own)]
    with admin.transaction(), admin.cursor() as cursor:
        cursor.executemany("UPDATE trackers SET secret_hash = %s WHERE id = %s", hashes)
        cursor.execute(
            "INSERT INTO users (org_id, id, email, password_hash, role)"
            " VALUES (%s, gen_random_uuid(), %s, %s, 'admin')",
            (setup_rows.ORGANIZATION, EMAIL, hash_password(PASSWORD)),
        )
    return own


def write(folder: Path, plan: Plan, own: Sequence[str]) -> None:
    """Write the packets of all trackers, and what they sign in with."""
    fixes = workload.tracks(plan, FIXES_IN_A_PASS)
    messages = workload.rows_in_order_of_sending(fixes, 1)
    span_us = workload.span_us(FIXES_IN_A_PASS)
    write_stream(folder, messages, Form.JSON, plan.trackers, span_us)
    (folder / SECRETS).write_text(json.dumps(own))


class Tracker:
    """One tracker, and how far it is on its endless way: messages since its beginning.

    next: the one it sends next. acknowledged: all before it. most: as far as it ever was.
    """

    def __init__(
        self, number: int, secret: str, share: Share, span_us: int, address: tuple[str, int]
    ) -> None:
        self._hello = connect(tracker_id(number), secret)
        self._share, self._span_us, self._address = share, span_us, address
        self._bytes = share.packets.data
        self._socket: socket.socket | None = None
        self._retry_at = 0.0
        self._passes = 0
        self._at = self._until = 0  # bytes of this pass handed to the kernel, and meant for it
        self._ack_bytes = 0  # of an acknowledgement that has come in part
        self.next = self.acknowledged = self.most = self.connects = 0

    def turn(self, allowed: int) -> int:
        """Hand over up to `allowed` messages; by how many `next` went on.

        That is negative where a connection was lost, and what was not acknowledged is due again.
        """
        before = self.next
        try:
            if self._socket is not None or self._signs_in():
                self._read_acknowledgements()
                self._send(allowed)
        except OSError:
            self._lose()
        return self.next - before

    def close(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                self._socket.send(DISCONNECT)
            self._socket.close()

    def _signs_in(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        self._socket = socket.create_connection(self._address, timeout=5)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(self._hello)
        if self._socket.recv(CONNACK_BYTES, socket.MSG_WAITALL)[3:] != b"\x00":
            raise ConnectionError("the listener refused the connection")
        self._socket.setblocking(False)
        self.connects += 1
        return True

    def _read_acknowledgements(self) -> None:
        assert self._socket is not None
        try:
            received = len(self._socket.recv(65_536))
        except BlockingIOError:
            return
        if not received:
            raise ConnectionError("the listener closed the connection")
        whole, self._ack_bytes = divmod(self._ack_bytes + received, PUBACK_BYTES)
        self.acknowledged += whole

    def _send(self, allowed: int) -> None:
        """Send first what was left unfinished."""
        if self._at < self._until:
            self._flush()
            return
        if self._done == len(self._share.ends):
            if self.acknowledged < self.next:
                return  # later times are written over bytes that may have to be sent again
            self._begin_next_pass()
        room = min(WINDOW - (self.next - self.acknowledged), len(self._share.ends) - self._done)
        if (messages := min(allowed, room)) > 0:
            self.next += messages
            self.most = max(self.most, self.next)
            self._until = self._share.ends[self._done - 1]
            self._flush()

    @property
    def _done(self) -> int:
        """Messages of this pass that were begun."""
        return self.next - self._passes * len(self._share.ends)

    def _flush(self) -> None:
        assert self._socket is not None
        with suppress(BlockingIOError):
            self._at += self._socket.send(self._bytes[self._at : self._until])

    def _begin_next_pass(self) -> None:
        self._passes += 1
        self._share.clock.advance(self._passes * self._span_us)
        self._at = self._until = 0

    def _lose(self) -> None:
        """Go back to the first message that is not acknowledged."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None
        self._retry_at = time.monotonic() + RETRY_S
        self._ack_bytes = 0
        self.next = self.acknowledged
        self._at = self._until = self._share.ends[self._done - 1] if self._done else 0


class Fleet:
    """Trackers that take turns."""

    def __init__(self, trackers: list[Tracker]) -> None:
        self.trackers = trackers
        self._turn = 0

    def send(self, budget: int) -> int:
        """Send up to this many messages, each tracker asked at most once, and return how many more
        are sent now.
        """
        went_on = 0
        for _ in self.trackers:
            if went_on >= budget:
                break
            tracker = self.trackers[self._turn]
            self._turn = (self._turn + 1) % len(self.trackers)
            went_on += tracker.turn(min(BURST, budget - went_on))
        return went_on

    def drain(self) -> int:
        """Send again what must be, wait for what is outstanding, and return how many messages have
        no answer.
        """
        deadline = time.monotonic() + DRAIN_S
        while (left := self._left()) and time.monotonic() < deadline:
            for tracker in left:
                tracker.turn(tracker.most - tracker.next)
            time.sleep(TURN_S)
        for tracker in self.trackers:
            tracker.close()
        return sum(one.most - one.acknowledged for one in self._left())

    def _left(self) -> list[Tracker]:
        return [one for one in self.trackers if one.acknowledged < one.most]


def run(fleet: Fleet, gauges: Gauges) -> int:
    """Send until STOP; how many messages were due and given up."""
    began = last = time.monotonic()
    sent = given_up = 0
    while not gauges[Cell.STOP]:
        now, rate = time.monotonic(), gauges[Cell.RATE]
        due = round(rate * (now - began)) - given_up - sent
        over = max(0, due - round(rate * BEHIND_S))
        given_up += over
        at_most = round(CATCHES_UP * rate * (now - last)) + 1
        sent += fleet.send(max(0, min(due - over, at_most, gauges[Cell.LIMIT] - sent)))
        gauges[Cell.SENT] = sent
        last = now
        time.sleep(TURN_S)
    return given_up


def main(arguments: list[str]) -> int:
    folder, gauges, port = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    stream, own = read_stream(folder), json.loads((folder / SECRETS).read_text())
    trackers = [
        Tracker(number, secret, share, stream.span_us, ("127.0.0.1", port))
        for number, (secret, share) in enumerate(zip(own, stream.shares, strict=True))
    ]
    fleet = Fleet(trackers)
    given_up = run(fleet, Gauges(gauges))
    without_word = fleet.drain()
    result = {
        "sent": [one.most for one in trackers],
        "connects": sum(one.connects for one in trackers),
        "given_up": given_up,
        "not_acknowledged": without_word,
    }
    print(json.dumps(result))
    return 1 if without_word else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
