"""Who is served next."""

import heapq
from collections import Counter, deque
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from db.delivery.webhook_deliveries import ClaimedDelivery, ClaimedEndpoint
from webhooks.delivery.fair_queue import EndpointQueues, FairQueueLimits

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


def start_all(queues: EndpointQueues, now_s: float = 0) -> list:
    started = []
    while (slot := queues.next_slot(now_s)) is not None:
        started.append(slot)
    return started


def warmed_up(
    limits: FairQueueLimits, *endpoints: int, answer_s: float = 0, organization: int = 1
) -> EndpointQueues:
    """Return queues whose endpoints have answered often, after `answer_s`."""
    queues = EndpointQueues(limits)
    warm_up(queues, *endpoints, answer_s=answer_s, organization=organization)
    return queues


def warm_up(queues: EndpointQueues, *endpoints: int, answer_s: float, organization: int) -> None:
    for _ in range(80):
        for endpoint in endpoints:
            queues.add(claims_of(endpoint, 1, organization), NEVER)
        while flight := start_all(queues, now_s=0):
            for slot in flight:
                queues.finish(slot, answer_s, accepted=True)


def test_a_new_endpoint_gets_one_attempt_and_more_as_it_accepts():
    queues = EndpointQueues(FairQueueLimits())
    queues.add(claims_of(1, 100), NEVER)
    flight = start_all(queues)
    sizes = [len(flight)]
    for _ in range(4):
        for slot in flight:
            queues.finish(slot, 0, accepted=True)
        flight = start_all(queues)
        sizes.append(len(flight))
    assert sizes == [1, 2, 4, 8, 16]


def test_a_window_has_a_largest_size():
    queues = warmed_up(FairQueueLimits(window=5), 1)
    queues.add(claims_of(1, 100), NEVER)
    assert len(start_all(queues)) == 5


def test_a_failure_halves_the_window():
    queues = warmed_up(FairQueueLimits(window=8), 1)
    queues.add(claims_of(1, 100), NEVER)
    first, *others = start_all(queues)
    queues.finish(first, 0, accepted=False)
    assert start_all(queues) == []
    for slot in others:
        queues.finish(slot, 0, accepted=False)
    assert len(start_all(queues)) == 1


def test_endpoints_take_turns():
    queues = warmed_up(FairQueueLimits(window=3, prompt_in_flight=6), 1, 2, 3)
    for endpoint in (1, 2, 3):
        queues.add(claims_of(endpoint, 50), NEVER)
    assert Counter(t.claim.endpoint.id.int for t in start_all(queues)) == {1: 2, 2: 2, 3: 2}


def test_ordered_claims_are_attempted_one_at_a_time_and_fetched_in_a_row():
    queues = warmed_up(FairQueueLimits(ordered_waiting=3), 1)
    ordered = [claim._replace(is_ordered=True) for claim in claims_of(1, 3)]
    queues.add(ordered, NEVER)
    for left in (2, 1, 0):
        (slot,) = start_all(queues)
        assert queues.capacities() == {UUID(int=1): 0}
        queues.finish(slot, 0, accepted=True)
        assert queues.waiting == left
        if not left:
            assert start_all(queues) == []
    capacities = [queues.capacities() for _ in range(3)]
    assert capacities == [{UUID(int=1): 3}, {UUID(int=1): 3}, {}]  # the last mark may be late


def test_ordered_claims_of_a_slow_endpoint_are_fetched_one_by_one():
    queues = warmed_up(FairQueueLimits(), 1, answer_s=2)
    queues.add([claims_of(1, 1)[0]._replace(is_ordered=True)], NEVER)
    (slot,) = start_all(queues)
    queues.finish(slot, 2, accepted=True)
    assert queues.capacities() == {UUID(int=1): 1}


def test_one_endpoint_is_served_in_order():
    queues = EndpointQueues(FairQueueLimits())
    queues.add(claims_of(1, 20), NEVER)
    order = []
    while slot := queues.next_slot(0):
        order.append(slot.claim.seq)
        queues.finish(slot, 0, accepted=True)
    assert order == list(range(20))


def test_however_many_hang_a_prompt_endpoint_goes_on():
    limits = FairQueueLimits(new_in_flight=4)
    queues = warmed_up(limits, 1)
    for endpoint in range(100, 200):
        queues.add(claims_of(endpoint, 5), NEVER)
    assert len(start_all(queues)) == 4
    queues.add(claims_of(1, 50), NEVER)
    assert {slot.claim.endpoint.id.int for slot in start_all(queues)} == {1}


def test_however_many_hang_a_new_endpoint_is_tried_soon():
    queues = EndpointQueues(FairQueueLimits(new_in_flight=4, hanging_in_flight=2))
    for endpoint in range(100, 110):
        queues.add(claims_of(endpoint, 5), NEVER)
    queues.add(claims_of(1, 1), NEVER)
    tried = [slot.claim.endpoint.id.int for now_s in (0, 2, 4) for slot in start_all(queues, now_s)]
    assert 1 in tried
    assert len(tried) == 11


