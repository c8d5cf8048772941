"""Who is served next."""

import heapq
from collections import Counter, deque
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from db.delivery.webhook_deliveries import ClaimedDelivery, ClaimedEndpoint
from webhooks.delivery.fair_queue import LaneLimits, Lanes

NEVER = 1e9


def claims_of(endpoint: int, count: int, organization: int = 1) -> list[ClaimedDelivery]:
    known = ClaimedEndpoint(
        UUID(int=organization), UUID(int=endpoint), "https://example.com/", secret_encrypted=b""
    )
    return [
        ClaimedDelivery(
            endpoint=known,
            id=UUID(int=number),
            event_id=UUID(int=number),
            attempts=0,
            type="asset.geofence_breach",
            seq=number,
            occurred_us=0,
            created_us=0,
            data="{}",
        )
        for number in range(count)
    ]


def start_all(lanes: Lanes, now_s: float = 0) -> list:
    started = []
    while (turn := lanes.take(now_s)) is not None:
        started.append(turn)
    return started


def warmed_up(
    limits: LaneLimits, *endpoints: int, answer_s: float = 0, organization: int = 1
) -> Lanes:
    """Return lanes whose endpoints have answered often, after `answer_s`."""
    lanes = Lanes(limits)
    warm_up(lanes, *endpoints, answer_s=answer_s, organization=organization)
    return lanes


def warm_up(lanes: Lanes, *endpoints: int, answer_s: float, organization: int) -> None:
    for _ in range(80):
        for endpoint in endpoints:
            lanes.add(claims_of(endpoint, 1, organization), NEVER)
        while flight := start_all(lanes, now_s=0):
            for turn in flight:
                lanes.finish(turn, answer_s, accepted=True)


def test_a_new_endpoint_gets_one_attempt_and_more_as_it_accepts():
    lanes = Lanes(LaneLimits())
    lanes.add(claims_of(1, 100), NEVER)
    flight = start_all(lanes)
    sizes = [len(flight)]
    for _ in range(4):
        for turn in flight:
            lanes.finish(turn, 0, accepted=True)
        flight = start_all(lanes)
        sizes.append(len(flight))
    assert sizes == [1, 2, 4, 8, 16]


def test_a_window_has_a_largest_size():
    lanes = warmed_up(LaneLimits(window=5), 1)
    lanes.add(claims_of(1, 100), NEVER)
    assert len(start_all(lanes)) == 5


def test_a_failure_halves_the_window():
    lanes = warmed_up(LaneLimits(window=8), 1)
    lanes.add(claims_of(1, 100), NEVER)
    first, *others = start_all(lanes)
    lanes.finish(first, 0, accepted=False)
    assert start_all(lanes) == []
    for turn in others:
        lanes.finish(turn, 0, accepted=False)
    assert len(start_all(lanes)) == 1


def test_endpoints_take_turns():
    lanes = warmed_up(LaneLimits(window=3, prompt_in_flight=6), 1, 2, 3)
    for endpoint in (1, 2, 3):
        lanes.add(claims_of(endpoint, 50), NEVER)
    assert Counter(t.claim.endpoint.id.int for t in start_all(lanes)) == {1: 2, 2: 2, 3: 2}


def test_ordered_claims_are_attempted_one_at_a_time_and_fetched_in_a_row():
    lanes = warmed_up(LaneLimits(ordered_waiting=3), 1)
    ordered = [claim._replace(is_ordered=True) for claim in claims_of(1, 3)]
    lanes.add(ordered, NEVER)
    for left in (2, 1, 0):
        (turn,) = start_all(lanes)
        assert lanes.rooms() == {UUID(int=1): 0}
        lanes.finish(turn, 0, accepted=True)
        assert lanes.waiting == left
        if not left:
            assert start_all(lanes) == []
    rooms = [lanes.rooms() for _ in range(3)]
    assert rooms == [{UUID(int=1): 3}, {UUID(int=1): 3}, {}]  # the last mark may be late


