"""A fleet on the air: every tracker signs in as itself and sends what its schedule says.

    result = await run_fleet(plan, address, on_progress=show)

- Trackers connect at a bounded rate; the schedule begins when all are connected. Where there are
  more trackers than connections, they take turns (`device_sim.connections`) and it begins at once;
  so it does where each tracker connects when its first message is due.
- A message is sent in order of schedule, with QoS 1 unless the plan says otherwise; the session
  sends it again after a cut until the broker acknowledges it. So each tracker's fixes arrive in
  the order of the ledger, and any that come twice come after all those before them.
- A tracker with receipts keeps a message until its receipt, and sends it again when none comes.
- The schedule waits for nobody. How late messages are handed to their connections is the lag; a
  run that cannot keep up says so by it. When a queue is full the whole run waits, so the memory of
  a run is bounded: that is lag, too.
- At the end what is outstanding is waited for, `settle_s` at most; then everybody disconnects.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from device_sim.connections import Handlers, OutgoingMessage, SimulatedConnections
from device_sim.device_stack import Answer
from device_sim.devices import devices
from device_sim.latency import Latencies
from device_sim.ledger import Ledger, Unconfirmed, correlation_data
from device_sim.packing import Messages, pack
from device_sim.payloads import PayloadFormat, as_sent, payloads, truncated
from device_sim.plan import FleetPlan, SimTracker
from mqtt import (
    BrokerAddress,
    Message,
    MqttError,
    Published,
    PublishRefusedError,
    SessionOptions,
    Subscription,
)
from telemetry.topics import ack_topic, fixes_topic, packed_topic

_SESSION_EXPIRY_S = 3600
_QUEUED_MESSAGES = 4096  # per tracker
_SLEEP_LEAST_S = 0.002  # what is due sooner is sent at once: the event loop's timers are no finer
_FULL_QUEUE_PAUSE_S = 0.01
_BURST_MESSAGES = 256  # sent without letting the event loop do anything else
_PROGRESS_EVERY_S = 0.5
_LOOKED_FOR_RECEIPTS_EVERY_S = 0.1


class Stage(StrEnum):
    CONNECTING = "connecting"
    SENDING = "sending"
    SETTLING = "settling"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class FleetProgress:
    """The progress of a run; counts are fixes.

    latencies run from sending to the broker's PUBACK, or to the receipt; lags from when a message
    was due until its connection had it. failed: refused by the broker, or still without
    its answer when the run ended. connects: how often a tracker connected. sent_again: messages
    whose receipt did not come in time. may_be_lost: sent, and nobody waits for an answer (see
    device_sim.ledger).
    """

    stage: Stage
    elapsed_s: float
    trackers: int
    connected: int
    sent: int
    acknowledged: int
    failed: int
    rate_hz: float
    latencies: Latencies = field(default_factory=Latencies)
    lags: Latencies = field(default_factory=Latencies)
    connects: int = 0
    sent_again: int = 0
    may_be_lost: int = 0

    @property
    def outstanding(self) -> int:
        return self.sent - self.acknowledged - self.failed - self.may_be_lost


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a run. `ledger` is None where the plan did not want one."""

    ledger: Ledger | None
    final: FleetProgress


class FleetError(Exception):
    """The run cannot go on; the fault is the network's, the broker's or that of the credentials."""


async def run_fleet(
    plan: FleetPlan,
    address: BrokerAddress,
    *,
    on_progress: Callable[[FleetProgress], None] | None = None,
    stop: asyncio.Event | None = None,
    ledger: Ledger | None = None,
) -> RunResult:
    """Run `plan` to its end or until `stop` is set. Raises FleetError where it cannot be run.

    ledger: an empty one to note in, for who reads it meanwhile; else one is made.
    """
    fleet = _Fleet(plan, address, ledger)
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


async def _report(fleet: "_Fleet", on_progress: Callable[[FleetProgress], None]) -> None:
    while True:
        on_progress(fleet.progress())
        await asyncio.sleep(_PROGRESS_EVERY_S)


