"""A few counters that the benchmark's processes share through a file: no message, no system call.

Each cell has one writer. An aligned 64-bit store is seen whole by every reader.
"""

from enum import IntEnum
from pathlib import Path

import numpy as np


class Cell(IntEnum):
    """The writer and the value of one gauge."""

    LIMIT = 0  # runner: how many messages may have been sent
    STOP = 1  # runner: 1 when the others are to end
    RECEIVED = 2  # counting subscriber: messages received and acknowledged
    RATE = 3  # runner: messages a second that may be sent, 0 for as many as LIMIT allows
    SENT = 4  # load of the soak run: messages sent, those apart that must be sent again


class Gauges:
    """The shared cells of one measurement."""

    def __init__(self, path: Path, *, create: bool = False) -> None:
        mode = "w+" if create else "r+"
        self._cells = np.memmap(path, np.int64, mode=mode, shape=(len(Cell),))

    def __getitem__(self, cell: Cell) -> int:
        return int(self._cells[cell])

    def __setitem__(self, cell: Cell, value: int) -> None:
        self._cells[cell] = value
