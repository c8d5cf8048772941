"""Columns that grow without being copied, shared by everything that grew out of one another."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class _Buffer:
    rows: NDArray[Any]
    used: int


class Column:
    """n rows that never change. A successor has the same rows and more behind them.

    Rows lie in a buffer with room at its end, where the first successor writes. A second successor
    of the same column finds the place taken and gets a buffer of its own.
    """

    __slots__ = ("_buffer", "_n", "rows")

    def __init__(self, rows: NDArray[Any]) -> None:
        self._settle(_Buffer(rows, len(rows)), len(rows))

    def _settle(self, buffer: _Buffer, n: int) -> None:
        self._buffer, self._n = buffer, n
        self.rows: NDArray[Any] = buffer.rows[:n]

    def with_more(self, more: NDArray[Any]) -> "Column":
        """Return a successor with `more` at its end."""
        buffer, n = self._buffer, self._n + len(more)
        if buffer.used != self._n or n > len(buffer.rows):
            room = n + n // 8 + 16
            rows = np.empty((room, *buffer.rows.shape[1:]), buffer.rows.dtype)
            rows[: self._n] = self.rows
            buffer = _Buffer(rows, self._n)
        buffer.rows[self._n : n] = more
        buffer.used = n
        successor = Column.__new__(Column)
        successor._settle(buffer, n)
        return successor