def test_ordered_claims_of_a_slow_endpoint_are_fetched_one_by_one():
    lanes = warmed_up(LaneLimits(), 1, answer_s=2)
    lanes.add([claims_of(1, 1)[0]._replace(is_ordered=True)], NEVER)
    (turn,) = start_all(lanes)
    lanes.finish(turn, 2, accepted=True)
    assert lanes.rooms() == {UUID(int=1): 1}


def test_one_endpoint_is_served_in_order():
    lanes = Lanes(LaneLimits())
    lanes.add(claims_of(1, 20), NEVER)
    order = []
    while turn := lanes.take(0):
        order.append(turn.claim.seq)
        lanes.finish(turn, 0, accepted=True)
    assert order == list(range(20))


def test_however_many_hang_a_prompt_endpoint_goes_on():
    limits = LaneLimits(new_in_flight=4)
    lanes = warmed_up(limits, 1)
    for endpoint in range(100, 200):
        lanes.add(claims_of(endpoint, 5), NEVER)
    assert len(start_all(lanes)) == 4
    lanes.add(claims_of(1, 50), NEVER)
    assert {turn.claim.endpoint.id.int for turn in start_all(lanes)} == {1}


def test_however_many_hang_a_new_endpoint_is_tried_soon():
    lanes = Lanes(LaneLimits(new_in_flight=4, hanging_in_flight=2))
    for endpoint in range(100, 110):
        lanes.add(claims_of(endpoint, 5), NEVER)
    lanes.add(claims_of(1, 1), NEVER)
    tried = [turn.claim.endpoint.id.int for now_s in (0, 2, 4) for turn in start_all(lanes, now_s)]
    assert 1 in tried
    assert len(tried) == 11


def test_prompt_endpoints_that_begin_to_hang_leave_the_large_pool_before_they_time_out():
    limits = LaneLimits(prompt_in_flight=8, window=8, prompt_s=1)
    lanes = warmed_up(limits, 1, 2)
    lanes.add(claims_of(1, 50), NEVER)
    assert len(start_all(lanes, now_s=0)) == 8
    lanes.add(claims_of(2, 50), NEVER)
    assert start_all(lanes, now_s=0.5) == []
    assert {turn.claim.endpoint.id.int for turn in start_all(lanes, now_s=1.1)} == {2}


@pytest.mark.parametrize(("answer_s", "most"), [(1.1, 64), (5, 64), (6, 4), (14, 4)])
def test_an_endpoint_that_accepts_slowly_gets_more_and_more_unless_it_is_very_slow(answer_s, most):
    lanes = warmed_up(LaneLimits(steady_window=64, slow_window=4), 1, answer_s=answer_s)
    lanes.add(claims_of(1, 200), NEVER)
    assert len(start_all(lanes, answer_s)) == most


@pytest.mark.parametrize("service_s", [0.6, 1.1, 2.4, 3.5])
@pytest.mark.parametrize("workers", [1, 2, 9, 40, 80])
def test_an_endpoint_gets_what_it_bears_and_is_not_driven_into_its_timeout(service_s, workers):
    """A receiver whose workers take one request each; the others wait there."""
    longest_s, a_second = answered_by(workers, service_s)
    assert longest_s < 15
    assert a_second > 0.85 * min(workers, 64) / service_s


def answered_by(workers: int, service_s: float) -> tuple[float, float]:
    """Return the longest answer, and answers a second when the window has grown."""
    lanes, now_s, longest_s, late = Lanes(LaneLimits()), 0.0, 0.0, 0
    lanes.add(claims_of(1, 20_000), NEVER)
    queue, busy = deque(), []
    while now_s < 60:
        queue.extend(start_all(lanes, now_s))
        while queue and len(busy) < workers:
            turn = queue.popleft()
            heapq.heappush(busy, (now_s + service_s, turn.number, turn))
        now_s, _, turn = heapq.heappop(busy)
        longest_s = max(longest_s, now_s - turn.started_s)
        late += now_s > 30
        lanes.finish(turn, now_s, accepted=True)
    return longest_s, late / (now_s - 30)


