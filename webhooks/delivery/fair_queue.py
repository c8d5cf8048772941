"""The queue of claimed deliveries: they wait in a queue for each endpoint, and queues take turns.

An endpoint that hangs must delay nobody else, and it shows only by not answering. So each queue has
a window, the attempts that it may have in flight: it begins at one, grows by one with each accepted
delivery, and is halved by a failure. An endpoint that answers slowly bears many attempts at once,
or has a queue of its own that grows with them. Its answers tell which: beyond the first few, the
window grows only while they come in `good_s`, well before an attempt times out.

Attempts come from four pools, by the latency of the queue: those whose last answer came promptly,
those that accept slowly, those of which nothing is known yet, and those that hang. A queue whose
oldest attempt has waited too long changes its latency at once, not only when that attempt times
out: its attempts then weigh on the pool of the others that are slow, or that hang.

A slot of a pool that becomes free goes to the organization that has the fewest attempts in flight
there (max-min fairness). So neither many endpoints nor slow answers get an organization more than
its share. The queues of one organization take turns, and so do organizations that have as many.

Endpoints and organizations are known here by the numbers of their ids (`UUID.int`): an attempt
looks them up fifty times, and a UUID takes ten times as long to hash and compare.

No I/O here and no clock: `now_s` is any clock that never goes back.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from db.delivery.webhook_deliveries import ClaimedDelivery


class Latency(StrEnum):
    """The known speed of an endpoint's answers. Attempts start in this order."""

    PROMPT = "prompt"
    NEW = "new"
    STEADY = "steady"  # slow, and accepts
    HANGING = "hanging"  # slow, and does not accept, or has not answered yet


_LATENCIES = tuple(Latency)  # iterating over the class costs more than an attempt
_KNOWN = (Latency.PROMPT, Latency.STEADY)
_LATE = {Latency.PROMPT: Latency.STEADY, Latency.NEW: Latency.HANGING}
"""The latency of a queue whose oldest attempt has waited too long, where it is another one."""


@dataclass(frozen=True, slots=True)
class FairQueueLimits:
    """Every bound of the queues.

    A queue that changes its latency takes its attempts in flight along: a pool may have more for a
    while, and starts none meanwhile.
    """

    in_flight: int = 448  # attempts of all queues
    prompt_in_flight: int = 64  # attempts of all prompt queues
    steady_in_flight: int = 256  # attempts of all steady queues
    new_in_flight: int = 32  # attempts of all new queues
    hanging_in_flight: int = 32  # attempts of all hanging queues
    organization_in_flight: int = 128  # attempts of an organization
    prompt_beside: int = 16  # so many more may be of its prompt queues
    window: int = 32  # attempts of one prompt queue
    steady_window: int = 64  # attempts of one steady queue
    slow_window: int = 4  # attempts of one new or hanging queue
    prompt_s: float = 0.5  # an answer within this is prompt
    good_s: float = 5.0  # an answer within this lets a window grow beyond `slow_window`
    waiting: int = 5_000  # claims that wait in all queues
    slow_waiting: int = 1_000  # claims that wait in all queues of one latency, but for prompt ones
    waiting_per_attempt: int = 8  # claims that wait in a prompt queue, times its window
    ordered_waiting: int = 32  # claims of a prompt queue whose deliveries are ordered
    idle_queues: int = 10_000  # queues without work that are kept for what is known of them

    @property
    def unknown_in_flight(self) -> int:
        """Attempts of new and hanging queues together, so that the other pools keep their slots."""
        return self.in_flight - self.prompt_in_flight - self.steady_in_flight


class _Waiting(NamedTuple):
    claim: ClaimedDelivery
    begin_by_s: float
    give_back_by_s: float


class AttemptSlot(NamedTuple):
    """A slot of the windows, taken by an attempt that may begin now. It is handed back to
    `EndpointQueues.finish`.
    """

    claim: ClaimedDelivery
    number: int
    started_s: float


@dataclass(slots=True)
class _EndpointQueue:
    endpoint: UUID
    organization: int
    window: int = 1
    latency: Latency = Latency.NEW
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    started_s: dict[int, float] = field(default_factory=dict)  # attempts in flight, oldest first
    is_scheduled: bool = False  # that of its latency
    is_ordered: bool = False  # its last claim was
    ordered: int | None = None  # the ordered attempt in flight

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.started_s


