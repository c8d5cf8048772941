"""The queue of claimed deliveries: they wait in a lane per endpoint, and lanes take turns.

An endpoint that hangs must delay nobody else, and it shows only by not answering. So each lane has
a window, the attempts that it may have in flight: it begins at one, grows by one with each accepted
delivery, and is halved by a failure. An endpoint that answers slowly bears many attempts at once,
or has a queue of its own that grows with them. Its answers tell which: beyond the first few, the
window grows only while they come in `good_s`, well before an attempt times out.

Attempts come from four pools, by the pace of the lane: those whose last answer came promptly, those
that accept slowly, those of which nothing is known yet, and those that hang. A lane whose oldest
attempt has waited too long changes its pace at once, not only when that attempt times out: its
attempts then weigh on the pool of the others that are slow, or that hang.

Within a pool the organization with the fewest attempts in flight comes first
(`webhooks.delivery.line`).

Endpoints and organizations are known here by the numbers of their ids (`UUID.int`): a turn looks
them up fifty times, and a UUID takes ten times as long to hash and compare.

No I/O here and no clock: `now_s` is any clock that never goes back.
"""

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from db.delivery.webhook_deliveries import ClaimedDelivery
from webhooks.delivery.line import Line


class Pace(StrEnum):
    """The known speed of an endpoint's answers. Turns are given in this order."""

    PROMPT = "prompt"
    NEW = "new"
    STEADY = "steady"  # slow, and accepts
    HANGING = "hanging"  # slow, and does not accept, or has not answered yet


