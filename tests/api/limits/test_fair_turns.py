"""Turns by time: who used least is next, and a turn that lasts ends for who used less."""

import asyncio
import math
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http.problems import Problem
from api.limits.fair_turns import FairTurns
from api.limits.turns import TooManyOfAll, TooManyOfOne, TurnOver, refusing_when_full

NEVER_S = 3600.0


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0.01, 20)), max_size=30))
def test_who_used_least_is_next(asked: list[tuple[str, float]]) -> None:
    """Of those that wait, by a reckoning of its own: seconds fade with e after ten."""
    clock, order = Clock(), list[tuple[str, float, float]]()

    async def ask(turns: FairTurns, key: str, cost_s: float) -> None:
        async with turns.turn(key):
            begun_s = clock.now_s
            clock.now_s += cost_s
            order.append((key, begun_s, cost_s))
            await asyncio.sleep(0)

    async def run() -> None:
        turns = FairTurns(turn_s=NEVER_S, most_of_each=30, clock=clock)
        async with asyncio.TaskGroup() as group:
            for key, cost_s in asked:
                group.create_task(ask(turns, key, cost_s))

    asyncio.run(run())
    assert sorted((key, cost_s) for key, _, cost_s in order) == sorted(asked)
    for place, (key, begun_s, _) in enumerate(order[1:], 1):
        waiting = {each for each, _, _ in order[place:]}
        used = {
            each: sum(
                s * math.exp((at_s + s - begun_s) / 10)
                for of, at_s, s in order[:place]
                if of == each
            )
            for each in waiting
        }
        assert used[key] <= min(used.values()) + 0.01


async def test_many_short_turns_do_not_wait_for_many_long_ones_of_others() -> None:
    clock, turns, order = Clock(), FairTurns(turn_s=NEVER_S), list[str]()
    turns = FairTurns(turn_s=NEVER_S, clock=clock)

    async def ask(key: str, cost_s: float) -> None:
        async with turns.turn(key):
            clock.now_s += cost_s
            order.append(key)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(ask("dear", 3))
        for _ in range(10):
            group.create_task(ask("cheap", 0.1))
    assert order[:11] == ["dear", *["cheap"] * 10]


async def held(turns: FairTurns, key: Hashable, until: asyncio.Event) -> None:
    async with turns.turn(key):
        await until.wait()


async def test_a_turn_that_lasts_ends_for_who_used_less_and_says_so() -> None:
    turns, never, gate = FairTurns(turn_s=0), asyncio.Event(), asyncio.Event()
    lasting = asyncio.create_task(held(turns, "long", never))
    own = asyncio.create_task(held(turns, "long", gate))
    await asyncio.sleep(0.6)
    assert not lasting.done()  # its own are no others
    gate.set()
    await held(turns, "another", gate)
    with pytest.raises(Problem) as refused, refusing_when_full("photos"):
        await lasting
    assert (refused.value.status, refused.value.code) == (429, "too_many_requests")
    assert refused.value.headers["Retry-After"] == "1"
    assert "took long, and others wait" in refused.value.detail
    await own


async def test_a_turn_goes_on_while_those_who_wait_used_more() -> None:
    clock, never, gate = Clock(), asyncio.Event(), asyncio.Event()
    turns = FairTurns(turn_s=0, clock=clock)
    async with turns.turn("used much"):
        clock.now_s += 5
    lasting = asyncio.create_task(held(turns, "long", never))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(held(turns, "used much", gate))
    clock.now_s += 2
    await asyncio.sleep(0.6)
    assert not lasting.done()
    clock.now_s += 3
    gate.set()
    with pytest.raises(TurnOver):
        await lasting
    await waiting


async def test_queues_are_bounded_and_places_come_back() -> None:
    turns, gate = FairTurns(turn_s=NEVER_S, most_of_each=2, most=2), asyncio.Event()
    first = asyncio.create_task(held(turns, "one", gate))
    second = asyncio.create_task(held(turns, "one", gate))
    other = asyncio.create_task(held(turns, "two", gate))
    await asyncio.sleep(0)
    with pytest.raises(TooManyOfOne):
        await held(turns, "one", gate)
    with pytest.raises(TooManyOfAll):
        await held(turns, "three", gate)
    for task in (first, second):  # one under way, one that waits
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    gate.set()
    await other
    await held(turns, "three", gate)


async def test_a_turn_that_is_given_up_as_it_comes_goes_to_the_next() -> None:
    turns, gate = FairTurns(turn_s=NEVER_S), asyncio.Event()
    first, second, third = (asyncio.create_task(held(turns, number, gate)) for number in range(3))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)  # the second one's place is there, and it has not gone on yet
    second.cancel()
    gate.set()
    await asyncio.wait_for(third, 10)


async def test_a_timeout_within_a_turn_stays_one() -> None:
    turns = FairTurns()
    with pytest.raises(TimeoutError):
        async with turns.turn("one"):
            raise TimeoutError