@dataclass(slots=True)
class _Pool:
    """Slots, and the organizations whose queues may start an attempt in one.

    most: the slots. organization_most: an organization with as many attempts in flight, in all
    pools, starts none here.
    """

    most: int
    window: int  # of a queue
    organization_most: int
    in_flight: int = 0
    in_flight_of: Counter[int] = field(default_factory=Counter[int])  # by organization
    ready: dict[int, dict[int, None]] = field(default_factory=dict[int, dict[int, None]])
    """Endpoints that may start an attempt, by organization; who had a turn stands at the end."""

    def add(self, organization: int, endpoint: int) -> None:
        self.ready.setdefault(organization, {})[endpoint] = None

    def remove(self, organization: int, endpoint: int) -> None:
        endpoints = self.ready[organization]
        del endpoints[endpoint]
        if not endpoints:
            del self.ready[organization]

    def count(self, organization: int, by: int) -> None:
        """Note that more or fewer attempts of the organization are in flight."""
        self.in_flight += by
        _count(self.in_flight_of, organization, by)

    def next(self, totals: Mapping[int, int]) -> int | None:
        """Return the endpoint whose turn it is. totals: attempts in flight in all pools."""
        least, chosen = math.inf, None
        for organization in self.ready:
            if totals.get(organization, 0) >= self.organization_most:
                continue
            in_flight = self.in_flight_of.get(organization, 0)
            if in_flight < least:
                least, chosen = in_flight, organization
                if not in_flight:
                    break
        if chosen is None:
            return None
        endpoints = self.ready.pop(chosen)
        endpoint = next(iter(endpoints))
        endpoints[endpoint] = endpoints.pop(endpoint)
        self.ready[chosen] = endpoints
        return endpoint


def _count(counts: Counter[int], organization: int, by: int) -> None:
    counts[organization] += by
    if not counts[organization]:
        del counts[organization]


