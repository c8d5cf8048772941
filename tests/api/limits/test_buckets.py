"""Buckets of one process: at once as many as a minute has, and no more on average."""

import pytest

from api.limits.token_bucket import Buckets


class Clock:
    """Time as the process sees it."""

    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def buckets(clock: Clock) -> Buckets:
    return Buckets("address", 60, clock)


def admitted(buckets: Buckets, key: str, times: int) -> int:
    return sum(buckets.spend(key).is_admitted for _ in range(times))


def test_a_full_bucket_has_the_requests_of_a_minute(buckets: Buckets) -> None:
    assert admitted(buckets, "a", 100) == 60


def test_it_fills_at_the_rate_of_the_limit(buckets: Buckets, clock: Clock) -> None:
    admitted(buckets, "a", 100)
    clock.now_s += 10
    assert admitted(buckets, "a", 100) == 10
    clock.now_s += 3600
    assert admitted(buckets, "a", 100) == 60


def test_who_is_refused_hears_when_there_is_a_token_again(buckets: Buckets, clock: Clock) -> None:
    admitted(buckets, "a", 60)
    refused = buckets.spend("a")
    assert refused.retry_s == pytest.approx(1)
    clock.now_s += refused.retry_s
    assert buckets.spend("a").is_admitted


def test_what_remains_is_told(buckets: Buckets, clock: Clock) -> None:
    assert [buckets.spend("a").remaining for _ in range(3)] == [59, 58, 57]
    assert buckets.spend("a").reset_s == pytest.approx(4)


def test_several_tokens_or_a_part_of_one_may_be_taken(buckets: Buckets) -> None:
    assert [buckets.spend("a", 20).remaining for _ in range(3)] == [40, 20, 0]
    assert [buckets.spend("a", 0.5).is_admitted, buckets.spend("a", 20).is_admitted] == [False] * 2
    assert [buckets.spend("b", 0.25).remaining for _ in range(5)] == [59, 59, 59, 59, 58]
    refused = buckets.spend("b", 60)
    assert refused.retry_s == pytest.approx(1.25)
    assert buckets.spend("b").remaining == 57  # who is refused has spent nothing


def test_each_key_has_its_own(buckets: Buckets) -> None:
    admitted(buckets, "a", 100)
    assert admitted(buckets, "b", 100) == 60


def test_those_least_recently_seen_are_forgotten(buckets: Buckets) -> None:
    admitted(buckets, "a", 60)
    admitted(buckets, "b", 60)
    for number in range(19_999):
        buckets.spend(str(number))
    assert not buckets.spend("b").is_admitted
    assert buckets.spend("a").is_admitted


def test_who_is_refused_is_seen_as_well(buckets: Buckets) -> None:
    admitted(buckets, "a", 60)
    for number in range(19_999):
        buckets.spend(str(number))
    assert not buckets.spend("a").is_admitted
    buckets.spend("another")
    assert not buckets.spend("a").is_admitted