def test_prompt_endpoints_that_begin_to_hang_leave_the_large_pool_before_they_time_out():
    limits = FairQueueLimits(prompt_in_flight=8, window=8, prompt_s=1)
    queues = warmed_up(limits, 1, 2)
    queues.add(claims_of(1, 50), NEVER)
    assert len(start_all(queues, now_s=0)) == 8
    queues.add(claims_of(2, 50), NEVER)
    assert start_all(queues, now_s=0.5) == []
    assert {slot.claim.endpoint.id.int for slot in start_all(queues, now_s=1.1)} == {2}


@pytest.mark.parametrize(("answer_s", "most"), [(1.1, 64), (5, 64), (6, 4), (14, 4)])
def test_an_endpoint_that_accepts_slowly_gets_more_and_more_unless_it_is_very_slow(answer_s, most):
    queues = warmed_up(FairQueueLimits(steady_window=64, slow_window=4), 1, answer_s=answer_s)
    queues.add(claims_of(1, 200), NEVER)
    assert len(start_all(queues, answer_s)) == most


@pytest.mark.parametrize("service_s", [0.6, 1.1, 2.4, 3.5])
@pytest.mark.parametrize("workers", [1, 2, 9, 40, 80])
def test_an_endpoint_gets_what_it_bears_and_is_not_driven_into_its_timeout(service_s, workers):
    """A receiver whose workers take one request each; the others wait there."""
    longest_s, a_second = answered_by(workers, service_s)
    assert longest_s < 15
    assert a_second > 0.85 * min(workers, 64) / service_s


def answered_by(workers: int, service_s: float) -> tuple[float, float]:
    """Return the longest answer, and answers a second when the window has grown."""
    queues, now_s, longest_s, late = EndpointQueues(FairQueueLimits()), 0.0, 0.0, 0
    queues.add(claims_of(1, 20_000), NEVER)
    queue, busy = deque(), []
    while now_s < 60:
        queue.extend(start_all(queues, now_s))
        while queue and len(busy) < workers:
            slot = queue.popleft()
            heapq.heappush(busy, (now_s + service_s, slot.number, slot))
        now_s, _, slot = heapq.heappop(busy)
        longest_s = max(longest_s, now_s - slot.started_s)
        late += now_s > 30
        queues.finish(slot, now_s, accepted=True)
    return longest_s, late / (now_s - 30)


def test_an_endpoint_that_begins_to_hang_gives_its_places_back():
    limits = FairQueueLimits(steady_in_flight=8, steady_window=8, window=8, slow_window=2)
    queues = warmed_up(limits, 1, answer_s=2)
    warm_up(queues, 2, answer_s=2, organization=2)
    queues.add(claims_of(1, 50), NEVER)
    hanging = start_all(queues, now_s=2)
    assert len(hanging) == 8
    queues.add(claims_of(2, 50, organization=2), NEVER)
    assert start_all(queues, now_s=16) == []
    for slot in hanging:
        queues.finish(slot, 17, accepted=False)
    assert Counter(slot.claim.endpoint.id.int for slot in start_all(queues, 17)) == {1: 1, 2: 8}


# Organizations -------------------------------------------------------------------------------


def test_places_go_to_the_organization_that_has_the_fewest():
    limits = FairQueueLimits(steady_in_flight=12, steady_window=12)
    queues = warmed_up(limits, *range(1, 6), answer_s=2)
    warm_up(queues, 9, answer_s=2, organization=2)
    for endpoint in range(1, 6):
        queues.add(claims_of(endpoint, 50), NEVER)
    flight = start_all(queues, now_s=2)
    assert len(flight) == 12
    queues.add(claims_of(9, 50, organization=2), NEVER)
    for slot in flight[:6]:
        queues.finish(slot, 4, accepted=True)
        flight += start_all(queues, 4)
    assert Counter(slot.claim.endpoint.org_id.int for slot in flight[6:]) == {1: 6, 2: 6}


def test_an_organization_has_a_bound_however_many_endpoints_it_has():
    limits = FairQueueLimits(organization_in_flight=5, prompt_beside=2)
    queues = warmed_up(limits, 1, 2, 3, answer_s=2)
    warm_up(queues, 4, answer_s=0, organization=1)
    warm_up(queues, 9, answer_s=2, organization=2)
    for endpoint in (1, 2, 3):
        queues.add(claims_of(endpoint, 50), NEVER)
    assert len(start_all(queues, now_s=2)) == 5
    queues.add(claims_of(9, 50, organization=2), NEVER)
    assert len(start_all(queues, now_s=2)) == 5
    queues.add(claims_of(4, 50), NEVER)
    assert [slot.claim.endpoint.id.int for slot in start_all(queues, now_s=2)] == [4, 4]


def test_an_organization_that_reaches_its_bound_in_one_pool_starts_nothing_from_another():
    queues = warmed_up(FairQueueLimits(organization_in_flight=4), 1)
    queues.add(claims_of(8, 1, organization=2), NEVER)
    queues.add(claims_of(9, 1), NEVER)
    assert (
        slot := queues.next_slot(0)
    ) is not None  # the other organization's: both stand in the line
    assert slot.claim.endpoint.id.int == 8
    queues.add(claims_of(1, 4), NEVER)
    flight = start_all(queues)
    assert [slot.claim.endpoint.id.int for slot in flight] == [1, 1, 1, 1]
    queues.finish(flight[0], 0, accepted=True)
    assert [slot.claim.endpoint.id.int for slot in start_all(queues)] == [9]


