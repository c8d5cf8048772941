"""The fixes of a trace in the order in which a replay judges them, in bounded memory.

A trace of up to RUN_ROWS fixes is sorted in memory. A longer one that seems to be in order is
passed on as it is read, and checked; where that fails, `OutOfOrder` says so, and whoever asked
begins again without `streaming`: then it is sorted on disk (`stack.replay.input.trace_sort`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from stack.replay.input.trace_rows import DeviceOrder, OutOfOrder, TimeOrder, ranks, sorted_rows
from stack.replay.input.trace_sort import TraceRuns

RUN_ROWS = 1_000_000


def in_order(
    chunks: Iterator[NDArray[np.void]],
    ids: list[str],
    *,
    by_device: bool,
    streaming: bool,
    run_rows: int = RUN_ROWS,
) -> Iterator[NDArray[np.void]]:
    """Yield the fixes of `chunks` (TRACE_DTYPE), each device's by time and seq.

    by_device: by device id too; else devices may come in any mixture. ids: devices by tracker, a
    list that grows as chunks are read. Raises OutOfOrder, only where `streaming`.
    """
    runs = _runs(chunks, run_rows)
    first = next(runs, None)
    if first is None:
        return
    second = next(runs, None)
    if second is None:
        yield sorted_rows(first, ranks(ids))
        return
    everything = chain((first, second), runs)
    if streaming and _seems_in_order(first, ids, by_device=by_device):
        yield from _checked(everything, DeviceOrder(ids) if by_device else TimeOrder())
        return
    del first, second
    with TraceRuns(ids) as sorting:
        for run in everything:
            sorting.add(run)
        yield from sorting.merged()


def _runs(chunks: Iterator[NDArray[np.void]], run_rows: int) -> Iterator[NDArray[np.void]]:
    """Yield the chunks in portions of `run_rows`; the last may be smaller."""
    gathered: list[NDArray[np.void]] = []
    count = 0
    for chunk in chunks:
        gathered.append(chunk)
        count += len(chunk)
        if count >= run_rows:
            joined = np.concatenate(gathered)
            whole = count - count % run_rows
            yield from (joined[start : start + run_rows] for start in range(0, whole, run_rows))
            gathered, count = [joined[whole:].copy()], count - whole
    if count:
        yield np.concatenate(gathered)


def _seems_in_order(first: NDArray[np.void], ids: list[str], *, by_device: bool) -> bool:
    try:
        (DeviceOrder(ids) if by_device else TimeOrder()).check(first)
    except OutOfOrder:
        return False
    return True


def _checked(
    runs: Iterator[NDArray[np.void]], order: DeviceOrder | TimeOrder
) -> Iterator[NDArray[np.void]]:
    for run in runs:
        order.check(run)
        yield run
