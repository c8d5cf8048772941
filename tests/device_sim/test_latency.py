"""Quantiles out of a histogram are close enough, and never too low."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.latency import Latencies


@given(
    st.lists(st.floats(2e-5, 5000), min_size=1, max_size=200),
    st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]),
)
def test_a_quantile_is_at_most_five_percent_too_high(seen: list[float], share: float) -> None:
    latencies = Latencies()
    for latency_s in seen:
        latencies.record(latency_s)
    exact = float(np.quantile(seen, share, method="inverted_cdf"))
    found = latencies.quantile_s(share)
    assert found is not None
    assert exact * (1 - 1e-9) <= found <= exact * 1.051


@pytest.mark.parametrize("latency_s", [0.0, -1.0, 1e-9])
def test_what_is_too_short_to_tell_counts_as_the_shortest(latency_s: float) -> None:
    latencies = Latencies()
    latencies.record(latency_s)
    assert latencies.count == 1
    assert latencies.quantile_s(0.5) == pytest.approx(0, abs=1e-5)


def test_without_a_latency_there_is_no_quantile() -> None:
    assert Latencies().quantile_s(0.5) is None


def test_what_came_after_a_snapshot_is_told_by_itself() -> None:
    latencies = Latencies()
    latencies.record(9.0)
    before = latencies.copy()
    for latency_s in (0.001, 0.002, 0.1):
        latencies.record(latency_s)
    found = latencies.since(before).quantiles_ms()
    assert found is not None
    assert (found.count, before.count) == (3, 1)
    assert found.p50 == pytest.approx(2, rel=0.06)
    assert 100 <= found.max <= 105.1
    assert before.worst_s == latencies.copy().worst_s == 9.0


def test_without_a_latency_nothing_is_summarised() -> None:
    assert Latencies().quantiles_ms() is None
    assert Latencies().since(Latencies()).quantiles_ms() is None
