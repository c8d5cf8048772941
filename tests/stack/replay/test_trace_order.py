"""Fixes in order: sorted in memory, streamed or sorted on disk, it is one order."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stack.replay.input.trace_order import in_order
from stack.replay.input.trace_rows import TRACE_DTYPE, DeviceOrder, OutOfOrder, TimeOrder
from stack.replay.input.trace_sort import TraceRuns

IDS = ["m", "b", "z", "a"]  # by tracker: not in the order of their names

# (tracker, time, seq); the place in the list goes into `lat`, so that equal fixes can be told apart
fixes = st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 1))
traces = st.lists(fixes, max_size=60)


def rows_of(trace: list[tuple[int, int, int]]) -> NDArray[np.void]:
    rows = np.zeros(len(trace), TRACE_DTYPE)
    for place, (tracker, time_us, seq) in enumerate(trace):
        rows["tracker"][place], rows["time_us"][place] = tracker, time_us
        rows["seq"][place], rows["lat"][place] = seq, place
    return rows


def wanted(trace: list[tuple[int, int, int]]) -> list[int]:
    """Return places of the fixes by device id, time, seq; those that are equal in
    order of arrival.
    """
    return sorted(range(len(trace)), key=lambda i: (IDS[trace[i][0]], *trace[i][1:]))


def places(portions: Iterator[NDArray[np.void]]) -> list[int]:
    return [int(place) for portion in portions for place in portion["lat"]]


def cut(rows: NDArray[np.void], length: int) -> Iterator[NDArray[np.void]]:
    return (rows[start : start + length] for start in range(0, len(rows), length))


@given(traces, st.integers(1, 20), st.integers(1, 40))
@example([(0, 0, 0)] * 50, 10, 1)
@example([(i % 4, 9 - i // 6, 0) for i in range(60)], 10, 12)
def test_sorting_on_disk_is_sorting(trace, run, block):
    with TraceRuns(IDS, block, least_block_rows=1) as runs:
        for rows in cut(rows_of(trace), run):
            runs.add(rows)
        assert len(runs) == len(trace)
        assert places(runs.merged()) == wanted(trace)


@given(traces, st.integers(1, 7), st.sampled_from([1, 5, 1000]))
def test_a_trace_of_any_length_comes_in_one_order(trace, chunk, run_rows):
    rows = rows_of(trace)
    found = in_order(cut(rows, chunk), IDS, by_device=True, streaming=False, run_rows=run_rows)
    assert places(found) == wanted(trace)


@given(traces, st.integers(1, 7), st.booleans())
def test_streaming_gives_what_sorting_gives_or_refuses(trace, chunk, by_device):
    rows = rows_of(trace)
    found: list[int] = []
    stream = in_order(cut(rows, chunk), IDS, by_device=by_device, streaming=True, run_rows=5)
    try:
        for portion in stream:
            found += portion["lat"].astype(int).tolist()
    except OutOfOrder:
        assert wanted(trace) != list(range(len(trace)))
        return
    if not by_device:  # devices mixed, each in order
        found.sort(key=lambda place: IDS[trace[place][0]])
    assert found == wanted(trace)


@given(traces, st.integers(1, 7))
def test_an_order_is_refused_exactly_where_it_is_broken(trace, chunk):
    ordered = wanted(trace) == list(range(len(trace)))
    assert holds(DeviceOrder(IDS), trace, chunk) == ordered
    per_device = [[f[1:] for f in trace if f[0] == tracker] for tracker in range(4)]
    assert holds(TimeOrder(), trace, chunk) == all(t == sorted(t) for t in per_device)


def holds(order: DeviceOrder | TimeOrder, trace: list[tuple[int, int, int]], chunk: int) -> bool:
    try:
        for rows in cut(rows_of(trace), chunk):
            order.check(rows)
    except OutOfOrder:
        return False
    return True


def test_a_stream_that_breaks_its_order_is_refused_where_it_does():
    trace = [(3, time, 0) for time in range(20)] + [(1, 0, 0), (3, 30, 0)]
    stream = in_order(cut(rows_of(trace), 5), IDS, by_device=True, streaming=True, run_rows=5)
    assert places(next(stream) for _ in range(4)) == list(range(20))
    with pytest.raises(OutOfOrder):
        next(stream)
