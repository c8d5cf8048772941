"""Turns at database connections: shares by time, by simulated organizations that always want more,
and the queue of requests in front of them.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from heapq import heappop, heappush
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.limits import connection_turns
from api.limits.connection_turns import (
    HEAVY_S,
    MOST_WAITING,
    NOBODY,
    WINDOW_S,
    ConnectionTurns,
    Shares,
)
from db.core.errors import NoConnection

ONE, TWO, THREE = (UUID(int=number) for number in (1, 2, 3))
STATEMENT_S = st.floats(0.01, 3)
DEMANDS = st.lists(st.tuples(st.integers(1, 20), STATEMENT_S), min_size=1, max_size=6)


def holding(size: int, **places: int) -> Shares:
    """Return shares of which ONE and so on have used connections for 2 s, and still do."""
    shares = Shares(size)
    for name, number in places.items():
        for _ in range(number):
            shares.add(ORGANIZATIONS[name], 0)
            shares.begin(ORGANIZATIONS[name], 0)
    return shares


ORGANIZATIONS = {"one": ONE, "two": TWO, "three": THREE, "nobody": NOBODY}


@pytest.mark.parametrize(
    ("size", "places", "waiting", "now_s", "first"),
    [
        (10, {}, [ONE], 0, ONE),
        (1, {}, [ONE], 0, ONE),
        (1, {"one": 1}, [TWO], 0, None),
        # Half at most, also of an organization that has used nothing yet.
        (10, {"one": 4}, [ONE], 0, ONE),
        (10, {"one": 5}, [ONE], 0, None),
        (10, {"one": 5}, [ONE, TWO], 0, TWO),
        # The last free one is for an organization that has none.
        (10, {"one": 5, "two": 4}, [TWO], 0, None),
        (10, {"one": 5, "two": 4}, [TWO, THREE], 0, THREE),
        # The heavy ones share a half, of which the last is for one of them that has none.
        (10, {"one": 3}, [ONE], 2, ONE),
        (10, {"one": 4}, [ONE], 2, None),
        (10, {"one": 3, "two": 1}, [TWO], 2, None),
        (10, {"one": 3, "two": 1}, [THREE], 2, THREE),
        (10, {"one": 5}, [THREE], 2, THREE),
        # Whoever has used least comes first; what is of no organization has used nothing.
        (10, {"one": 2, "two": 1}, [ONE, TWO], 1, TWO),
        (10, {"one": 2, "nobody": 3}, [ONE, NOBODY], 9, NOBODY),
        (10, {"nobody": 5}, [NOBODY], 9, None),
    ],
)
def test_the_first_of_those_that_wait(
    size: int, places: dict[str, int], waiting: list[UUID], now_s: float, first: UUID | None
) -> None:
    assert holding(size, **places).first_of(waiting, now_s) == first


@pytest.mark.parametrize(
    ("begun_s", "ended_s", "now_s", "used_s"),
    [
        (0, 0.25, 0.25, 0.25),
        (0.75, 3.5, 4, 2.75),
        (0, 30, 30, WINDOW_S),
        (0, None, 3, 3),
        (0, None, 30, WINDOW_S),
        (0, 2, 11, 1),
        (0, 2, 12, 0),
    ],
)
def test_what_was_used_in_the_last_seconds(
    begun_s: float, ended_s: float | None, now_s: float, used_s: float
) -> None:
    shares = Shares(2)
    shares.add(ONE, begun_s)
    shares.begin(ONE, begun_s)
    if ended_s is not None:
        shares.give_back(ONE, begun_s, ended_s)
    assert shares.used_s(ONE, now_s) == pytest.approx(used_s)


def test_those_who_use_nothing_any_more_are_forgotten() -> None:
    shares = Shares(2)
    for number in range(100):
        org_id, at_s = UUID(int=number + 1), number * 1.0
        shares.add(org_id, at_s)
        shares.begin(org_id, at_s)
        shares.give_back(org_id, at_s, at_s + 0.5)
    assert len(shares._uses) <= 2 * WINDOW_S + 1


@dataclass
class Simulation:
    """Organizations with a number of clients each, who ask again as soon as they were answered. A
    statement of an organization always takes the same time.
    """

    size: int
    demands: dict[UUID, tuple[int, float]]
    now_s: float = 0.0
    used_s: defaultdict[UUID, float] = field(default_factory=lambda: defaultdict(float))
    longest_wait_s: float = 0.0

    def run(self, seconds: float) -> None:
        shares = Shares(self.size)
        waiting = {org_id: [0.0] * clients for org_id, (clients, _) in self.demands.items()}
        ends: list[tuple[float, UUID, float]] = []
        while self.now_s < seconds:
            some = [org_id for org_id, asked_s in waiting.items() if asked_s]
            while (org_id := shares.first_of(some, self.now_s)) is not None:
                self.check(shares, org_id)
                self.longest_wait_s = max(self.longest_wait_s, self.now_s - waiting[org_id].pop(0))
                shares.add(org_id, self.now_s)
                shares.begin(org_id, self.now_s)
                heappush(ends, (self.now_s + self.demands[org_id][1], org_id, self.now_s))
                some = [org_id for org_id, asked_s in waiting.items() if asked_s]
            assert ends, "somebody waits for nothing"
            self.now_s, org_id, begun_s = heappop(ends)
            shares.give_back(org_id, begun_s, self.now_s)
            self.used_s[org_id] += self.now_s - begun_s
            waiting[org_id].append(self.now_s)

    def check(self, shares: Shares, org_id: UUID) -> None:
        """Check the bounds of a place that is given just now."""
        half, places = max(1, self.size // 2), shares._places
        assert places.total() < self.size
        assert places[org_id] < half
        heavy = {each for each in places if shares.used_s(each, self.now_s) > HEAVY_S}
        if shares.used_s(org_id, self.now_s) > HEAVY_S:
            assert sum(places[each] for each in heavy) < half


@given(size=st.integers(1, 12), demands=DEMANDS)
def test_nobody_starves_and_no_bound_is_broken(size: int, demands: list[tuple[int, float]]) -> None:
    """Each client is answered: its organization is the one that used least in the end."""
    wanted = {UUID(int=number): demand for number, demand in enumerate(demands, 1)}
    simulation = Simulation(size, wanted)
    simulation.run(100)
    most_clients = max(clients for clients, _ in demands)
    longest_s = max(seconds for _, seconds in demands)
    bound_s = most_clients * (WINDOW_S + (len(demands) + 1) * longest_s)
    assert simulation.longest_wait_s <= bound_s
    assert set(simulation.used_s) == set(wanted)


@given(first_s=STATEMENT_S, second_s=STATEMENT_S, size=st.integers(4, 12))
def test_connections_are_shared_by_time_whatever_a_statement_takes(
    first_s: float, second_s: float, size: int
) -> None:
    """Two that want all get the same time, up to a connection of the last statement of each."""
    simulation = Simulation(size, {ONE: (20, first_s), TWO: (20, second_s)})
    simulation.run(120)
    used = simulation.used_s
    assert max(used.values()) <= 2 * min(used.values()) + size * max(first_s, second_s)


@pytest.mark.parametrize(("org_id", "is_share_used"), [(ONE, True), (None, False)])
async def test_a_full_queue_refuses_at_once(org_id: UUID | None, is_share_used: bool) -> None:
    turns = ConnectionTurns(1)
    async with turns.turn(org_id) as begin:
        begin()
        waiting = [asyncio.create_task(one_turn(turns, org_id)) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        assert turns.numbers({"requests_waiting": 1})["requests_waiting"] == MOST_WAITING + 1
        with pytest.raises(NoConnection) as refused:
            await one_turn(turns, org_id)
        assert refused.value.is_share_used == is_share_used
        assert turns.numbers({})["requests_errors"] == 1
    await asyncio.gather(*waiting)
    assert turns.numbers({})["requests_waiting"] == 0


@pytest.mark.parametrize(("used_s", "is_share_used"), [(0.0, False), (5.0, True)])
async def test_who_waits_for_too_long_hears_whether_they_used_their_share(
    used_s: float, is_share_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_turns, "MOST_WAIT_S", 0.01)
    now_s = 0.0
    turns = ConnectionTurns(2, clock=lambda: now_s)
    async with turns.turn(ONE) as begin:
        begin()
        now_s = used_s
        with pytest.raises(NoConnection) as refused:
            await one_turn(turns)
    assert refused.value.is_share_used == is_share_used
    await one_turn(turns)


async def test_a_connection_that_nobody_has_got_yet_costs_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else an outage of the database would look as if the organizations were to blame."""
    monkeypatch.setattr(connection_turns, "MOST_WAIT_S", 0.01)
    now_s = 0.0
    turns = ConnectionTurns(2, clock=lambda: now_s)
    async with turns.turn(ONE):
        now_s = 5.0
        with pytest.raises(NoConnection) as refused:
            await one_turn(turns)
    assert not refused.value.is_share_used


@pytest.mark.parametrize("steps", range(6))
async def test_requests_that_are_given_up_give_their_place_back(steps: int) -> None:
    turns = ConnectionTurns(1)
    async with turns.turn(ONE) as begin:
        begin()
        tasks = [asyncio.create_task(one_turn(turns)) for _ in range(3)]
        await asyncio.sleep(0)
    for _ in range(steps):  # of the event loop: some of them have their turn by now
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(1):
        await one_turn(turns)
    assert turns.numbers({})["requests_waiting"] == 0


async def test_requests_that_are_given_up_wait_no_longer() -> None:
    turns = ConnectionTurns(1)
    async with turns.turn(ONE):
        tasks = [asyncio.create_task(one_turn(turns)) for _ in range(3)]
        await asyncio.sleep(0)
        tasks.pop(1).cancel()
        await asyncio.sleep(0)
        assert turns.numbers({})["requests_waiting"] == 2
    await asyncio.gather(*tasks)


async def one_turn(turns: ConnectionTurns, org_id: UUID | None = ONE) -> None:
    async with turns.turn(org_id) as begin:
        begin()
        await asyncio.sleep(0)