class EndpointQueues:
    """Waiting claims and attempts in flight, per endpoint."""

    def __init__(self, limits: FairQueueLimits) -> None:
        self._limits = limits
        self._queues: dict[int, _EndpointQueue] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._active: set[int] = set()  # not idle at the last two calls of `capacities`, or now
        self._just_idle: set[int] = set()  # of these, idle when it was last asked
        self._totals = Counter[int]()  # attempts in flight, by organization
        most, slow = limits.organization_in_flight, limits.slow_window
        beside = most + limits.prompt_beside
        self._pools = {
            Latency.PROMPT: _Pool(limits.prompt_in_flight, limits.window, beside),
            Latency.STEADY: _Pool(limits.steady_in_flight, limits.steady_window, most),
            Latency.NEW: _Pool(limits.new_in_flight, slow, most),
            Latency.HANGING: _Pool(limits.hanging_in_flight, slow, most),
        }
        self._waiting = dict.fromkeys(Latency, 0)
        self._late: list[ClaimedDelivery] = []  # dropped since `pop_dropped`
        # Attempts that have begun lately, the oldest first: their queues and numbers, and when.
        self._watched: deque[tuple[_EndpointQueue, int, float]] = deque()
        self._number = 0
        self.in_flight = 0  # attempts that have begun and not ended

    def __len__(self) -> int:
        """Return endpoints of which something is known."""
        return len(self._queues)

    def latencies(self) -> dict[Latency, int]:
        """Count the endpoints of each latency."""
        counted = Counter(queue.latency for queue in self._queues.values())
        return {latency: counted[latency] for latency in Latency}

    @property
    def waiting(self) -> int:
        """Claims that wait for a slot."""
        return sum(self._waiting.values())

    @property
    def free(self) -> int:
        """The number of claims that may still wait."""
        return max(0, self._limits.waiting - self.waiting)

    @property
    def are_well_filled(self) -> bool:
        """Whether prompt queues have enough to do for some claims' time."""
        return 2 * self._waiting[Latency.PROMPT] > self._limits.waiting

    @property
    def capacity_of_new(self) -> int:
        """The number of claims that an endpoint may bring of which nothing is known."""
        return 1 if self._waiting[Latency.NEW] < self._limits.slow_waiting else 0

    def capacities(self) -> dict[UUID, int]:
        """Return how many more claims may wait for each endpoint with work, or with work until now.
        An ordered one may have to be asked for twice: first its last mark has to be written.

        A queue is filled up when it is half empty, so that few claims fetch many deliveries.
        """
        active = [self._queues[endpoint] for endpoint in self._active]
        capacities = {queue.endpoint: self._capacity(queue) for queue in active}
        idle = {endpoint for endpoint in self._active if self._queues[endpoint].is_idle}
        self._active -= idle & self._just_idle
        self._just_idle = idle & self._active
        return capacities

    def add(
        self,
        claims: Sequence[ClaimedDelivery],
        begin_by_s: float,
        give_back_by_s: float = math.inf,
    ) -> None:
        """Add claims that wait for a slot. An attempt that cannot begin in time is dropped.

        give_back_by_s: what is dropped by then comes to `pop_dropped`. Later the claim lapses by
        itself, and may be somebody else's.
        """
        fuller: dict[int, _EndpointQueue] = {}
        for claim in claims:
            endpoint = claim.endpoint.id.int
            queue = self._queues.get(endpoint)
            if queue is None:
                queue = self._queues[endpoint] = _EndpointQueue(
                    claim.endpoint.id, claim.endpoint.org_id.int
                )
            queue.waiting.append(_Waiting(claim, begin_by_s, give_back_by_s))
            queue.is_ordered = claim.is_ordered
            self._waiting[queue.latency] += 1
            fuller[endpoint] = queue
        for endpoint, queue in fuller.items():
            self._active.add(endpoint)
            self._just_idle.discard(endpoint)
            self._reschedule(endpoint, queue)

    def next_slot(self, now_s: float) -> AttemptSlot | None:
        """Return the next attempt, or None while no queue may start one."""
        self._watch(now_s)
        for latency in _LATENCIES:
            slot = self._next_slot(latency, now_s)
            if slot is not None:
                return slot
        return None

    def finish(self, slot: AttemptSlot, now_s: float, *, accepted: bool) -> None:
        """Note the end of an attempt."""
        endpoint, limits = slot.claim.endpoint.id.int, self._limits
        queue = self._queues[endpoint]
        del queue.started_s[slot.number]
        if queue.ordered == slot.number:
            queue.ordered = None
        self._count(queue, -1)
        if not accepted:
            queue.window = max(1, queue.window // 2)
        elif queue.window < limits.slow_window or now_s - slot.started_s <= limits.good_s:
            queue.window += 1
        self._set_latency(
            endpoint, queue, self._latency_after(slot, queue, now_s, accepted=accepted)
        )
        self._reschedule(endpoint, queue)

    def _latency_after(
        self, slot: AttemptSlot, queue: _EndpointQueue, now_s: float, *, accepted: bool
    ) -> Latency:
        """Return its next latency. A steady queue hangs once failures made its window small."""
        prompt_from_s = now_s - self._limits.prompt_s
        oldest_s = next(iter(queue.started_s.values()), now_s)
        if slot.started_s >= prompt_from_s and oldest_s >= prompt_from_s:
            return Latency.PROMPT
        was_good = queue.latency in _KNOWN and queue.window > self._limits.slow_window
        return Latency.STEADY if accepted or was_good else Latency.HANGING

    def waiting_endpoints(self) -> list[UUID]:
        """Return the endpoints for which claims wait."""
        queues = [self._queues[endpoint] for endpoint in self._active]
        return [queue.endpoint for queue in queues if queue.waiting]

    def drop(self, endpoint_id: UUID, updated_at: datetime | None = None) -> list[ClaimedDelivery]:
        """Take out what waits for an endpoint, but for claims that have its settings of
        `updated_at`.
        """
        queue = self._queues.get(endpoint_id.int)
        if queue is None:
            return []
        dropped = [
            waiting.claim
            for waiting in queue.waiting
            if waiting.claim.endpoint.updated_at != updated_at
        ]
        if dropped:
            kept = (
                waiting
                for waiting in queue.waiting
                if waiting.claim.endpoint.updated_at == updated_at
            )
            queue.waiting = deque(kept)
            self._waiting[queue.latency] -= len(dropped)
            self._reschedule(endpoint_id.int, queue)
        return dropped

    def pop_dropped(self) -> list[ClaimedDelivery]:
        """Return the claims whose attempts could not begin in time, to give them back."""
        late, self._late = self._late, []
        return late

    def drain(self) -> list[ClaimedDelivery]:
        """Take out all that waits."""
        return [claim for endpoint in self.waiting_endpoints() for claim in self.drop(endpoint)]

    def _capacity(self, queue: _EndpointQueue) -> int:
        limits = self._limits
        if queue.is_ordered:  # claimed in a row: the next row begins when this one is done
            if not queue.is_idle:
                return 0
            return limits.ordered_waiting if queue.latency is Latency.PROMPT else 1
        if queue.latency is Latency.PROMPT:
            target = queue.window * limits.waiting_per_attempt
        elif self._waiting[queue.latency] >= limits.slow_waiting:
            target = 0
        elif queue.latency is Latency.STEADY:  # one attempt lasts longer than many claims
            target = max(0, queue.window - len(queue.started_s)) + max(1, queue.window // 4)
        else:
            target = queue.window
        return 0 if 2 * len(queue.waiting) > target else target - len(queue.waiting)

    def _next_slot(self, latency: Latency, now_s: float) -> AttemptSlot | None:
        while self._pool_has_more(latency):
            endpoint = self._pools[latency].next(self._totals)
            if endpoint is None:
                return None
            slot = self._start(endpoint, self._queues[endpoint], now_s)
            if slot is not None:
                return slot
        return None

    def _pool_has_more(self, latency: Latency) -> bool:
        limits, pools = self._limits, self._pools
        pool = pools[latency]
        if pool.in_flight >= pool.most or self.in_flight >= limits.in_flight:
            return False
        if latency in _KNOWN:
            return True
        unknown = pools[Latency.NEW].in_flight + pools[Latency.HANGING].in_flight
        return unknown < limits.unknown_in_flight

    def _start(self, endpoint: int, queue: _EndpointQueue, now_s: float) -> AttemptSlot | None:
        slot = None
        while slot is None and queue.waiting:
            claim, begin_by_s, give_back_by_s = queue.waiting.popleft()
            self._waiting[queue.latency] -= 1
            if now_s <= begin_by_s:
                slot = AttemptSlot(claim, self._number, now_s)
            elif now_s <= give_back_by_s:
                self._late.append(claim)
        if slot is not None:
            self._number += 1
            queue.started_s[slot.number] = now_s
            if slot.claim.is_ordered:
                queue.ordered = slot.number
            self._count(queue, 1)
            self._watched.append((queue, slot.number, now_s))
        self._reschedule(endpoint, queue)
        return slot

    def _watch(self, now_s: float) -> None:
        """Change the latency of queues whose oldest attempt has waited too long."""
        while self._watched and now_s - self._watched[0][2] > self._limits.prompt_s:
            queue, number, _ = self._watched.popleft()
            if number in queue.started_s:
                endpoint = queue.endpoint.int
                self._set_latency(endpoint, queue, _LATE.get(queue.latency, queue.latency))
                self._reschedule(endpoint, queue)

    def _set_latency(self, endpoint: int, queue: _EndpointQueue, latency: Latency) -> None:
        if queue.latency is not latency:
            if queue.is_scheduled:
                queue.is_scheduled = False
                self._pools[queue.latency].remove(queue.organization, endpoint)
            self._pools[queue.latency].count(queue.organization, -len(queue.started_s))
            self._pools[latency].count(queue.organization, len(queue.started_s))
            self._waiting[queue.latency] -= len(queue.waiting)
            self._waiting[latency] += len(queue.waiting)
            queue.latency = latency
        queue.window = min(queue.window, self._pools[latency].window)

    def _count(self, queue: _EndpointQueue, by: int) -> None:
        """Count an attempt that has begun or ended."""
        self.in_flight += by
        _count(self._totals, queue.organization, by)
        self._pools[queue.latency].count(queue.organization, by)

    def _reschedule(self, endpoint: int, queue: _EndpointQueue) -> None:
        """Put a queue where it belongs after a change: scheduled, or not, or among the idle."""
        waiting, started_s = queue.waiting, queue.started_s
        may_start = (
            len(started_s) < queue.window
            and bool(waiting)
            and (queue.ordered is None or not waiting[0][0].is_ordered)
        )
        if may_start is not queue.is_scheduled:
            queue.is_scheduled, pool = may_start, self._pools[queue.latency]
            if may_start:
                pool.add(queue.organization, endpoint)
            else:
                pool.remove(queue.organization, endpoint)
        if not waiting and not started_s:
            self._idle.setdefault(endpoint)
            if len(self._idle) > self._limits.idle_queues:
                self._forget(self._idle.popitem(last=False)[0])
        elif endpoint in self._idle:
            del self._idle[endpoint]

    def _forget(self, endpoint: int) -> None:
        del self._queues[endpoint]
        self._active.discard(endpoint)
