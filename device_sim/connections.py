"""Connections of a fleet: one for each tracker, or fewer, which the trackers then share out.

Where there are fewer, a tracker that has something to send connects, as itself, sends, waits until
it is acknowledged and disconnects when another one needs the connection: that is what devices do
that sleep between their reports. Who has to wait is served in order of asking. What waits is
bounded; `send` says when it is full.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self

from device_sim.device_stack import Answer, DeviceStack
from device_sim.devices import DeviceProfile
from mqtt import BrokerAddress, Message, MqttError, Published, Session, SessionOptions
from mqtt.errors import PublishQueueFullError

MAX_WAITING = 200_000
"""Messages of trackers without a connection."""

_CONNECTING_AT_A_TIME = 100


class OutgoingMessage(NamedTuple):
    """A message of a tracker (its position in the fleet).

    number: what it is known by. due_s: when it should be sent. is_again: it was sent before, and
    its connection is still held for it.
    """

    tracker: int
    number: int
    topic: str
    content: bytes
    fixes: int
    due_s: float
    correlation_data: bytes | None = None
    is_again: bool = False


@dataclass(frozen=True, slots=True)
class Handlers:
    """The functions that connections call: a message was handed to a connection; the broker
    answered, with when the message was handed over (time.monotonic()); receipts came to a tracker.
    """

    handed_over: Callable[[OutgoingMessage], None]
    answered: Callable[[OutgoingMessage, Published | Answer, float], None]
    on_receipts: Callable[[Sequence[Message]], None] | None = None


class SimulatedConnections:
    """`at_most` connections for `options[tracker]` of each tracker.

    devices: how each tracker speaks where it has an MQTT stack of its own; it has no receipts then.
    """

    def __init__(
        self,
        address: BrokerAddress,
        options: Sequence[SessionOptions],
        at_most: int,
        handlers: Handlers,
        devices: Sequence[DeviceProfile] = (),
    ) -> None:
        self._address, self._options, self._handlers = address, options, handlers
        self._devices = devices
        self._at_most = at_most
        self._open: dict[int, Session | DeviceStack] = {}  # connecting ones too
        self._ready: set[int] = set()  # were connected once
        self._outstanding: dict[int, int] = {}  # messages of a tracker that hold its connection
        self._idle: dict[int, None] = {}  # the one that is idle longest first
        self._asking: deque[int] = deque()
        self._waiting: dict[int, deque[OutgoingMessage]] = {}
        self._waiting_count = 0
        self._closing = 0
        self._connecting = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = 0
        self._failure: MqttError | None = None  # of a tracker that will never connect

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(session.close() for session in self._open.values()))

    @property
    def is_shared_out(self) -> bool:
        """Whether trackers have to take turns."""
        return self._at_most < len(self._options)

    def waiting(self) -> Iterator[OutgoingMessage]:
        """Yield the messages that no connection has taken yet."""
        return (message for queue in self._waiting.values() for message in queue)

    @property
    def connected(self) -> int:
        return sum(session.connected.is_set() for session in self._open.values())

    def is_connected(self, tracker: int) -> bool:
        session = self._open.get(tracker)
        return session is not None and session.connected.is_set()

    def open(self, tracker: int) -> None:
        session = self._session(tracker)
        self._open[tracker] = session
        self._connecting += 1
        self.opened += 1
        self._spawn(self._attend(tracker, session))

    def _session(self, tracker: int) -> Session | DeviceStack:
        options = self._options[tracker]
        if not self._devices:
            return Session(self._address, options)
        secret = (options.password or b"").decode()
        return DeviceStack(self._address, options.client_id, secret, self._devices[tracker])

    def missing(self) -> Iterator[Session | DeviceStack]:
        """Return the sessions that are not connected."""
        return (session for session in self._open.values() if not session.connected.is_set())

    async def all_connected(self) -> None:
        """Return once every open session is. Raises the MqttError that ended one."""
        await asyncio.gather(*(session.connected.wait() for session in self._open.values()))

    def send(self, message: OutgoingMessage) -> bool:
        """Hand it over, now or when its tracker has a connection; False when too much waits.

        Raises the MqttError that ended a session before it was connected: a tracker that the broker
        does not let in.
        """
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        tracker = message.tracker
        if tracker in self._ready:
            return self._hand_over(message)
        queue = self._waiting.get(tracker)
        per_tracker = self._options[tracker].max_pending_publishes
        if self._waiting_count >= MAX_WAITING or (queue and len(queue) >= per_tracker):
            return False
        if queue is None:
            queue = self._waiting[tracker] = deque()
            if tracker not in self._open:
                self._asking.append(tracker)
        queue.append(message)
        self._waiting_count += 1
        self._serve_next()
        return True

    def done_with(self, tracker: int) -> None:
        """Release the connection that one message of the tracker has used."""
        self._outstanding[tracker] -= 1
        if not self._outstanding[tracker]:
            self._idle[tracker] = None
            self._serve_next()

    def cut_all(self) -> None:
        """Cut every connection as a failing network would; they connect again by themselves."""
        for session in self._open.values():
            session.abort()

    def _hand_over(self, message: OutgoingMessage) -> bool:
        tracker = message.tracker
        try:
            published = self._publish(self._open[tracker], message)
        except PublishQueueFullError:
            return False
        self._idle.pop(tracker, None)
        if not message.is_again:
            self._outstanding[tracker] = self._outstanding.get(tracker, 0) + 1
        self._handlers.handed_over(message)
        now_s = time.monotonic()
        published.add_done_callback(lambda done: self._handlers.answered(message, done, now_s))
        return True

    def _publish(
        self, session: Session | DeviceStack, message: OutgoingMessage
    ) -> Published | Answer:
        if isinstance(session, DeviceStack):
            return session.publish_nowait(message.topic, message.content)
        return session.publish_nowait(
            message.topic, message.content, correlation_data=message.correlation_data
        )

    def _serve_next(self) -> None:
        """Connect those who ask, as far as there is room; else ask idle ones to leave."""
        while self._asking and self._connecting < _CONNECTING_AT_A_TIME:
            if len(self._open) + self._closing >= self._at_most:
                self._make_room()
                return
            self.open(self._asking.popleft())

    def _make_room(self) -> None:
        """Let one idle tracker leave for each who asks, a few at a time."""
        while self._idle and self._closing < min(len(self._asking), _CONNECTING_AT_A_TIME):
            tracker = next(iter(self._idle))
            del self._idle[tracker], self._outstanding[tracker]
            self._ready.discard(tracker)
            self._closing += 1
            self._spawn(self._close(self._open.pop(tracker)))

    async def _close(self, session: Session | DeviceStack) -> None:
        await session.close()
        self._closing -= 1
        self._serve_next()

    async def _attend(self, tracker: int, session: Session | DeviceStack) -> None:
        """Keep one tracker's session from connecting to its end."""
        try:
            await session.__aenter__()
            await session.connected.wait()
        except MqttError as error:
            self._failure = error
            return
        finally:
            self._connecting -= 1
            self._serve_next()
        self._ready.add(tracker)
        self._hand_over_waiting(tracker)
        if self._handlers.on_receipts is None or isinstance(session, DeviceStack):
            return
        with contextlib.suppress(MqttError):  # it was closed
            while True:
                messages = await session.receive()
                session.acknowledge(messages)
                self._handlers.on_receipts(messages)

    def _hand_over_waiting(self, tracker: int) -> None:
        queue = self._waiting.pop(tracker, deque[OutgoingMessage]())
        self._waiting_count -= len(queue)
        for message in queue:
            self._hand_over(message)
        if not queue:
            self._outstanding.setdefault(tracker, 0)
            self._idle[tracker] = None

    def _spawn(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