def test_an_endpoint_that_begins_to_hang_gives_its_places_back():
    limits = LaneLimits(steady_in_flight=8, steady_window=8, window=8, slow_window=2)
    lanes = warmed_up(limits, 1, answer_s=2)
    warm_up(lanes, 2, answer_s=2, organization=2)
    lanes.add(claims_of(1, 50), NEVER)
    hanging = start_all(lanes, now_s=2)
    assert len(hanging) == 8
    lanes.add(claims_of(2, 50, organization=2), NEVER)
    assert start_all(lanes, now_s=16) == []
    for turn in hanging:
        lanes.finish(turn, 17, accepted=False)
    assert Counter(turn.claim.endpoint.id.int for turn in start_all(lanes, 17)) == {1: 1, 2: 8}


# Organizations -------------------------------------------------------------------------------


def test_places_go_to_the_organization_that_has_the_fewest():
    limits = LaneLimits(steady_in_flight=12, steady_window=12)
    lanes = warmed_up(limits, *range(1, 6), answer_s=2)
    warm_up(lanes, 9, answer_s=2, organization=2)
    for endpoint in range(1, 6):
        lanes.add(claims_of(endpoint, 50), NEVER)
    flight = start_all(lanes, now_s=2)
    assert len(flight) == 12
    lanes.add(claims_of(9, 50, organization=2), NEVER)
    for turn in flight[:6]:
        lanes.finish(turn, 4, accepted=True)
        flight += start_all(lanes, 4)
    assert Counter(turn.claim.endpoint.org_id.int for turn in flight[6:]) == {1: 6, 2: 6}


def test_an_organization_has_a_bound_however_many_endpoints_it_has():
    limits = LaneLimits(organization_in_flight=5, prompt_beside=2)
    lanes = warmed_up(limits, 1, 2, 3, answer_s=2)
    warm_up(lanes, 4, answer_s=0, organization=1)
    warm_up(lanes, 9, answer_s=2, organization=2)
    for endpoint in (1, 2, 3):
        lanes.add(claims_of(endpoint, 50), NEVER)
    assert len(start_all(lanes, now_s=2)) == 5
    lanes.add(claims_of(9, 50, organization=2), NEVER)
    assert len(start_all(lanes, now_s=2)) == 5
    lanes.add(claims_of(4, 50), NEVER)
    assert [turn.claim.endpoint.id.int for turn in start_all(lanes, now_s=2)] == [4, 4]


def test_an_organization_that_reaches_its_bound_in_one_pool_starts_nothing_from_another():
    lanes = warmed_up(LaneLimits(organization_in_flight=4), 1)
    lanes.add(claims_of(8, 1, organization=2), NEVER)
    lanes.add(claims_of(9, 1), NEVER)
    assert (turn := lanes.take(0)) is not None  # the other organization's: both stand in the line
    assert turn.claim.endpoint.id.int == 8
    lanes.add(claims_of(1, 4), NEVER)
    flight = start_all(lanes)
    assert [turn.claim.endpoint.id.int for turn in flight] == [1, 1, 1, 1]
    lanes.finish(flight[0], 0, accepted=True)
    assert [turn.claim.endpoint.id.int for turn in start_all(lanes)] == [9]


def test_an_organization_below_its_bound_again_goes_on():
    lanes = warmed_up(LaneLimits(organization_in_flight=2), 1, 2, answer_s=2)
    lanes.add(claims_of(1, 50), NEVER)
    first, second = start_all(lanes, now_s=2)
    lanes.add(claims_of(2, 50), NEVER)
    assert start_all(lanes, now_s=2) == []
    for turn in (first, second):
        lanes.finish(turn, 4, accepted=True)
    assert len(start_all(lanes, now_s=4)) == 2


def test_an_attempt_that_cannot_begin_in_time_is_never_begun():
    lanes = Lanes(LaneLimits())
    lanes.add(claims_of(1, 3), begin_by_s=10)
    lanes.add(claims_of(1, 1), begin_by_s=20)
    assert [turn.claim.seq for turn in start_all(lanes, now_s=15)] == [0]
    assert lanes.waiting == 0


