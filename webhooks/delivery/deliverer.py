"""The loop that claims deliveries, posts them, and marks what came of it.

Claims and marks go in bulk, with a connection held for as long as the statements take and never
during a POST. Whatever goes wrong between a POST and its mark, the delivery is attempted again
under the same id; none is lost. Several processes share the work.

A delivery that fails by a fault of ours that nobody foresaw waits and is set aside, as other rows
of background work do (`service.background.row_guard`), but by its own `next_attempt_at`: where its
endpoint is ordered, those behind it wait, too. No such failure counts as an attempt.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, time, time_ns
from typing import Any
from uuid import UUID

import structlog

from db.core.connect import Connection, Pool
from db.core.secrets import SecretBox
from db.core.wakeups import POLL_S
from db.delivery import endpoint_health, endpoint_hours, webhook_backlog, webhook_deliveries
from db.delivery.endpoint_health import KnownEndpoint
from db.delivery.webhook_deliveries import (
    ClaimedDelivery,
    ClaimedEndpoint,
    Mark,
    WantedDeliveries,
)
from service.background.pauses import pause
from service.background.row_guard import RowGuard, WorkRow
from telemetry.ids import format_id
from telemetry.times import to_us
from webhooks.delivery import envelope, signing
from webhooks.delivery.answer_log import NOTHING, LoggedAnswer, logged_answer
from webhooks.delivery.claimer_lock import ClaimerLock, ClaimerLockLimits
from webhooks.delivery.endpoint_secrets import EndpointSecretsBox, EndpointSecretsError
from webhooks.delivery.fair_queue import AttemptSlot, EndpointQueues, FairQueueLimits
from webhooks.delivery.hour_counts import HourCounts
from webhooks.delivery.post import Poster
from webhooks.metrics import WebhookMetrics
from webhooks.outages import TROUBLE, Outage
from webhooks.retry import GONE, Answer, retry_delay_s

_log = structlog.get_logger("webhooks")
_FIRST = UUID(int=0)
_OUR_FAULT = "a fault on our side: it is tried again"
_SET_ASIDE_S = 100 * 365 * 86_400.0  # until an operator lets it go


@dataclass(frozen=True, slots=True)
class DeliverLimits:
    """Every bound of the loop."""

    claims: int = 2_000  # of one statement
    attempt_s: float = 15  # the longest attempt
    idle_s: float = POLL_S  # between claims while nothing is due, and no wake-up
    pass_s: float = 0.01  # between passes, so that marks and claims are bulk
    busy_pass_s: float = 0.04  # the same while many claims wait: larger bulks cost less
    grace_s: float = 10  # for attempts under way when the process is to stop
    survey_s: float = 10  # between counts of the backlog
    backlog: int = 100_000  # where those counts stop
    recheck_s: float = 0.5  # between looks whether the endpoints of waiting claims have changed
    disable_after_s: float = 120 * 3_600  # of failures alone
    queues: FairQueueLimits = field(default_factory=FairQueueLimits)
    lock: ClaimerLockLimits = field(default_factory=ClaimerLockLimits)

    @property
    def no_answer_s(self) -> float:
        """The seconds that an attempt without an answer keeps its slot, whatever failed. A little
        longer than the longest attempt: the moment at which a timer fires is not to tell anything.
        """
        return self.attempt_s + 0.1

    @property
    def claim_s(self) -> float:
        """The seconds that a claim holds: its wait for a slot, the longest attempt, its mark.

        What a process had claimed that was cut off is claimable again after this; where it was
        killed, as soon as its lock is missed (`webhooks.delivery.claimer_lock`).
        """
        return 3 * self.attempt_s

    @property
    def begin_s(self) -> float:
        """The seconds after a claim within which its attempt begins or never does, so that a third
        of the longest attempt is left for the mark. Others claim what is not marked in time.
        """
        return self.claim_s - self.no_answer_s - self.attempt_s / 3

    @property
    def give_back_s(self) -> float:
        """The seconds after a claim within which it is given back where its attempt never begins.
        Later the claim may lapse before that is written.
        """
        return self.claim_s - self.no_answer_s


class Deliverer:
    """Call `wake` when there is something new to claim. connect: makes a session of our own."""

    def __init__(
        self,
        connections: Pool,
        connect: Callable[[], Awaitable[Connection]],
        poster: Poster,
        secrets: SecretBox,
        guard: RowGuard,
        metrics: WebhookMetrics,
        limits: DeliverLimits | None = None,
    ) -> None:
        self._connections = connections
        self._poster = poster
        self._secrets = EndpointSecretsBox(secrets)
        self._guard = guard
        self._metrics = metrics
        self._limits = limits or DeliverLimits()
        self._queues = EndpointQueues(self._limits.queues)
        self._marks: list[Mark] = []
        self._faults: list[tuple[ClaimedDelivery, Exception]] = []  # of ours, without marks yet
        self._delayed: dict[int, tuple[AttemptSlot, Mark]] = {}  # by slot, see `_delay`
        self._dropped: list[ClaimedDelivery] = []  # claims to give back
        self._gone: set[KnownEndpoint] = set()  # they answered 410, and are not yet disabled
        self._counts = HourCounts()
        self._claimer_lock = ClaimerLock(connect, self.wake, self._limits.lock)
        self._attempts: dict[int, AttemptSlot] = {}  # under way, by the slot's number
        self._starts_soon = False  # `_start_attempts` is called in this turn of the event loop
        self._unmarked: set[int] = set()  # deliveries whose attempt has begun, by their numbers
        self._are_over = asyncio.Event()  # set when the last one ends
        self._failure: Exception | None = None  # a fault of ours at the end of an attempt
        self._work = asyncio.Event()
        self._chances = random.Random()
        self._outage = Outage("deliveries", self._chances)
        self._reached = False  # whether the last pass could claim
        self._after = _FIRST
        self._survey_at_s = 0.0
        self._undeliverable_at_s = 0.0
        self._recheck_at_s = 0.0

    def trouble(self) -> str | None:
        """Return why nothing can be delivered just now; None where deliveries go on."""
        return None if self._reached else "the database cannot be reached"

    def wake(self, _: UUID | None = None) -> None:
        """Look for deliveries to claim or to mark."""
        self._work.set()

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`, then let attempts under way end."""
        ended = asyncio.Event()
        async with asyncio.TaskGroup() as holding:
            holding.create_task(self._claimer_lock.run(ended))
            while not stop.is_set():
                if (failure := self._failure) is not None:
                    self._failure = None
                    raise failure
                self._work.clear()
                try:
                    await self._guard.keep_fresh()
                    await self._note_faults()
                    async with self._connections.connection() as conn:
                        await self._pass(conn)
                    self._reached = self._claimer_lock.is_held
                    self._outage.end()
                except TROUBLE as error:
                    self._reached = False
                    await pause(stop, self._outage.begin(error))
                self._start_attempts()
                self._metrics.in_flight.set(self._queues.in_flight)
                is_busy = self._queues.are_well_filled
                await asyncio.sleep(self._limits.busy_pass_s if is_busy else self._limits.pass_s)
                await pause(self._work, self._limits.idle_s)
            await self._finish()
            ended.set()

    async def _pass(self, conn: Connection) -> None:
        await self._write_marks(conn)
        await self._give_back(conn)
        if self._claimer_lock.is_held:
            await self._claim(conn)
        if monotonic() >= self._survey_at_s:
            # First: a survey that fails is not to be the work of each pass.
            self._survey_at_s = monotonic() + self._limits.survey_s
            await self._survey(conn)
        if monotonic() >= self._undeliverable_at_s:
            await self._fail_undeliverable(conn)

    async def _write_marks(self, conn: Connection) -> None:
        marks, gone = self._marks[:], set(self._gone)
        # First, so that an endpoint that is gone is disabled whatever happens in between.
        self._gone -= gone - await endpoint_health.disable(conn, gone, "gone")
        if not marks:
            return
        written = await self._written(conn, marks)
        del self._marks[: len(marks)]  # attempts have added to the end meanwhile
        for mark in written:
            self._unmarked.discard(mark.claim.id.int)
            self._count(mark)

    async def _written(self, conn: Connection, marks: list[Mark]) -> list[Mark]:
        """Write marks in bulk, or where that fails, each by itself. Returns those that are written;
        the others become faults of ours.
        """
        try:
            await webhook_deliveries.mark(conn, marks)
        except (*TROUBLE, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001
            if len(marks) == 1:
                if marks[0].error != _OUR_FAULT:  # else its claim runs out; it is not posted again
                    self._faults.append((marks[0].claim, error))
                return []
            return [done for mark in marks for done in await self._written(conn, [mark])]
        return marks

    async def _note_faults(self) -> None:
        """Let deliveries wait that failed by faults of ours."""
        while self._faults:
            claim, error = self._faults[0]
            row = WorkRow(webhook_deliveries.KIND, str(claim.id), claim.endpoint.org_id)
            wait_s = min(await self._guard.failed(row, error), _SET_ASIDE_S)
            self._marks.append(
                Mark(
                    claim,
                    "pending",
                    None,
                    _OUR_FAULT,
                    wait_s,
                    is_our_fault=True,
                    counts=False,
                )
            )
            del self._faults[0]

    def _count(self, mark: Mark) -> None:
        if mark.began_us is not None and not mark.claim.is_test:
            self._counts.count(
                mark.claim.endpoint.org_id,
                mark.claim.endpoint.id,
                mark.began_us,
                accepted=mark.state == "delivered",
                duration_ms=mark.duration_ms,
            )

    async def _add_counts(self, conn: Connection) -> None:
        counted = self._counts.waiting()
        await endpoint_hours.add(conn, counted)
        self._counts.added(counted)

    async def _give_back(self, conn: Connection) -> None:
        """Give back what waits for endpoints that were changed or have lost the right to it since
        it was claimed, for those that are gone, and what has waited too long for its slot. It is
        claimed again as the endpoints are now.
        """
        self._dropped += self._queues.pop_dropped()
        if monotonic() >= self._recheck_at_s:
            self._recheck_at_s = monotonic() + self._limits.recheck_s
            waiting = self._queues.waiting_endpoints()
            changes = await webhook_deliveries.last_changes(conn, waiting)
            for endpoint_id in waiting:
                self._dropped += self._queues.drop(endpoint_id, changes.get(endpoint_id))
        dropped = self._dropped[:]
        if dropped:
            await webhook_deliveries.release(conn, dropped, self._claimer_lock.number)
            del self._dropped[: len(dropped)]

    async def _claim(self, conn: Connection) -> None:
        limits, began_s = self._limits, monotonic()
        wanted = WantedDeliveries(
            limit=min(limits.claims, self._queues.free),
            capacity=self._queues.capacity_of_new,
            capacities=self._queues.capacities() | {endpoint.id: 0 for endpoint in self._gone},
            after=self._after,
            lease_s=limits.claim_s,
            claimer=self._claimer_lock.number,
            living=self._claimer_lock.living(),
            dead_after_s=limits.lock.dead_after_s,
        )
        claims = await webhook_deliveries.claim(conn, wanted)
        # A database that stood still may return what we have attempted and not yet marked.
        claims_to_attempt = [claim for claim in claims if claim.id.int not in self._unmarked]
        gone = {endpoint.id for endpoint in self._gone}  # some of them meanwhile
        self._dropped += [claim for claim in claims_to_attempt if claim.endpoint.id in gone]
        self._queues.add(
            [claim for claim in claims_to_attempt if claim.endpoint.id not in gone],
            begin_by_s=began_s + limits.begin_s,
            give_back_by_s=began_s + limits.give_back_s,
        )
        if claims and len(claims) == wanted.limit:
            # Others wait behind these: they come first next time, and at once.
            endpoints = {claim.endpoint.id.int: claim.endpoint.id for claim in claims}
            self._after = max(
                endpoints.values(), key=lambda endpoint: (endpoint <= wanted.after, endpoint)
            )
            self.wake()

    async def _survey(self, conn: Connection) -> None:
        await webhook_deliveries.go_on_with_released(conn)
        await endpoint_health.disable_failing(
            conn, after_s=self._limits.disable_after_s, limit=self._limits.claims
        )
        await self._add_counts(conn)
        self._metrics.waits(await webhook_backlog.read(conn, limit=self._limits.backlog))
        for latency, endpoints in self._queues.latencies().items():
            self._metrics.endpoints.labels(latency.value).set(endpoints)
        self._metrics.claimed.set(self._queues.waiting)

    async def _fail_undeliverable(self, conn: Connection) -> None:
        """Fail some of what waits for dead endpoints. As long as there is more, each pass does."""
        limits = self._limits
        self._undeliverable_at_s = monotonic() + limits.survey_s
        given_up = await webhook_deliveries.fail_undeliverable(conn, limit=limits.claims)
        self._metrics.failed.inc(given_up)
        if given_up == limits.claims:
            self._undeliverable_at_s = 0.0
            self.wake()

    def _start_attempts(self) -> None:
        self._starts_soon = False
        while (slot := self._queues.next_slot(monotonic())) is not None:
            self._attempts[slot.number] = slot
            self._start(slot)

    def _start(self, slot: AttemptSlot) -> None:
        try:
            self._post(slot)
        except Exception as error:  # noqa: BLE001
            self._fault(slot, error)

    def _fault(self, slot: AttemptSlot, error: Exception) -> None:
        """End an attempt that failed by a fault of ours."""
        if isinstance(error, MemoryError):
            raise error
        self._attempts.pop(slot.number, None)
        self._delayed.pop(slot.number, None)
        self._faults.append((slot.claim, error))
        self._free(slot, monotonic(), accepted=False)

    def _post(self, slot: AttemptSlot) -> None:
        claim, endpoint, began_us = slot.claim, slot.claim.endpoint, time_ns() // 1_000
        self._unmarked.add(claim.id.int)
        try:
            secrets = self._secrets.of(endpoint)
        except EndpointSecretsError as error:
            _log.error(
                "webhook secret cannot be decrypted",
                endpoint_id=format_id("whe", endpoint.id),
                error=str(error),
            )
            detail = "the secret of the endpoint cannot be read"
            answer = Answer(None, detail, is_our_fault=True)
            loop = asyncio.get_running_loop()
            loop.call_soon(self._guarded, slot, self._end, began_us, (), answer)
            return
        message_id = envelope.message_id(claim)
        body = envelope.body(claim, message_id)
        until = endpoint.previous_secret_until
        is_over = until is None or began_us >= to_us(until)
        keys = secrets.keys[:1] if is_over else secrets.keys
        signed = signing.signed_headers(keys, message_id, began_us // 1_000_000, body)
        headers = signed + secrets.header_lines
        on_answer = partial(self._guarded, slot, self._end, began_us, secrets.hidden)
        self._poster.post(endpoint.url, headers, body, on_answer)

    def _guarded(self, slot: AttemptSlot, step: Callable[..., None], *arguments: Any) -> None:
        """Take a step at the end of an attempt: a fault of ours in it is that of its delivery."""
        try:
            step(slot, *arguments)
        except Exception as error:  # noqa: BLE001
            self._noted(partial(self._fault, slot, error))

    def _noted(self, step: Callable[[], None]) -> None:
        """Take a step outside of any delivery. The event loop would log an exception and go on, so
        `run` raises it.
        """
        try:
            step()
        except Exception as error:  # noqa: BLE001
            self._failure = error
            self.wake()

    def _end(
        self, slot: AttemptSlot, began_us: int, hidden: tuple[str, ...], answer: Answer
    ) -> None:
        if self._attempts.pop(slot.number, None) is None:
            return  # given up when the process stopped
        claim, now_s = slot.claim, monotonic()
        took_s = now_s - slot.started_s
        self._metrics.count_attempt(answer, took_s)
        if answer.status is None:
            self._delay(slot, self._mark_of(claim, answer, began_us), now_s)
        else:
            if answer.status == GONE and not claim.is_test:
                self._gone.add(_known(claim.endpoint))
                self._dropped += self._queues.drop(claim.endpoint.id)
            logged = logged_answer(answer.headers, answer.body, hidden)
            mark = self._mark_of(claim, answer, began_us, round(1000 * took_s), logged)
            self._close(slot, mark, now_s)
        if not self._attempts:
            self._are_over.set()

    def _close(self, slot: AttemptSlot, mark: Mark, now_s: float) -> None:
        self._marks.append(mark)
        self._free(slot, now_s, accepted=mark.state == "delivered")

    def _free(self, slot: AttemptSlot, now_s: float, *, accepted: bool) -> None:
        if slot.claim.is_ordered and not accepted:
            self._dropped += self._queues.drop(slot.claim.endpoint.id)  # they come behind this one
        self._queues.finish(slot, now_s, accepted=accepted)
        if not self._starts_soon:  # once for all that end in one turn of the event loop
            self._starts_soon = True
            asyncio.get_running_loop().call_soon(self._noted, self._start_attempts)
        self.wake()

    def _delay(self, slot: AttemptSlot, mark: Mark, now_s: float) -> None:
        """Keep the slot and the mark of an attempt without an answer until the longest attempt
        would have ended. How soon the log has it, when the next attempt is, and when another
        delivery of the endpoint is attempted would tell a closed port from a filtered one.
        """
        self._delayed[slot.number] = slot, mark
        rest_s = slot.started_s + self._limits.no_answer_s - now_s
        asyncio.get_running_loop().call_later(
            max(0.0, rest_s), self._guarded, slot, self._report_delayed
        )

    def _report_delayed(self, slot: AttemptSlot) -> None:
        if (delayed := self._delayed.pop(slot.number, None)) is not None:  # else it ended before
            self._close(*delayed, monotonic())

    def _mark_of(
        self,
        claim: ClaimedDelivery,
        answer: Answer,
        began_us: int,
        duration_ms: int | None = None,
        logged: LoggedAnswer = NOTHING,
    ) -> Mark:
        status, (headers, body) = answer.status, logged
        if answer.accepted:
            self._metrics.lag_s.observe(max(0.0, time() - claim.created_us / 1e6))
            return Mark(claim, "delivered", status, None, 0.0, began_us, duration_ms, headers, body)
        delay_s = retry_delay_s(answer, claim.attempts + 1, self._chances.random())
        if delay_s is None:
            self._metrics.failed.inc()
            _log.warning(
                "delivery given up",
                endpoint_id=format_id("whe", claim.endpoint.id),
                event_id=envelope.message_id(claim),
                status=status,
                error=answer.detail or answer.error,
            )
        return Mark(
            claim,
            "failed" if delay_s is None else "pending",
            status,
            answer.error,
            delay_s or 0.0,
            began_us,
            duration_ms,
            headers,
            body,
            answer.is_our_fault,
        )

    async def _finish(self) -> None:
        """Give back what has not begun; waits for what has, and gives back what does not end."""
        claims = self._queues.drain()
        self._are_over.clear()
        if self._attempts:
            await pause(self._are_over, self._limits.grace_s)
        claims += [slot.claim for slot in self._attempts.values()]
        self._attempts.clear()
        claims += self._dropped
        self._marks += [mark for _, mark in self._delayed.values()]
        self._delayed.clear()
        try:
            await self._note_faults()
            async with self._connections.connection() as conn:
                await self._write_marks(conn)
                await self._add_counts(conn)
                await webhook_deliveries.release(conn, claims, self._claimer_lock.number)
        except TROUBLE as error:
            _log.warning(
                "claimed deliveries not released, others attempt them when this process has ended",
                claims=len(claims),
                error=str(error).strip(),
            )


def _known(endpoint: ClaimedEndpoint) -> KnownEndpoint:
    return KnownEndpoint(endpoint.org_id, endpoint.id, endpoint.updated_at)