def test_an_organization_below_its_bound_again_goes_on():
    queues = warmed_up(FairQueueLimits(organization_in_flight=2), 1, 2, answer_s=2)
    queues.add(claims_of(1, 50), NEVER)
    first, second = start_all(queues, now_s=2)
    queues.add(claims_of(2, 50), NEVER)
    assert start_all(queues, now_s=2) == []
    for slot in (first, second):
        queues.finish(slot, 4, accepted=True)
    assert len(start_all(queues, now_s=4)) == 2


def test_an_attempt_that_cannot_begin_in_time_is_never_begun():
    queues = EndpointQueues(FairQueueLimits())
    queues.add(claims_of(1, 3), begin_by_s=10)
    queues.add(claims_of(1, 1), begin_by_s=20)
    assert [slot.claim.seq for slot in start_all(queues, now_s=15)] == [0]
    assert queues.waiting == 0


def test_what_is_dropped_in_time_is_given_back_once():
    queues = EndpointQueues(FairQueueLimits())
    queues.add(claims_of(1, 3), begin_by_s=10, give_back_by_s=14)
    queues.add(claims_of(2, 2), begin_by_s=10, give_back_by_s=15)
    assert start_all(queues, now_s=15) == []
    assert {claim.endpoint.id.int for claim in queues.pop_dropped()} == {2}
    assert queues.pop_dropped() == []


def test_many_hanging_endpoints_leave_room_for_claims_of_others():
    limits = FairQueueLimits(slow_waiting=10, waiting=100)
    queues = warmed_up(limits, 1)
    for endpoint in range(100, 110):
        queues.add(claims_of(endpoint, 1), NEVER)
    assert queues.capacity_of_new == 0
    assert queues.capacities()[UUID(int=1)] > 0
    assert queues.capacities()[UUID(int=100)] == 0


def test_what_is_known_of_idle_endpoints_is_bounded():
    queues = warmed_up(FairQueueLimits(idle_queues=10), *range(1, 100))
    assert len(queues) == 10


def test_drain_takes_out_what_waits_and_leaves_what_flies():
    queues = warmed_up(FairQueueLimits(window=2), 1)
    queues.add(claims_of(1, 5), NEVER)
    flight = start_all(queues)
    assert [claim.seq for claim in queues.drain()] == [2, 3, 4]
    for slot in flight:
        queues.finish(slot, 0, accepted=True)
    assert (queues.waiting, queues.in_flight, queues.next_slot(0)) == (0, 0, None)


class AnyOrderOfThings(RuleBasedStateMachine):
    """Any order of things: bounds hold, nothing is lost, nothing is begun twice."""

    limits = FairQueueLimits(
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
        idle_queues=2,
    )

    def __init__(self) -> None:
        super().__init__()
        self.queues = EndpointQueues(self.limits)
        self.now_s = 0.0
        self.flight: list = []
        self.added = self.begun = self.drained = 0

    @rule(endpoint=st.integers(1, 6), count=st.integers(1, 6))
    def add(self, endpoint, count):
        self.queues.add(claims_of(endpoint, count, organization=endpoint % 2), NEVER)
        self.added += count

    @rule()
    def take(self):
        slot = self.queues.next_slot(self.now_s)
        if slot is not None:
            self.flight.append(slot)
            self.begun += 1

    @precondition(lambda self: self.flight)
    @rule(data=st.data(), accepted=st.booleans())
    def finish(self, data, accepted):
        slot = self.flight.pop(data.draw(st.integers(0, len(self.flight) - 1)))
        self.queues.finish(slot, self.now_s, accepted=accepted)

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0]))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def ask_for_rooms(self):
        assert all(room >= 0 for room in self.queues.capacities().values())

    @rule()
    def drain(self):
        self.drained += len(self.queues.drain())

    @invariant()
    def nothing_is_lost(self):
        assert self.queues.in_flight == len(self.flight)
        assert self.queues.waiting == self.added - self.begun - self.drained

    @invariant()
    def bounds_hold(self):
        assert self.queues.in_flight <= self.limits.in_flight
        per_endpoint = Counter(slot.claim.endpoint.id for slot in self.flight)
        assert max(per_endpoint.values(), default=0) <= self.limits.steady_window
        per_organization = Counter(slot.claim.endpoint.org_id for slot in self.flight)
        most = self.limits.organization_in_flight + self.limits.prompt_beside
        assert max(per_organization.values(), default=0) <= most

    def teardown(self):
        """Let everything that waits get its slot in the end."""
        while self.flight or self.queues.waiting:
            self.flight += start_all(self.queues, self.now_s)
            assert self.flight
            for slot in self.flight:
                self.queues.finish(slot, self.now_s, accepted=True)
            self.flight.clear()


TestAnyOrderOfThings = AnyOrderOfThings.TestCase
TestAnyOrderOfThings.settings = settings(stateful_step_count=60)