def test_what_is_dropped_in_time_is_given_back_once():
    lanes = Lanes(LaneLimits())
    lanes.add(claims_of(1, 3), begin_by_s=10, give_back_by_s=14)
    lanes.add(claims_of(2, 2), begin_by_s=10, give_back_by_s=15)
    assert start_all(lanes, now_s=15) == []
    assert {claim.endpoint.id.int for claim in lanes.take_late()} == {2}
    assert lanes.take_late() == []


def test_many_hanging_endpoints_leave_room_for_claims_of_others():
    limits = LaneLimits(slow_waiting=10, waiting=100)
    lanes = warmed_up(limits, 1)
    for endpoint in range(100, 110):
        lanes.add(claims_of(endpoint, 1), NEVER)
    assert lanes.room_of_new == 0
    assert lanes.rooms()[UUID(int=1)] > 0
    assert lanes.rooms()[UUID(int=100)] == 0


def test_what_is_known_of_idle_endpoints_is_bounded():
    lanes = warmed_up(LaneLimits(idle_lanes=10), *range(1, 100))
    assert len(lanes) == 10


def test_drain_takes_out_what_waits_and_leaves_what_flies():
    lanes = warmed_up(LaneLimits(window=2), 1)
    lanes.add(claims_of(1, 5), NEVER)
    flight = start_all(lanes)
    assert [claim.seq for claim in lanes.drain()] == [2, 3, 4]
    for turn in flight:
        lanes.finish(turn, 0, accepted=True)
    assert (lanes.waiting, lanes.in_flight, lanes.take(0)) == (0, 0, None)


class AnyOrderOfThings(RuleBasedStateMachine):
    """Any order of things: bounds hold, nothing is lost, nothing is begun twice."""

    limits = LaneLimits(
        prompt_in_flight=5,
        steady_in_flight=4,
        new_in_flight=2,
        hanging_in_flight=3,
        in_flight=13,
        organization_in_flight=6,
        prompt_beside=1,
        window=4,
        steady_window=5,
        slow_window=2,
        idle_lanes=2,
    )

    def __init__(self) -> None:
        super().__init__()
        self.lanes = Lanes(self.limits)
        self.now_s = 0.0
        self.flight: list = []
        self.added = self.begun = self.drained = 0

    @rule(endpoint=st.integers(1, 6), count=st.integers(1, 6))
    def add(self, endpoint, count):
        self.lanes.add(claims_of(endpoint, count, organization=endpoint % 2), NEVER)
        self.added += count

    @rule()
    def take(self):
        turn = self.lanes.take(self.now_s)
        if turn is not None:
            self.flight.append(turn)
            self.begun += 1

    @precondition(lambda self: self.flight)
    @rule(data=st.data(), accepted=st.booleans())
    def finish(self, data, accepted):
        turn = self.flight.pop(data.draw(st.integers(0, len(self.flight) - 1)))
        self.lanes.finish(turn, self.now_s, accepted=accepted)

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0]))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def ask_for_rooms(self):
        assert all(room >= 0 for room in self.lanes.rooms().values())

    @rule()
    def drain(self):
        self.drained += len(self.lanes.drain())

    @invariant()
    def nothing_is_lost(self):
        assert self.lanes.in_flight == len(self.flight)
        assert self.lanes.waiting == self.added - self.begun - self.drained

    @invariant()
    def bounds_hold(self):
        assert self.lanes.in_flight <= self.limits.in_flight
        per_endpoint = Counter(turn.claim.endpoint.id for turn in self.flight)
        assert max(per_endpoint.values(), default=0) <= self.limits.steady_window
        per_organization = Counter(turn.claim.endpoint.org_id for turn in self.flight)
        most = self.limits.organization_in_flight + self.limits.prompt_beside
        assert max(per_organization.values(), default=0) <= most

    def teardown(self):
        """Let everything that waits get its turn in the end."""
        while self.flight or self.lanes.waiting:
            self.flight += start_all(self.lanes, self.now_s)
            assert self.flight
            for turn in self.flight:
                self.lanes.finish(turn, self.now_s, accepted=True)
            self.flight.clear()


TestAnyOrderOfThings = AnyOrderOfThings.TestCase
TestAnyOrderOfThings.settings = settings(stateful_step_count=60)