class _Fleet:
    def __init__(
        self, plan: FleetPlan, address: BrokerAddress, ledger: Ledger | None = None
    ) -> None:
        self._plan = plan
        self._address = address
        on_receipts = None if plan.receipts_s is None else self._note_receipts
        handlers = Handlers(self._handed_over, self._answered, on_receipts)
        options = [_options(tracker, plan) for tracker in plan.trackers]
        own = (len(options), plan.qos, plan.version, plan.faults, plan.seed)
        stacks = list(devices(*own)) if plan.has_own_stack else []
        self._connections = SimulatedConnections(
            address, options, plan.connections, handlers, stacks
        )
        topic = packed_topic if plan.payload_format is PayloadFormat.PACKED else fixes_topic
        self._topics = [topic(tracker.tracker_id) for tracker in plan.trackers]
        self._truncating = np.random.default_rng([plan.seed, 2])
        self._unconfirmed = Unconfirmed(plan.receipts_s or 0.0)
        self._stage = Stage.CONNECTING
        self._began = time.monotonic()
        self._ended: float | None = None
        self._latencies, self._lags = Latencies(), Latencies()
        self._numbers = self._sent = self._acknowledged = self._failed = self._may_be_lost = 0
        self._has_answer = asyncio.Event()
        self.ledger = (ledger or Ledger()) if plan.keep_ledger else None

    def progress(self) -> FleetProgress:
        elapsed_s = (self._ended or time.monotonic()) - self._began
        sending = self._stage is not Stage.CONNECTING
        return FleetProgress(
            stage=self._stage,
            elapsed_s=elapsed_s,
            trackers=len(self._plan.trackers),
            connected=self._connections.connected,
            sent=self._sent,
            acknowledged=self._acknowledged,
            failed=self._failed,
            rate_hz=self._acknowledged / elapsed_s if sending and elapsed_s > 0 else 0.0,
            latencies=self._latencies.copy(),
            lags=self._lags.copy(),
            connects=self._connections.opened,
            sent_again=self._unconfirmed.sent_again,
            may_be_lost=self._may_be_lost,
        )

    async def run(self, stop: asyncio.Event) -> None:
        try:
            async with self._connections:
                if await self._connect(stop):
                    async with self._troubled():
                        await self._send_all(stop)
                        await self._settle()
        except MqttError as error:
            raise FleetError(str(error)) from error
        finally:
            self._stage = Stage.DONE

    async def _connect(self, stop: asyncio.Event) -> bool:
        """Open all connections, unless trackers connect when they send; False when stopped."""
        if self._connections.is_shared_out or self._plan.connects_when_due:
            return not stop.is_set()
        pause_s = 1 / self._plan.connects_per_s
        for tracker in range(len(self._plan.trackers)):
            self._connections.open(tracker)
            if await _is_set_within(stop, pause_s):
                return False
        try:
            everyone = self._connections.all_connected()
            await asyncio.wait_for(everyone, self._plan.connect_timeout_s)
        except TimeoutError:
            raise FleetError(self._why_not_connected()) from None
        return not stop.is_set()

    def _why_not_connected(self) -> str:
        missing = list(self._connections.missing())
        reason = next((s.last_error for s in missing if s.last_error), "no answer")
        return (
            f"{len(missing)} of {len(self._plan.trackers)} trackers did not connect to "
            f"{self._address} within {self._plan.connect_timeout_s:g} s: {reason}"
        )

    @contextlib.asynccontextmanager
    async def _troubled(self) -> AsyncIterator[None]:
        """Disturb the sending meanwhile: connections are cut, messages sent again."""
        tasks = [asyncio.create_task(self._send_again())] if self._plan.receipts_s else []
        if self._plan.faults.of("reconnect"):
            tasks.append(asyncio.create_task(self._cut_now_and_then()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _cut_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(self._plan.faults.of("reconnect"))
            self._connections.cut_all()

    async def _send_again(self) -> None:
        while True:
            await asyncio.sleep(_LOOKED_FOR_RECEIPTS_EVERY_S)
            for message in self._unconfirmed.due(time.monotonic()):
                if self._connections.is_connected(message.tracker):
                    self._connections.send(message)  # where it has no room, there is a next time

    async def _send_all(self, stop: asyncio.Event) -> None:
        self._stage = Stage.SENDING
        self._began = time.monotonic()
        slices = self._plan.schedule(time.time_ns() // 1000)
        for messages in pack(slices, self._plan.fixes_per_message):
            if not await self._send(as_sent(messages, self._plan.payload_format), stop):
                return

    async def _send(self, messages: Messages, stop: asyncio.Event) -> bool:
        """Send each message when it is due; False when the run was stopped meanwhile."""
        burst = 0
        for message in self._outgoing(messages):
            wait_s = message.due_s - time.monotonic()
            burst += 1
            if wait_s > _SLEEP_LEAST_S or burst >= _BURST_MESSAGES:
                burst = 0
                if await _is_set_within(stop, max(0.0, wait_s)):
                    return False
            while not self._connections.send(message):
                if await _is_set_within(stop, _FULL_QUEUE_PAUSE_S):
                    return False
        return not stop.is_set()

    def _outgoing(self, messages: Messages) -> Iterator[OutgoingMessage]:
        """Yield the messages as they are sent, planned in the ledger."""
        contents = payloads(self._plan.payload_format, messages)
        share = self._plan.faults.of("truncated")
        is_whole = self._truncating.random(len(contents)) >= share
        for number in np.flatnonzero(~is_whole).tolist():
            contents[number] = truncated(contents[number])
        first = self._planned(messages, contents, is_whole)
        trackers = messages.fixes.rows["tracker"][np.cumsum(messages.lengths) - messages.lengths]
        columns = (trackers.tolist(), messages.lengths.tolist(), messages.due_s.tolist(), contents)
        with_receipts = self._plan.receipts_s is not None
        for number, (tracker, fixes, due_s, content) in enumerate(
            zip(*columns, strict=True), start=first
        ):
            data = correlation_data(number) if with_receipts else None
            topic = self._topics[tracker]
            yield OutgoingMessage(tracker, number, topic, content, fixes, self._began + due_s, data)

    def _planned(
        self, messages: Messages, contents: list[bytes], is_whole: NDArray[np.bool_]
    ) -> int:
        """Return the number of the first of them."""
        first = self._numbers
        self._numbers += len(contents)
        if self.ledger is not None:
            self.ledger.plan(messages.fixes, messages.lengths, contents, is_whole)
        return first

    def _handed_over(self, message: OutgoingMessage) -> None:
        now_s = time.monotonic()
        if self._plan.receipts_s is not None and not self._unconfirmed.sent(message, now_s):
            if self.ledger is not None:
                self.ledger.sent_again(message.number)
            return
        self._lags.record(max(0.0, now_s - message.due_s))
        self._sent += message.fixes
        if self.ledger is not None:
            self.ledger.sent(message.number, time.time_ns() // 1000)

    def _answered(
        self, message: OutgoingMessage, published: Published | Answer, handed_over_s: float
    ) -> None:
        """Note the broker's answer; for trackers with receipts it says nothing yet.

        A PUBACK that refuses is an answer like any other: the message must be in quarantine.
        """
        if self._plan.receipts_s is not None or self._ended is not None:
            if not published.cancelled():
                published.exception()  # read, so that nobody warns of it
            return
        error = None if published.cancelled() else published.exception()
        is_answered = not published.cancelled() and error is None
        if is_answered and published.result() is False:
            self._let_go(message)
        elif is_answered or isinstance(error, PublishRefusedError):
            self._confirmed(message, handed_over_s)
        else:
            self._failed += message.fixes
            self._connections.done_with(message.tracker)
            self._has_answer.set()

    def _note_receipts(self, messages: Sequence[Message]) -> None:
        for receipt in messages:
            kept = self._unconfirmed.confirmed(receipt.correlation_data)
            if kept is not None:
                self._confirmed(kept.message, kept.first_sent_s)

    def _confirmed(self, message: OutgoingMessage, sent_s: float) -> None:
        self._latencies.record(time.monotonic() - sent_s)
        self._acknowledged += message.fixes
        if self.ledger is not None:
            self.ledger.acknowledged(message.number, time.time_ns() // 1000)
        self._connections.done_with(message.tracker)
        self._has_answer.set()

    def _let_go(self, message: OutgoingMessage) -> None:
        """Give up a message: nobody will know whether it has arrived."""
        self._may_be_lost += message.fixes
        if self.ledger is not None:
            self.ledger.may_be_lost(message.number)
        self._connections.done_with(message.tracker)
        self._has_answer.set()

    async def _settle(self) -> None:
        """Wait for the answers that are outstanding; what has none by then has failed."""
        self._stage = Stage.SETTLING
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._plan.settle_s):
                while self._is_outstanding():
                    self._has_answer.clear()
                    await self._has_answer.wait()
        self._sent += sum(message.fixes for message in self._connections.waiting())
        self._failed = self._sent - self._acknowledged - self._may_be_lost
        self._ended = time.monotonic()

    def _is_outstanding(self) -> bool:
        has_waiting = next(self._connections.waiting(), None) is not None
        answered = self._acknowledged + self._failed + self._may_be_lost
        return has_waiting or self._sent > answered


def _options(tracker: SimTracker, plan: FleetPlan) -> SessionOptions:
    """Return a session that the broker keeps; not where trackers take turns and wait for no
    receipt.
    """
    with_receipts = plan.receipts_s is not None
    takes_turns = plan.connections < len(plan.trackers)
    topics = (Subscription(ack_topic(tracker.tracker_id)),) if with_receipts else ()
    return SessionOptions(
        client_id=tracker.tracker_id,
        username=tracker.tracker_id,
        password=tracker.secret.encode(),
        session_expiry_s=0 if takes_turns and not with_receipts else _SESSION_EXPIRY_S,
        subscriptions=topics,
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
