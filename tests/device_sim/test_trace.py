"""A trace keeps its order, its gaps and its oddities when it is sent again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_sim.trace import SECOND_US, Trace
from telemetry.fix import FixBatch, blank_rows

START_US = 1_800_000_000_654_321


def trace(fixes: list[tuple[int, int]]) -> Trace:
    """Return a trace of (device, time in microseconds); lat tells the place in the file."""
    rows = blank_rows(len(fixes))
    rows["tracker"] = [device for device, _ in fixes]
    rows["time_us"] = [time_us for _, time_us in fixes]
    rows["lat"] = np.arange(len(fixes))
    return Trace(tuple(f"device-{number}" for number in range(4)), FixBatch(rows))


TRACES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(1_200_000_000_000_000, 1_200_000_100_000_000)),
    min_size=1,
    max_size=60,
).map(trace)


@given(TRACES)
def test_all_times_move_by_one_whole_number_of_seconds(original: Trace) -> None:
    moved = original.shifted_to(START_US)
    shifts = moved.fixes.rows["time_us"] - original.fixes.rows["time_us"]
    assert len(set(shifts.tolist())) == 1
    assert shifts[0] % SECOND_US == 0
    assert START_US - SECOND_US < moved.newest_us <= START_US


@given(TRACES, st.sampled_from([0.5, 1.0, 2000.0]))
def test_every_fix_is_due_once_and_each_device_keeps_its_order(one: Trace, speed: float) -> None:
    slices = list(one.slices(speed))
    due_s = np.concatenate([part.due_s for part in slices])
    rows = np.concatenate([part.fixes.rows for part in slices])
    assert np.all(np.diff(due_s) >= 0)
    assert sorted(rows["lat"].tolist()) == list(range(len(one.fixes)))
    for device in range(4):
        assert np.all(np.diff(rows["lat"][rows["tracker"] == device]) > 0)


@given(TRACES)
def test_a_fix_is_due_when_its_time_comes_or_with_the_one_before_it(one: Trace) -> None:
    oldest_us, newest_us = one.oldest_us, dict.fromkeys(range(4), 0)
    by_place = {
        int(row["lat"]): due_s
        for part in one.slices(10.0)
        for row, due_s in zip(part.fixes.rows, part.due_s, strict=True)
    }
    for place, row in enumerate(one.fixes.rows):
        device = int(row["tracker"])
        newest_us[device] = max(newest_us[device], int(row["time_us"]))
        assert by_place[place] == pytest.approx((newest_us[device] - oldest_us) / SECOND_US / 10)


def test_a_trace_without_a_fix_is_refused() -> None:
    with pytest.raises(ValueError, match="no fix"):
        trace([])


def test_time_does_not_run_backwards_or_stand_still() -> None:
    with pytest.raises(ValueError, match="above 0"):
        next(trace([(0, 1)]).slices(0))
