"""The newest stored fix of each tracker, which separates new fixes from late and duplicate ones."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from ingest.undo import Undo
from telemetry.fix import FixBatch

_NEVER_US = -(2**63)


class Watermarks:
    """The newest (time, seq) by ordinal of the tracker, stored or in the transaction under way."""

    def __init__(self) -> None:
        self._time_us = np.empty(0, np.int64)
        self._seq = np.empty(0, np.int64)

    def restore(self, newest: Iterable[tuple[int, int, int]]) -> None:
        """Forget everything and take (tracker, time_us, seq) as read from the database."""
        rows = np.array(list(newest), np.int64).reshape(-1, 3)
        self._time_us = np.empty(0, np.int64)
        self._seq = np.empty(0, np.int64)
        if len(rows):
            self._reach(int(rows[:, 0].max()))
            self._time_us[rows[:, 0]] = rows[:, 1]
            self._seq[rows[:, 0]] = rows[:, 2]

    def has_fix(self, tracker: int) -> bool:
        return tracker < len(self._time_us) and bool(self._time_us[tracker] != _NEVER_US)

    def newest_us(self, tracker: int) -> int | None:
        """Return the time of the tracker's newest stored fix."""
        return int(self._time_us[tracker]) if self.has_fix(tracker) else None

    def surely_new(self, batch: FixBatch) -> NDArray[np.bool_]:
        """Return which fixes may go by plain COPY, shape (n,): all of those of a tracker, or none.

        A tracker's fixes may if each lies beyond the one before it in the batch, and the first
        beyond what is stored. Every row has its tracker's ordinal.
        """
        if not len(batch):
            return np.ones(0, bool)
        order, first, tracker, time_us, seq = self._by_tracker(batch)
        before_us = np.concatenate(([0], time_us[:-1]))
        before_seq = np.concatenate(([0], seq[:-1]))
        before_us[first] = self._time_us[tracker[first]]
        before_seq[first] = self._seq[tracker[first]]
        beyond = (time_us > before_us) | ((time_us == before_us) & (seq > before_seq))
        new_tracker = np.logical_and.reduceat(beyond, np.flatnonzero(first))
        answer = np.empty(len(batch), bool)
        answer[order] = new_tracker[np.cumsum(first) - 1]
        return answer

    def undo(self, batch: FixBatch) -> Undo:
        """Return what gives the trackers of the batch their present fixes back."""
        self._reach(int(batch.rows["tracker"].max(initial=-1)))
        tracker = batch.rows["tracker"].copy()
        time_us, seq = self._time_us[tracker], self._seq[tracker]

        def undo() -> None:
            self._time_us[tracker], self._seq[tracker] = time_us, seq

        return undo

    def advance(self, batch: FixBatch) -> None:
        """Advance the watermarks: the fixes are stored, or will be before anything planned from now
        on is.
        """
        if not len(batch):
            return
        self._reach(int(batch.rows["tracker"].max()))
        rows = batch.rows
        order = np.lexsort((rows["seq"], rows["time_us"], rows["tracker"]))
        tracker = rows["tracker"][order]
        newest = order[np.append(tracker[1:] != tracker[:-1], True)]
        tracker, time_us, seq = (rows[name][newest] for name in ("tracker", "time_us", "seq"))
        stored_us, stored_seq = self._time_us[tracker], self._seq[tracker]
        beyond = (time_us > stored_us) | ((time_us == stored_us) & (seq > stored_seq))
        self._time_us[tracker[beyond]] = time_us[beyond]
        self._seq[tracker[beyond]] = seq[beyond]

    def _by_tracker(self, batch: FixBatch) -> tuple[NDArray[np.intp], ...]:
        rows = batch.rows
        self._reach(int(rows["tracker"].max()))
        order = np.argsort(rows["tracker"], kind="stable")
        tracker = rows["tracker"][order]
        first = np.append(True, tracker[1:] != tracker[:-1])
        return order, first, tracker, rows["time_us"][order], rows["seq"][order].astype(np.int64)

    def _reach(self, tracker: int) -> None:
        missing = tracker + 1 - len(self._time_us)
        if missing > 0:
            room = max(missing, len(self._time_us))
            self._time_us = np.append(self._time_us, np.full(room, _NEVER_US))
            self._seq = np.append(self._seq, np.zeros(room, np.int64))