_PACES = tuple(Pace)  # iterating over the class costs more than a turn
_KNOWN = (Pace.PROMPT, Pace.STEADY)
_LATE = {Pace.PROMPT: Pace.STEADY, Pace.NEW: Pace.HANGING}
"""The pace of a lane whose oldest attempt has waited too long, where it is another one."""


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Every bound of the lanes.

    A lane that changes its pace takes its attempts in flight along: a pool may have more for a
    while, and starts none meanwhile.
    """

    in_flight: int = 448  # attempts of all lanes
    prompt_in_flight: int = 64  # attempts of all prompt lanes
    steady_in_flight: int = 256  # attempts of all steady lanes
    new_in_flight: int = 32  # attempts of all new lanes
    hanging_in_flight: int = 32  # attempts of all hanging lanes
    organization_in_flight: int = 128  # attempts of an organization
    prompt_beside: int = 16  # so many more may be of its prompt lanes
    window: int = 32  # attempts of one prompt lane
    steady_window: int = 64  # attempts of one steady lane
    slow_window: int = 4  # attempts of one new or hanging lane
    prompt_s: float = 0.5  # an answer within this is prompt
    good_s: float = 5.0  # an answer within this lets a window grow beyond `slow_window`
    waiting: int = 5_000  # claims that wait in all lanes
    slow_waiting: int = 1_000  # claims that wait in all lanes of one pace, but for prompt ones
    waiting_per_attempt: int = 8  # claims that wait in a prompt lane, times its window
    ordered_waiting: int = 32  # claims of a prompt lane whose deliveries are ordered
    idle_lanes: int = 10_000  # lanes without work that are kept for what is known of them

    @property
    def unknown_in_flight(self) -> int:
        """Attempts of new and hanging lanes together, so that the other pools keep their places."""
        return self.in_flight - self.prompt_in_flight - self.steady_in_flight


class _Waiting(NamedTuple):
    claim: ClaimedDelivery
    begin_by_s: float
    give_back_by_s: float


class Turn(NamedTuple):
    """An attempt that may begin now. It is handed back to `Lanes.finish`."""

    claim: ClaimedDelivery
    number: int
    started_s: float


@dataclass(slots=True)
class _Lane:
    endpoint: UUID
    organization: int
    window: int = 1
    pace: Pace = Pace.NEW
    waiting: deque[_Waiting] = field(default_factory=deque[_Waiting])
    started_s: dict[int, float] = field(default_factory=dict)  # attempts in flight, oldest first
    is_in_line: bool = False  # that of its pace
    is_ordered: bool = False  # its last claim was
    ordered: int | None = None  # the ordered attempt in flight

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.started_s


class Lanes:
    """Waiting claims and attempts in flight, per endpoint."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._lanes: dict[int, _Lane] = {}
        self._idle: OrderedDict[int, None] = OrderedDict()
        self._busy: set[int] = set()  # not idle when `rooms` was asked the last two times, or now
        self._calm: set[int] = set()  # of these, idle when it was last asked
        self._totals = Counter[int]()  # attempts in flight, by organization
        most = limits.organization_in_flight
        self._lines = {pace: Line(self._totals, most) for pace in Pace}
        self._lines[Pace.PROMPT] = Line(self._totals, most + limits.prompt_beside)
        self._bounds = {line.most for line in self._lines.values()}
        self._pools = {
            Pace.PROMPT: limits.prompt_in_flight,
            Pace.STEADY: limits.steady_in_flight,
            Pace.NEW: limits.new_in_flight,
            Pace.HANGING: limits.hanging_in_flight,
        }
        self._windows = {
            Pace.PROMPT: limits.window,
            Pace.STEADY: limits.steady_window,
            Pace.NEW: limits.slow_window,
            Pace.HANGING: limits.slow_window,
        }
        self._waiting = dict.fromkeys(Pace, 0)
        self._late: list[ClaimedDelivery] = []  # dropped since `take_late`
        # Attempts that have begun lately, the oldest first: their lanes and numbers, and when.
        self._watched: deque[tuple[_Lane, int, float]] = deque()
        self._number = 0
        self.in_flight = 0  # attempts that have begun and not ended

    def __len__(self) -> int:
        """Return endpoints of which something is known."""
        return len(self._lanes)

    def paces(self) -> dict[Pace, int]:
        """Count the endpoints of each pace."""
        counted = Counter(lane.pace for lane in self._lanes.values())
        return {pace: counted[pace] for pace in Pace}

    @property
    def waiting(self) -> int:
        """Claims that wait for their turn."""
        return sum(self._waiting.values())

    @property
    def free(self) -> int:
        """The number of claims that may still wait."""
        return max(0, self._limits.waiting - self.waiting)

    @property
    def are_well_filled(self) -> bool:
        """Whether prompt lanes have enough to do for some claims' time."""
        return 2 * self._waiting[Pace.PROMPT] > self._limits.waiting

    @property
    def room_of_new(self) -> int:
        """The number of claims that an endpoint may bring of which nothing is known."""
        return 1 if self._waiting[Pace.NEW] < self._limits.slow_waiting else 0

    def rooms(self) -> dict[UUID, int]:
        """Return how many more claims may wait for each endpoint with work, or with work until now.
        An ordered one may have to be asked for twice: first its last mark has to be written.

        A lane is filled up when it is half empty, so that few claims fetch many deliveries.
        """
        busy = [self._lanes[endpoint] for endpoint in self._busy]
        rooms = {lane.endpoint: self._room(lane) for lane in busy}
        idle = {endpoint for endpoint in self._busy if self._lanes[endpoint].is_idle}
        self._busy -= idle & self._calm
        self._calm = idle & self._busy
        return rooms

    def add(
        self,
        claims: Sequence[ClaimedDelivery],
        begin_by_s: float,
        give_back_by_s: float = math.inf,
    ) -> None:
        """Add claims that wait for a turn. An attempt that cannot begin in time is dropped.

        give_back_by_s: what is dropped by then comes to `take_late`. Later the claim lapses by
        itself, and may be somebody else's.
        """
        fuller: dict[int, _Lane] = {}
        for claim in claims:
            endpoint = claim.endpoint.id.int
            lane = self._lanes.get(endpoint)
            if lane is None:
                lane = self._lanes[endpoint] = _Lane(claim.endpoint.id, claim.endpoint.org_id.int)
            lane.waiting.append(_Waiting(claim, begin_by_s, give_back_by_s))
            lane.is_ordered = claim.is_ordered
            self._waiting[lane.pace] += 1
            fuller[endpoint] = lane
        for endpoint, lane in fuller.items():
            self._busy.add(endpoint)
            self._calm.discard(endpoint)
            self._settle(endpoint, lane)

    def take(self, now_s: float) -> Turn | None:
        """Return the next attempt, or None while no lane may start one."""
        self._watch(now_s)
        for pace in _PACES:
            turn = self._take(pace, now_s)
            if turn is not None:
                return turn
        return None

    def finish(self, turn: Turn, now_s: float, *, accepted: bool) -> None:
        """Note the end of an attempt."""
        endpoint, limits = turn.claim.endpoint.id.int, self._limits
        lane = self._lanes[endpoint]
        del lane.started_s[turn.number]
        if lane.ordered == turn.number:
            lane.ordered = None
        self._count(lane, -1)
        if not accepted:
            lane.window = max(1, lane.window // 2)
        elif lane.window < limits.slow_window or now_s - turn.started_s <= limits.good_s:
            lane.window += 1
        self._set_pace(endpoint, lane, self._pace_after(turn, lane, now_s, accepted=accepted))
        self._settle(endpoint, lane)

    def _pace_after(self, turn: Turn, lane: _Lane, now_s: float, *, accepted: bool) -> Pace:
        """Return its next pace. A steady lane hangs once failures made its window small."""
        prompt_from_s = now_s - self._limits.prompt_s
        oldest_s = next(iter(lane.started_s.values()), now_s)
        if turn.started_s >= prompt_from_s and oldest_s >= prompt_from_s:
            return Pace.PROMPT
        was_good = lane.pace in _KNOWN and lane.window > self._limits.slow_window
        return Pace.STEADY if accepted or was_good else Pace.HANGING

    def waiting_endpoints(self) -> list[UUID]:
        """Return the endpoints for which claims wait."""
        lanes = [self._lanes[endpoint] for endpoint in self._busy]
        return [lane.endpoint for lane in lanes if lane.waiting]

    def drop(self, endpoint_id: UUID, updated_at: datetime | None = None) -> list[ClaimedDelivery]:
        """Take out what waits for an endpoint, but for claims that have its settings of
        `updated_at`.
        """
        lane = self._lanes.get(endpoint_id.int)
        if lane is None:
            return []
        dropped = [
            each.claim for each in lane.waiting if each.claim.endpoint.updated_at != updated_at
        ]
        if dropped:
            kept = (each for each in lane.waiting if each.claim.endpoint.updated_at == updated_at)
            lane.waiting = deque(kept)
            self._waiting[lane.pace] -= len(dropped)
            self._settle(endpoint_id.int, lane)
        return dropped

    def take_late(self) -> list[ClaimedDelivery]:
        """Return the claims whose attempts could not begin in time, to give them back."""
        late, self._late = self._late, []
        return late

    def drain(self) -> list[ClaimedDelivery]:
        """Take out all that waits."""
        return [claim for endpoint in self.waiting_endpoints() for claim in self.drop(endpoint)]

    def _room(self, lane: _Lane) -> int:
        limits = self._limits
        if lane.is_ordered:  # claimed in a row: the next row begins when this one is done
            if not lane.is_idle:
                return 0
            return limits.ordered_waiting if lane.pace is Pace.PROMPT else 1
        if lane.pace is Pace.PROMPT:
            target = lane.window * limits.waiting_per_attempt
        elif self._waiting[lane.pace] >= limits.slow_waiting:
            target = 0
        elif lane.pace is Pace.STEADY:  # one attempt lasts longer than many claims
            target = max(0, lane.window - len(lane.started_s)) + max(1, lane.window // 4)
        else:
            target = lane.window
        return 0 if 2 * len(lane.waiting) > target else target - len(lane.waiting)

    def _take(self, pace: Pace, now_s: float) -> Turn | None:
        line = self._lines[pace]
        while self._pool_has_more(pace) and (endpoint := line.next()) is not None:
            turn = self._start(endpoint, self._lanes[endpoint], now_s)
            if turn is not None:
                return turn
        return None

    def _pool_has_more(self, pace: Pace) -> bool:
        limits, lines = self._limits, self._lines
        if lines[pace].in_flight >= self._pools[pace] or self.in_flight >= limits.in_flight:
            return False
        if pace in _KNOWN:
            return True
        unknown = lines[Pace.NEW].in_flight + lines[Pace.HANGING].in_flight
        return unknown < limits.unknown_in_flight

    def _start(self, endpoint: int, lane: _Lane, now_s: float) -> Turn | None:
        turn = None
        while turn is None and lane.waiting:
            claim, begin_by_s, give_back_by_s = lane.waiting.popleft()
            self._waiting[lane.pace] -= 1
            if now_s <= begin_by_s:
                turn = Turn(claim, self._number, now_s)
            elif now_s <= give_back_by_s:
                self._late.append(claim)
        if turn is not None:
            self._number += 1
            lane.started_s[turn.number] = now_s
            if turn.claim.is_ordered:
                lane.ordered = turn.number
            self._count(lane, 1)
            self._watched.append((lane, turn.number, now_s))
        self._settle(endpoint, lane)
        return turn

    def _watch(self, now_s: float) -> None:
        """Change the pace of lanes whose oldest attempt has waited too long."""
        while self._watched and now_s - self._watched[0][2] > self._limits.prompt_s:
            lane, number, _ = self._watched.popleft()
            if number in lane.started_s:
                endpoint = lane.endpoint.int
                self._set_pace(endpoint, lane, _LATE.get(lane.pace, lane.pace))
                self._settle(endpoint, lane)

    def _set_pace(self, endpoint: int, lane: _Lane, pace: Pace) -> None:
        if lane.pace is not pace:
            if lane.is_in_line:
                lane.is_in_line = False
                self._lines[lane.pace].leave(lane.organization, endpoint)
            self._lines[lane.pace].count(lane.organization, -len(lane.started_s))
            self._lines[pace].count(lane.organization, len(lane.started_s))
            self._waiting[lane.pace] -= len(lane.waiting)
            self._waiting[pace] += len(lane.waiting)
            lane.pace = pace
        if lane.window > self._windows[pace]:
            lane.window = self._windows[pace]

    def _count(self, lane: _Lane, by: int) -> None:
        """Count an attempt that has begun or ended."""
        self.in_flight += by
        organization, totals = lane.organization, self._totals
        after = totals.get(organization, 0) + by
        if after:
            totals[organization] = after
        else:
            del totals[organization]
        self._lines[lane.pace].count(organization, by)
        if (after if by > 0 else after + 1) in self._bounds:
            for line in self._lines.values():
                line.changed(organization)

    def _settle(self, endpoint: int, lane: _Lane) -> None:
        """Put a lane where it belongs after a change: in the line, out of it, among the idle."""
        waiting, started_s = lane.waiting, lane.started_s
        may_start = (
            len(started_s) < lane.window
            and bool(waiting)
            and (lane.ordered is None or not waiting[0][0].is_ordered)
        )
        if may_start is not lane.is_in_line:
            lane.is_in_line, line = may_start, self._lines[lane.pace]
            if may_start:
                line.enter(lane.organization, endpoint)
            else:
                line.leave(lane.organization, endpoint)
        if not waiting and not started_s:
            self._idle.setdefault(endpoint)
            if len(self._idle) > self._limits.idle_lanes:
                self._forget(self._idle.popitem(last=False)[0])
        elif endpoint in self._idle:
            del self._idle[endpoint]

    def _forget(self, endpoint: int) -> None:
        del self._lanes[endpoint]
        self._busy.discard(endpoint)
