"""Employees who punch within a few seconds, each with a connection of their own."""

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from typing import cast

import numpy as np

from benchmarks.common.drive import DriveFailed
from benchmarks.common.packets import CONNACK_BYTES, PUBACK_BYTES, connect, publish_head
from benchmarks.common.payloads import tracker_id, tracker_secret
from benchmarks.pipeline.punches.rows import employee_uuid
from telemetry.ids import format_id
from telemetry.topics import punches_topic

TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Told:
    """The moments at which a punch was handed to the kernel and its PUBACK came, ns since 1970."""

    employee_id: str
    sent_ns: int
    acknowledged_ns: int


class Crowd:
    """A thread with the employees' connections. All are signed in before it is made."""

    def __init__(
        self, port: int, numbers: Sequence[int], place: tuple[float, float], within_s: float
    ) -> None:
        self._port, self._numbers, self._place, self._within_s = port, numbers, place, within_s
        self._signed_in, self._may_punch = Event(), Event()
        self._told: list[Told] = []
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()
        if not self._signed_in.wait(TIMEOUT_S):
            raise DriveFailed(f"the employees are not signed in: {self._error}")

    def punch(self) -> None:
        """Let all punch, each at a moment of its own."""
        self._may_punch.set()

    def finish(self) -> list[Told]:
        """Wait until each has a PUBACK. Raises DriveFailed where one has none."""
        self._may_punch.set()
        self._thread.join(TIMEOUT_S)
        if self._error is not None or len(self._told) < len(self._numbers):
            raise DriveFailed(f"{len(self._told)} punches were acknowledged: {self._error}")
        return self._told

    def _run(self) -> None:
        try:
            asyncio.run(self._all())
        except (OSError, TimeoutError) as error:
            self._error = error

    async def _all(self) -> None:
        people = [_Person(number, self._place) for number in self._numbers]
        moments = np.random.default_rng(1).uniform(0.0, self._within_s, len(people))
        async with asyncio.timeout(3 * TIMEOUT_S):
            for person in people:
                await person.sign_in(self._port)
            self._signed_in.set()
            await asyncio.to_thread(self._may_punch.wait, TIMEOUT_S)
            loop = asyncio.get_running_loop()
            for person, after_s in zip(people, moments.tolist(), strict=True):
                loop.call_later(after_s, person.punch)
            self._told += await asyncio.gather(*(person.told for person in people))
        for person in people:
            person.cut()


class _Person(asyncio.Protocol):
    def __init__(self, number: int, place: tuple[float, float]) -> None:
        self._number, self._place = number, place
        self._employee_id = format_id("emp", employee_uuid(number))
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._sent_ns = 0
        loop = asyncio.get_running_loop()
        self._accepted: asyncio.Future[None] = loop.create_future()
        self.told: asyncio.Future[Told] = loop.create_future()

    async def sign_in(self, port: int) -> None:
        """Connect; return once CONNACK has come."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        await self._accepted

    def punch(self) -> None:
        """Send `in`, with the present time and position."""
        assert self._transport is not None
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        lon, lat = self._place
        text = {"employee_id": self._employee_id, "kind": "in", "time": now, "fix_time": now}
        payload = json.dumps(text | {"lon": lon, "lat": lat, "accuracy_m": 8}).encode()
        topic = punches_topic(tracker_id(self._number))
        packet = publish_head(topic, 1, len(payload)) + payload
        self._sent_ns = time.time_ns()
        self._transport.write(packet)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(connect(tracker_id(self._number), tracker_secret(self._number)))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) >= CONNACK_BYTES and not self._accepted.done():
            if self._received[3]:
                self._accepted.set_exception(OSError(f"CONNACK with code {self._received[3]}"))
            else:
                self._accepted.set_result(None)
        if len(self._received) >= CONNACK_BYTES + PUBACK_BYTES and not self.told.done():
            self.told.set_result(Told(self._employee_id, self._sent_ns, time.time_ns()))

    def connection_lost(self, exc: Exception | None) -> None:
        for waiting in (self._accepted, self.told):
            if not waiting.done():
                waiting.set_exception(OSError(f"the connection ended: {exc or 'closed'}"))

    def cut(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()
