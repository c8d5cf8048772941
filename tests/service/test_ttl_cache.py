"""What a process remembers: bounded, never longer than it is good, and looked up once for many."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ttl_cache import LookupCache, TtlCache

MAX_ENTRIES = 3


class Clock:
    """Time as the cache sees it."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 2))))
def test_a_cache_has_the_newest_entries_that_are_good(puts: list[tuple[int, int, int]]) -> None:
    clock = Clock()
    cache = TtlCache[int, int](MAX_ENTRIES, clock)
    until_s: dict[int, float] = {}  # of the keys put last, the newest behind
    for number, (key, lifetime_s, passed_s) in enumerate(puts):
        until_s.pop(key, None)
        until_s[key] = clock.now_s + lifetime_s
        cache.put(key, number, until_s[key])
        clock.now_s += passed_s
        newest = list(until_s)[-MAX_ENTRIES:]
        assert len(cache._entries) <= MAX_ENTRIES
        for other in newest:
            assert (cache.get(other) is not None) == (clock.now_s < until_s[other])
        assert cache.get(key) in (number, None)
        until_s = {each: until_s[each] for each in newest}


def test_reading_an_entry_does_not_keep_it() -> None:
    cache = TtlCache[str, int](2)
    for key in ("a", "b"):
        cache.put(key, 1, float("inf"))
    assert cache.get("a") == 1
    cache.put("c", 1, float("inf"))
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (None, 1, 1)


def test_an_entry_that_is_put_again_is_the_newest() -> None:
    cache = TtlCache[str, int](2)
    for key in ("a", "b", "a", "c"):
        cache.put(key, 1, float("inf"))
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (1, None, 1)


class LookUp:
    """Answers when it is let go, and counts how often it is asked."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.begun = asyncio.Event()
        self.let_go = asyncio.Event()
        self.asked = 0

    async def __call__(self) -> object:
        self.asked += 1
        self.begun.set()
        await self.let_go.wait()
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_a_look_up_that_takes_long_is_shared_and_good_from_its_beginning() -> None:
    clock, look_up = Clock(), LookUp("first", "second")
    cache = LookupCache[str, object](2, MAX_ENTRIES, clock)
    one = asyncio.create_task(cache.find("key", look_up))
    await look_up.begun.wait()
    clock.now_s += 100
    other = asyncio.create_task(cache.find("key", look_up))
    await asyncio.sleep(0)
    look_up.let_go.set()
    assert (await one, await other, look_up.asked) == ("first", "first", 1)
    assert (await cache.find("key", look_up), look_up.asked) == ("second", 2)


@pytest.mark.parametrize("answer", [None, ValueError()])
async def test_nothing_and_failures_are_not_remembered(answer: object) -> None:
    look_up = LookUp(answer, "good")
    look_up.let_go.set()
    cache = LookupCache[str, object](2, MAX_ENTRIES)
    if answer is None:
        assert await cache.find("key", look_up) is None
    else:
        with pytest.raises(ValueError):
            await cache.find("key", look_up)
    assert await cache.find("key", look_up) == "good"
    assert await cache.find("key", look_up) == "good"
    assert look_up.asked == 2


async def test_what_is_outdated_is_forgotten_also_while_it_is_looked_up() -> None:
    look_up = LookUp("old", "new")
    cache = LookupCache[str, object](1000, MAX_ENTRIES)
    early = asyncio.create_task(cache.find("key", look_up))
    await look_up.begun.wait()
    cache.forget(lambda value: value == "old")
    late = asyncio.create_task(cache.find("key", look_up))
    look_up.let_go.set()
    assert (await early, await late, await cache.find("key", look_up)) == ("old", "new", "new")
    cache.forget(lambda value: value == "old")
    assert (await cache.find("key", look_up), look_up.asked) == ("new", 2)


async def test_nothing_takes_no_place_from_an_answer() -> None:
    look_up = LookUp("good", None)
    look_up.let_go.set()
    cache = LookupCache[str, object](1000, 1)
    assert await cache.find("key", look_up) == "good"
    assert await cache.find("other", look_up) is None
    assert await cache.find("key", look_up) == "good"
