"""Sorting more fixes than memory should hold: sorted runs in one temporary file, then merged.

Rows of TRACE_DTYPE go in as portions (runs) and come out by device id, time and seq, those that are
equal in order of arrival. Merging holds a block of each run, MERGE_ROWS rows together.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stack.replay.input.trace_rows import TRACE_DTYPE, ranks, sorted_rows

MERGE_ROWS = 2_000_000
LEAST_BLOCK_ROWS = 1_000

_Key = tuple[int, int]  # rank of the device, time_us


class TraceRuns:
    """The temporary file, open between `with` and its end. ids: the devices, by tracker; grows."""

    def __init__(
        self,
        ids: Sequence[str],
        merge_rows: int = MERGE_ROWS,
        least_block_rows: int = LEAST_BLOCK_ROWS,
    ) -> None:
        self._ids = ids
        self._merge_rows = merge_rows
        self._least_block_rows = least_block_rows
        self._counts: list[int] = []

    def __enter__(self) -> Self:
        self._file = tempfile.TemporaryFile()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def __len__(self) -> int:
        """Count the fixes."""
        return sum(self._counts)

    def add(self, rows: NDArray[np.void]) -> None:
        """Add one more run, in any order. Raises OSError where the disk is full."""
        rank = ranks(self._ids, np.unique(rows["tracker"]))
        sorted_rows(rows, rank).tofile(self._file)
        self._counts.append(len(rows))

    def merged(self) -> Iterator[NDArray[np.void]]:
        """Yield all fixes in order, in portions of up to about MERGE_ROWS."""
        self._file.flush()
        rank = ranks(self._ids)
        heads = self._heads(rank)
        while heads:
            for head in heads:
                head.fill()
            waiting = [head.last_key for head in heads if not head.at_end]
            bound = min(waiting, default=None)
            taken = [head.pop_until(bound) for head in heads]
            if not any(map(len, taken)):  # whole blocks of one device and time
                for head in heads:
                    head.grow()
            else:
                yield sorted_rows(np.concatenate(taken), rank)
            heads = [head for head in heads if len(head) or not head.at_end]

    def _heads(self, rank: NDArray[np.int32]) -> list[_Head]:
        block = max(self._merge_rows // max(len(self._counts), 1), self._least_block_rows)
        ends = np.cumsum(self._counts).tolist()
        starts = [end - count for end, count in zip(ends, self._counts, strict=True)]
        return [
            _Head(self._file.fileno(), start, end, block, rank)
            for start, end in zip(starts, ends, strict=True)
        ]


@dataclass(slots=True)
class _Head:
    """The rows of one run that are in memory: those from `next` to `end` of the file are not."""

    file: int
    next: int
    end: int
    block: int
    rank: NDArray[np.int32]
    rows: NDArray[np.void] = field(default_factory=lambda: np.empty(0, TRACE_DTYPE))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def at_end(self) -> bool:
        return self.next == self.end

    @property
    def last_key(self) -> _Key:
        last = self.rows[-1]
        return int(self.rank[last["tracker"]]), int(last["time_us"])

    def fill(self) -> None:
        self._read(self.block - len(self.rows))

    def grow(self) -> None:
        self._read(self.block)

    def _read(self, count: int) -> None:
        count = min(count, self.end - self.next)
        if count <= 0:
            return
        size = TRACE_DTYPE.itemsize
        data = os.pread(self.file, count * size, self.next * size)
        self.rows = np.concatenate((self.rows, np.frombuffer(data, TRACE_DTYPE)))
        self.next += count

    def pop_until(self, bound: _Key | None) -> NDArray[np.void]:
        """Cut off the rows before `bound`; all of them where it is None."""
        count = len(self.rows) if bound is None else self._below(bound)
        taken, self.rows = self.rows[:count], self.rows[count:]
        return taken

    def _below(self, bound: _Key) -> int:
        rank, time_us = bound
        of_device = self.rank[self.rows["tracker"]]
        first, last = (
            np.searchsorted(of_device, rank, "left"),
            np.searchsorted(of_device, rank, "right"),
        )
        return int(first + np.searchsorted(self.rows["time_us"][first:last], time_us, "left"))
