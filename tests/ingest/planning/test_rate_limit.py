"""How many fixes a second a tracker may send, in its own time."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.planning.rate_limit import BURST_S, Rates
from tests.ingest.registry.test_watermarks import batch_of

S = 1_000_000


class Case(NamedTuple):
    """times_s of one tracker's fixes, in order of arrival; how many are over the rate."""

    says: str
    rate: float | None
    times_s: list[float]
    over: int


CASES = [
    Case("no limit is no limit", None, [0.0] * 1_000, 0),
    Case("a fix a second is within one a second", 1, [float(n) for n in range(1_000)], 0),
    Case("so is a clock that trembles", 1, [n + 0.3 * (n % 2) for n in range(1_000)], 0),
    Case("ten seconds' worth may come at once", 2, [0.0] * 20, 0),
    Case("and no more", 2, [0.0] * 25, 5),
    Case("ten a second are nine too many, but for the first", 1, [n / 10 for n in range(1_000)],
         1_000 - 10 - 99),
    Case("a backlog of an hour is an hour", 1, [float(n) for n in range(3_600)], 0),
    Case("also the newest first", 1, [float(-n) for n in range(3_600)], 0),
    Case("a slow rate lets one fix through", 0.01, [0.0, 1.0], 1),
    Case("and the next in its time", 0.01, [0.0, 100.0], 0),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_what_is_over_the_rate(case: Case) -> None:
    batch = batch_of([(0, round(at * S), 0) for at in case.times_s])
    over, _ = Rates(case.rate).over(batch)
    assert over.sum() == case.over


def test_trackers_do_not_share_a_rate() -> None:
    batch = batch_of([(tracker, 0, 0) for _ in range(10) for tracker in range(50)])
    assert not Rates(1).over(batch)[0].any()


def test_asking_changes_nothing_until_the_batch_goes_on() -> None:
    rates, batch = Rates(1), batch_of([(0, 0, 0)] * 10)
    for _ in range(3):
        over, buckets = rates.over(batch)
        assert not over.any()
    rates.take(buckets)
    assert rates.over(batch)[0].all()


steps = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.just(0)), max_size=30)


@given(steps, st.sampled_from([0.5, 1, 3]), st.integers(0, 30))
def test_a_sequence_is_judged_alike_however_it_is_cut(
    rows: list[tuple[int, int, int]], rate: float, cut: int
) -> None:
    rows = [(tracker, at * S, seq) for tracker, at, seq in rows]
    whole, _ = Rates(rate).over(batch_of(rows))
    rates, parts = Rates(rate), list[bool]()
    for part in (rows[:cut], rows[cut:]):
        if part:
            over, buckets = rates.over(batch_of(part))
            rates.take(buckets)
            parts += over.tolist()
    assert parts == whole.tolist()


@given(steps, st.sampled_from([0.5, 1, 3]), st.integers(0, 30))
def test_after_a_restart_no_more_than_a_burst_of_a_tracker_is_judged_otherwise(
    rows: list[tuple[int, int, int]], rate: float, cut: int
) -> None:
    rows = [(0, at * S, seq) for _, at, seq in rows]
    whole = Rates(rate).over(batch_of(rows))[0][cut:] if rows else []
    again = Rates(rate).over(batch_of(rows[cut:]))[0] if rows[cut:] else []
    assert sum(whole) - sum(again) in range(int(max(1.0, rate * BURST_S)) + 1)
