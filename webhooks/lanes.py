"""Who is served next: claimed deliveries wait in a lane per endpoint, and lanes take turns.

An endpoint that hangs must delay nobody else, and it shows only by not answering. So each lane has
a window, the attempts that it may have in flight: it begins at one, grows by one with each accepted
delivery, and is halved by a failure. And attempts come from three pools, by the pace of the lane:
those whose last answer came promptly, those of which nothing is known yet, and slow ones. A lane
whose oldest attempt has waited too long is slow at once, not only when that attempt times out: its
attempts then weigh on the pool of the slow.

No I/O here and no clock: `now_s` is any clock that never goes back.
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from db.webhook_deliveries import Claim


class Pace(Enum):
    """What is known of how soon an endpoint answers. Turns are given in this order."""

    PROMPT = "prompt"
    NEW = "new"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class LaneLimits:
    """Every bound of the lanes."""

    prompt_in_flight: int = 64  # attempts of all prompt lanes
    new_in_flight: int = 32  # attempts of all new lanes
    slow_in_flight: int = 32  # attempts of all slow lanes; more may be in flight that became slow
    in_flight: int = 192  # attempts of all lanes, less `prompt_in_flight` for new and slow ones
    window: int = 32  # attempts of one prompt lane
    slow_window: int = 4  # attempts of one new or slow lane
    prompt_s: float = 1.0  # an answer within this is prompt
    waiting: int = 4_000  # claims that wait in all lanes
    new_waiting: int = 1_000  # claims that wait in all new lanes
    slow_waiting: int = 1_000  # claims that wait in all slow lanes
    waiting_per_attempt: int = 8  # claims that wait in a prompt lane, times its window
    idle_lanes: int = 10_000  # lanes without work that are kept for what is known of them


@dataclass(frozen=True, slots=True)
class Turn:
    """An attempt that may begin now. It is handed back to `Lanes.finish`."""

    claim: Claim
    number: int
    started_s: float


@dataclass(slots=True)
class _Lane:
    window: int = 1
    pace: Pace = Pace.NEW
    waiting: deque[tuple[Claim, float]] = field(default_factory=deque)  # claim, begin by
    started_s: dict[int, float] = field(default_factory=dict)  # attempts in flight, oldest first

    @property
    def may_start(self) -> bool:
        return bool(self.waiting) and len(self.started_s) < self.window

    @property
    def is_idle(self) -> bool:
        return not self.waiting and not self.started_s


class Lanes:
    """Waiting claims and attempts in flight, per endpoint."""

    def __init__(self, limits: LaneLimits) -> None:
        self._limits = limits
        self._lanes: dict[UUID, _Lane] = {}
        self._idle: OrderedDict[UUID, None] = OrderedDict()
        self._busy: set[UUID] = set()  # not idle now, or not when `rooms` was last asked
        # Lanes that may start an attempt, in the order of their turns.
        self._lines: dict[Pace, OrderedDict[UUID, None]] = {pace: OrderedDict() for pace in Pace}
        self._in_flight = dict.fromkeys(Pace, 0)
        self._waiting = dict.fromkeys(Pace, 0)
        self._watched: deque[Turn] = deque()  # in order of starting
        self._number = 0

    def __len__(self) -> int:
        """Endpoints of which something is known."""
        return len(self._lanes)

    @property
    def in_flight(self) -> int:
        """Attempts that have begun and not ended."""
        return sum(self._in_flight.values())

    @property
    def waiting(self) -> int:
        """Claims that wait for their turn."""
        return sum(self._waiting.values())

    @property
    def free(self) -> int:
        """How many more claims may wait."""
        return max(0, self._limits.waiting - self.waiting)

    @property
    def room_of_new(self) -> int:
        """How many claims an endpoint may bring of which nothing is known."""
        return 1 if self._waiting[Pace.NEW] < self._limits.new_waiting else 0

    def rooms(self) -> dict[UUID, int]:
        """How many more claims may wait for each endpoint with work, or with work until now.

        A lane is filled up when it is half empty, so that few claims fetch many deliveries.
        """
        rooms = {endpoint: self._room(self._lanes[endpoint]) for endpoint in self._busy}
        self._busy = {endpoint for endpoint in self._busy if not self._lanes[endpoint].is_idle}
        return rooms

    def add(self, claims: Sequence[Claim], begin_by_s: float) -> None:
        """Claims that wait from now on. An attempt that cannot begin in time is never begun."""
        for claim in claims:
            lane = self._lanes.get(claim.endpoint_id)
            if lane is None:
                lane = self._lanes[claim.endpoint_id] = _Lane()
            self._busy.add(claim.endpoint_id)
            lane.waiting.append((claim, begin_by_s))
            self._waiting[lane.pace] += 1
            self._settle(claim.endpoint_id, lane)

    def take(self, now_s: float) -> Turn | None:
        """The next attempt, or None while no lane may start one."""
        self._watch(now_s)
        for pace in Pace:
            turn = self._take(pace, now_s)
            if turn is not None:
                return turn
        return None

    def finish(self, turn: Turn, now_s: float, *, accepted: bool) -> None:
        """The attempt has ended."""
        endpoint = turn.claim.endpoint_id
        lane = self._lanes[endpoint]
        del lane.started_s[turn.number]
        self._in_flight[lane.pace] -= 1
        oldest_s = min(turn.started_s, next(iter(lane.started_s.values()), now_s))
        is_prompt = now_s - oldest_s <= self._limits.prompt_s
        self._set_pace(endpoint, lane, Pace.PROMPT if is_prompt else Pace.SLOW)
        if accepted:
            lane.window = min(lane.window + 1, self._window_max(lane))
        else:
            lane.window = max(1, lane.window // 2)
        self._settle(endpoint, lane)

    def drain(self) -> list[Claim]:
        """Takes out all that waits."""
        claims: list[Claim] = []
        for endpoint, lane in [item for item in self._lanes.items() if item[1].waiting]:
            claims.extend(claim for claim, _ in lane.waiting)
            self._waiting[lane.pace] -= len(lane.waiting)
            lane.waiting.clear()
            self._settle(endpoint, lane)
        return claims

    def _room(self, lane: _Lane) -> int:
        limits = self._limits
        if lane.pace is Pace.PROMPT:
            target = lane.window * limits.waiting_per_attempt
        elif lane.pace is Pace.NEW:
            target = lane.window if self._waiting[Pace.NEW] < limits.new_waiting else 0
        else:
            target = lane.window if self._waiting[Pace.SLOW] < limits.slow_waiting else 0
        return 0 if 2 * len(lane.waiting) > target else target - len(lane.waiting)

    def _take(self, pace: Pace, now_s: float) -> Turn | None:
        line = self._lines[pace]
        while line and self._pool_has_more(pace):
            endpoint, _ = line.popitem(last=False)
            turn = self._start(endpoint, self._lanes[endpoint], now_s)
            if turn is not None:
                return turn
        return None

    def _pool_has_more(self, pace: Pace) -> bool:
        limits, in_flight = self._limits, self._in_flight
        if pace is Pace.PROMPT:
            return in_flight[pace] < limits.prompt_in_flight and self.in_flight < limits.in_flight
        pool = limits.new_in_flight if pace is Pace.NEW else limits.slow_in_flight
        others = in_flight[Pace.NEW] + in_flight[Pace.SLOW]
        return (
            in_flight[pace] < pool
            and others < limits.in_flight - limits.prompt_in_flight
            and self.in_flight < limits.in_flight
        )

    def _start(self, endpoint: UUID, lane: _Lane, now_s: float) -> Turn | None:
        turn = None
        while turn is None and lane.waiting:
            claim, begin_by_s = lane.waiting.popleft()
            self._waiting[lane.pace] -= 1
            if now_s <= begin_by_s:
                turn = Turn(claim, self._number, now_s)
        if turn is not None:
            self._number += 1
            lane.started_s[turn.number] = now_s
            self._in_flight[lane.pace] += 1
            self._watched.append(turn)
        self._settle(endpoint, lane)
        return turn

    def _watch(self, now_s: float) -> None:
        while self._watched and now_s - self._watched[0].started_s > self._limits.prompt_s:
            turn = self._watched.popleft()
            lane = self._lanes.get(turn.claim.endpoint_id)
            if lane is not None and turn.number in lane.started_s:
                self._set_pace(turn.claim.endpoint_id, lane, Pace.SLOW)
                self._settle(turn.claim.endpoint_id, lane)

    def _set_pace(self, endpoint: UUID, lane: _Lane, pace: Pace) -> None:
        if lane.pace is not pace:
            self._lines[lane.pace].pop(endpoint, None)
            for count, amount in (
                (self._in_flight, len(lane.started_s)),
                (self._waiting, len(lane.waiting)),
            ):
                count[lane.pace] -= amount
                count[pace] += amount
            lane.pace = pace
        lane.window = min(lane.window, self._window_max(lane))

    def _window_max(self, lane: _Lane) -> int:
        limits = self._limits
        return limits.window if lane.pace is Pace.PROMPT else limits.slow_window

    def _settle(self, endpoint: UUID, lane: _Lane) -> None:
        """Puts a lane where it belongs after a change: in the line, out of it, among the idle."""
        line = self._lines[lane.pace]
        if lane.may_start:
            line.setdefault(endpoint)
        else:
            line.pop(endpoint, None)
        if lane.is_idle:
            self._idle.setdefault(endpoint)
        else:
            self._idle.pop(endpoint, None)
        if len(self._idle) > self._limits.idle_lanes:
            self._forget(self._idle.popitem(last=False)[0])

    def _forget(self, endpoint: UUID) -> None:
        del self._lanes[endpoint]
        self._busy.discard(endpoint)
