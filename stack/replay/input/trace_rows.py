"""The columns of a fix that a replay judges, and their order: by device id, then time, then seq."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from telemetry.fix import FixBatch, Known

TRACE_DTYPE = np.dtype(
    [
        ("tracker", "<i4"),  # place of the device among those of the trace
        ("time_us", "<i8"),
        ("seq", "<i4"),
        ("lat", "<f8"),
        ("lon", "<f8"),
        ("accuracy_m", "<f4"),  # NaN where not known
        ("speed_mps", "<f4"),  # the same
    ]
)


def trace_rows(batch: FixBatch) -> NDArray[np.void]:
    """Return TRACE_DTYPE, (n,), in the order of the batch."""
    rows = np.empty(len(batch), TRACE_DTYPE)
    for column in ("tracker", "time_us", "seq", "lat", "lon"):
        rows[column] = batch.rows[column]
    for column, bit in (("accuracy_m", Known.ACCURACY), ("speed_mps", Known.SPEED)):
        known = batch.rows["known"] & np.uint8(bit)
        rows[column] = np.where(known, batch.rows[column], np.nan)
    return rows


def ranks(ids: Sequence[str], trackers: NDArray[np.integer] | None = None) -> NDArray[np.int32]:
    """Return each device's place in the order of ids, by tracker; of `trackers` only,
    where given.
    """
    chosen = range(len(ids)) if trackers is None else trackers.tolist()
    rank = np.zeros(len(ids), np.int32)
    rank[sorted(chosen, key=ids.__getitem__)] = np.arange(len(chosen))
    return rank


def sorted_rows(rows: NDArray[np.void], rank: NDArray[np.int32]) -> NDArray[np.void]:
    """Return the rows by rank of the device, time and seq; equal ones keep their order."""
    of_device, time_us, seq = rank[rows["tracker"]], rows["time_us"], rows["seq"]
    if not seq.any():
        return rows[np.lexsort((time_us, of_device))]
    return rows[np.lexsort((seq, time_us, of_device))]


class OutOfOrder(Exception):
    """Fixes that were taken to come in order do not."""


class DeviceOrder:
    """A check that portions come by device id, time and seq: each device's fixes in one stretch."""

    def __init__(self, ids: list[str]) -> None:
        self._ids = ids
        self._last = np.empty(0, TRACE_DTYPE)

    def check(self, rows: NDArray[np.void]) -> None:
        """Raise OutOfOrder."""
        joined = np.concatenate((self._last, rows))
        tracker = joined["tracker"]
        moves = tracker[1:] != tracker[:-1]
        if np.any(_goes_back(joined) & ~moves):
            raise OutOfOrder
        for place in np.flatnonzero(moves).tolist():
            if self._ids[tracker[place + 1]] <= self._ids[tracker[place]]:
                raise OutOfOrder
        self._last = rows[-1:]


class TimeOrder:
    """A check that each device's fixes come by time and seq, whatever comes between them."""

    def __init__(self) -> None:
        self._newest = np.empty(0, TRACE_DTYPE)  # of every device, by tracker

    def check(self, rows: NDArray[np.void]) -> None:
        """Raise OutOfOrder."""
        joined = np.concatenate((self._newest, rows))
        joined = joined[np.argsort(joined["tracker"], kind="stable")]
        same = joined["tracker"][1:] == joined["tracker"][:-1]
        if np.any(_goes_back(joined) & same):
            raise OutOfOrder
        self._newest = joined[np.append(~same, True)] if len(joined) else joined


def _goes_back(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Return whether each row but the first is older than the one before it, (n - 1,)."""
    time_us, seq = rows["time_us"], rows["seq"]
    same_time = time_us[1:] == time_us[:-1]
    return (time_us[1:] < time_us[:-1]) | (same_time & (seq[1:] < seq[:-1]))
