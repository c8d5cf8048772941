"""Organizations take turns on the link: a flood of one delays no other."""

import asyncio
from collections import Counter
from itertools import pairwise
from typing import NamedTuple

import hypothesis.strategies as st
from hypothesis import given

from ingest.sources.link_queue import MESSAGE_BYTES, QUANTUM_BYTES, Queue


class Sent(NamedTuple):
    flow: int
    number: int
    payload: bytes = b""
    peer: object = None


def sent(flow: int, count: int, size: int = 0, peer: object = None) -> list[Sent]:
    return [Sent(flow, number, bytes(size), peer) for number in range(count)]


def queue_of(*messages: list[Sent]) -> Queue[Sent]:
    queue = Queue[Sent]()
    for some in messages:
        queue.put(some)
    return queue


async def test_a_message_behind_a_flood_comes_with_the_next_batch() -> None:
    queue = queue_of(sent(1, 50_000), sent(2, 1))
    taken = await queue.receive(1_000, 1 << 30)
    assert Counter(one.flow for one in taken) == {1: 999, 2: 1}
    assert len(queue) == 49_001


async def test_a_batch_is_shared_out_by_bytes_not_by_messages() -> None:
    queue = queue_of(sent(1, 1_000, size=100_000), sent(2, 50_000, size=100))
    taken = await queue.receive(1 << 30, 4_000_000)
    by_flow = Counter[int]()
    for one in taken:
        by_flow[one.flow] += len(one.payload) + MESSAGE_BYTES
    assert abs(by_flow[1] - by_flow[2]) < 100_000 + 2 * QUANTUM_BYTES


async def test_nothing_is_taken_of_an_organization_that_is_paused() -> None:
    queue = queue_of(sent(1, 3), sent(2, 2))
    queue.paused = {1}
    assert [one.flow for one in await queue.receive(10, 1 << 20)] == [2, 2]
    waiting = asyncio.create_task(queue.receive(10, 1 << 20))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.put(sent(3, 1))
    assert [one.flow for one in await waiting] == [3]
    queue.paused = ()
    assert len(await queue.receive(10, 1 << 20)) == 3


async def test_what_came_from_a_link_that_ended_is_forgotten() -> None:
    queue = queue_of(sent(1, 2, peer="a"), sent(1, 1, peer="b"), sent(2, 2, peer="a"))
    queue.drop("a")
    assert [one.peer for one in await queue.receive(10, 1 << 20)] == ["b"]
    assert len(queue) == 0


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 40_000)), min_size=1, max_size=60),
    st.integers(1, 7),
    st.integers(1, 100_000),
)
def test_everything_comes_once_within_the_bounds_and_in_order_of_each_organization(
    arriving: list[tuple[int, int]], max_messages: int, max_bytes: int
) -> None:
    messages = [Sent(one, number, bytes(size)) for number, (one, size) in enumerate(arriving)]
    queue, found = queue_of(messages), list[Sent]()

    async def all_taken() -> None:
        while len(queue):
            taken = await queue.receive(max_messages, max_bytes)
            assert 0 < len(taken) <= max_messages
            assert len(taken) == 1 or sum(len(one.payload) for one in taken) <= max_bytes
            found.extend(taken)

    asyncio.run(all_taken())
    assert sorted(one.number for one in found) == list(range(len(messages)))
    for flow in range(5):
        numbers = [one.number for one in found if one.flow == flow]
        assert all(before < after for before, after in pairwise(numbers))
