"""A fleet on the air: every tracker has a connection of its own and sends what its schedule says.

    result = await run_fleet(plan, address, on_progress=show)

- Trackers connect at a bounded rate; the schedule begins when all are connected.
- A message is sent once, in order of schedule, with QoS 1; the session sends it again after a cut
  until the broker acknowledges it. So each tracker's fixes arrive in the order of the ledger, and
  any that come twice come after all those before them.
- At the end what is outstanding is waited for, `settle_s` at most; then everybody disconnects.
- When a tracker's queue is full the whole run waits, so the memory of a run is bounded.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

import numpy as np

from device_sim.latency import Latencies
from device_sim.ledger import Ledger
from device_sim.packing import Messages, pack
from device_sim.payloads import PayloadFormat, as_sent, payloads
from device_sim.schedule import Schedule
from mqtt import BrokerAddress, MqttError, Session, SessionOptions
from mqtt.errors import PublishQueueFullError
from mqtt.outgoing import Published
from telemetry.topics import fixes_topic, packed_topic

MAX_TRACKERS = 10_000
_SESSION_EXPIRY_S = 3600
_QUEUED_MESSAGES = 4096  # per tracker
_SLEEP_LEAST_S = 0.002  # what is due sooner is sent at once: the event loop's timers are no finer
_FULL_QUEUE_PAUSE_S = 0.01
_BURST_MESSAGES = 256  # sent without letting the event loop do anything else
_PROGRESS_EVERY_S = 0.5
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True)
class SimTracker:
    """Who a tracker is to the broker."""

    tracker_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FleetPlan:
    """What is sent, by whom and how. `trackers[i]` sends the fixes whose rows["tracker"] is i.

    keep_ledger: whether each fix is remembered; without it only counts and latencies are.
    """

    trackers: Sequence[SimTracker]
    schedule: Schedule
    payload_format: PayloadFormat = PayloadFormat.JSON
    fixes_per_message: int = 1
    connects_per_s: float = 200.0
    connect_timeout_s: float = 60.0
    settle_s: float = 60.0
    keep_ledger: bool = True

    def __post_init__(self) -> None:
        if not 1 <= len(self.trackers) <= MAX_TRACKERS:
            raise ValueError(f"a fleet has 1 to {MAX_TRACKERS} trackers, not {len(self.trackers)}")
        if not 1 <= self.fixes_per_message <= 1000:
            raise ValueError(f"a message holds 1 to 1000 fixes, not {self.fixes_per_message}")
        if self.connects_per_s <= 0 or self.connect_timeout_s <= 0 or self.settle_s < 0:
            raise ValueError(
                "connects_per_s and connect_timeout_s must be above 0, settle_s at least 0"
            )


class Stage(StrEnum):
    CONNECTING = "connecting"
    SENDING = "sending"
    SETTLING = "settling"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; counts are fixes, latencies run from sending to the broker's PUBACK.

    failed: refused by the broker, or still without its answer when the run ended.
    """

    stage: Stage
    elapsed_s: float
    trackers: int
    connected: int
    sent: int
    acknowledged: int
    failed: int
    rate_hz: float
    p50_ms: float | None
    p99_ms: float | None

    @property
    def outstanding(self) -> int:
        return self.sent - self.acknowledged - self.failed


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a run did. `ledger` is None where the plan did not want one."""

    ledger: Ledger | None
    final: Progress


class FleetError(Exception):
    """The run cannot go on; the fault is the network's, the broker's or that of the credentials."""


async def run_fleet(
    plan: FleetPlan,
    address: BrokerAddress,
    *,
    on_progress: Callable[[Progress], None] | None = None,
    stop: asyncio.Event | None = None,
) -> RunResult:
    """Run `plan` to its end or until `stop` is set. Raises FleetError where it cannot be run."""
    fleet = _Fleet(plan, address)
    reporter = asyncio.create_task(_report(fleet, on_progress)) if on_progress else None
    try:
        await fleet.run(stop or asyncio.Event())
    finally:
        if reporter is not None:
            reporter.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reporter
    final = fleet.progress()
    if on_progress:
        on_progress(final)
    return RunResult(fleet.ledger, final)


async def _report(fleet: "_Fleet", on_progress: Callable[[Progress], None]) -> None:
    while True:
        on_progress(fleet.progress())
        await asyncio.sleep(_PROGRESS_EVERY_S)


class _Fleet:
    """The state of one run."""

    def __init__(self, plan: FleetPlan, address: BrokerAddress) -> None:
        self._plan = plan
        self._address = address
        self._sessions = [Session(address, _options(tracker)) for tracker in plan.trackers]
        topic = packed_topic if plan.payload_format is PayloadFormat.PACKED else fixes_topic
        self._topics = [topic(tracker.tracker_id) for tracker in plan.trackers]
        self._stage = Stage.CONNECTING
        self._began = time.monotonic()
        self._ended: float | None = None
        self._latencies = Latencies()
        self._sent = self._acknowledged = self._failed = 0
        self._settled = asyncio.Event()
        self.ledger = Ledger() if plan.keep_ledger else None

    def progress(self) -> Progress:
        elapsed_s = (self._ended or time.monotonic()) - self._began
        sending = self._stage is not Stage.CONNECTING
        p50_s, p99_s = self._latencies.quantile_s(0.5), self._latencies.quantile_s(0.99)
        return Progress(
            stage=self._stage,
            elapsed_s=elapsed_s,
            trackers=len(self._sessions),
            connected=sum(session.connected.is_set() for session in self._sessions),
            sent=self._sent,
            acknowledged=self._acknowledged,
            failed=self._failed,
            rate_hz=self._acknowledged / elapsed_s if sending and elapsed_s > 0 else 0.0,
            p50_ms=None if p50_s is None else p50_s * 1000,
            p99_ms=None if p99_s is None else p99_s * 1000,
        )

    async def run(self, stop: asyncio.Event) -> None:
        try:
            async with contextlib.AsyncExitStack() as opened:
                if await self._connect(opened, stop):
                    await self._send_all(stop)
                    await self._settle()
        except MqttError as error:
            raise FleetError(str(error)) from error
        finally:
            self._stage = Stage.DONE

    async def _connect(self, opened: contextlib.AsyncExitStack, stop: asyncio.Event) -> bool:
        """Open every session; False when the run was stopped before all were connected."""
        pause_s = 1 / self._plan.connects_per_s
        for session in self._sessions:
            await opened.enter_async_context(session)
            if await _is_set_within(stop, pause_s):
                return False
        everyone = asyncio.gather(*(session.connected.wait() for session in self._sessions))
        try:
            await asyncio.wait_for(everyone, self._plan.connect_timeout_s)
        except TimeoutError:
            raise FleetError(self._why_not_connected()) from None
        return not stop.is_set()

    def _why_not_connected(self) -> str:
        missing = [session for session in self._sessions if not session.connected.is_set()]
        reason = next((s.last_error for s in missing if s.last_error), "no answer")
        return (
            f"{len(missing)} of {len(self._sessions)} trackers did not connect to {self._address} "
            f"within {self._plan.connect_timeout_s:g} s: {reason}"
        )

    async def _send_all(self, stop: asyncio.Event) -> None:
        self._stage = Stage.SENDING
        self._began = time.monotonic()
        slices = self._plan.schedule(time.time_ns() // 1000)
        for messages in pack(slices, self._plan.fixes_per_message):
            if not await self._send(as_sent(messages, self._plan.payload_format), stop):
                return

    async def _send(self, messages: Messages, stop: asyncio.Event) -> bool:
        """Send each message when it is due; False when the run was stopped meanwhile."""
        first = self.ledger.plan(messages.fixes, messages.lengths) if self.ledger is not None else 0
        contents = payloads(self._plan.payload_format, messages)
        lengths = messages.lengths
        trackers = messages.fixes.rows["tracker"][np.cumsum(lengths) - lengths]
        burst = 0
        columns = (messages.due_s.tolist(), trackers.tolist(), lengths.tolist(), contents)
        for number, (due_s, tracker, fixes, content) in enumerate(
            zip(*columns, strict=True), start=first
        ):
            wait_s = self._began + due_s - time.monotonic()
            burst += 1
            if wait_s > _SLEEP_LEAST_S or burst >= _BURST_MESSAGES:
                burst = 0
                if await _is_set_within(stop, max(0.0, wait_s)):
                    return False
            while not self._publish(number, tracker, fixes, content):
                if await _is_set_within(stop, _FULL_QUEUE_PAUSE_S):
                    return False
        return not stop.is_set()

    def _publish(self, message: int, tracker: int, fixes: int, content: bytes) -> bool:
        """Hand one message to its tracker's session; False when that one's queue is full."""
        try:
            published = self._sessions[tracker].publish_nowait(self._topics[tracker], content)
        except PublishQueueFullError:
            return False
        sent_ns = time.time_ns()
        self._sent += fixes
        self._settled.clear()
        if self.ledger is not None:
            self.ledger.sent(message, sent_ns // 1000)
        published.add_done_callback(partial(self._published, message, fixes, sent_ns))
        return True

    def _published(self, message: int, fixes: int, sent_ns: int, published: Published) -> None:
        if published.cancelled() or published.exception() is not None:
            self._failed += fixes
        else:
            now_ns = time.time_ns()
            self._latencies.record((now_ns - sent_ns) / 1e9)
            self._acknowledged += fixes
            if self.ledger is not None:
                self.ledger.acknowledged(message, now_ns // 1000)
        if self._sent == self._acknowledged + self._failed:
            self._settled.set()

    async def _settle(self) -> None:
        self._stage = Stage.SETTLING
        if self._sent > self._acknowledged + self._failed:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), self._plan.settle_s)
        self._ended = time.monotonic()


def _options(tracker: SimTracker) -> SessionOptions:
    return SessionOptions(
        client_id=tracker.tracker_id,
        username=tracker.tracker_id,
        password=tracker.secret.encode(),
        session_expiry_s=_SESSION_EXPIRY_S,
        max_pending_publishes=_QUEUED_MESSAGES,
    )


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait `seconds`, or until `event` is set; the event loop gets a turn in any case."""
    if seconds <= _SLEEP_LEAST_S:
        await asyncio.sleep(seconds)
        return event.is_set()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
