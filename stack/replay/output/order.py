"""Transitions in order, where the evaluator finds them a little later than they occurred.

A transition that needed confirmation carries the time of the first fix that said so, and what fell
due by time alone is found last. So the transitions of a device are held until its fixes are judged,
and come out by device id, time, exits first, zone id.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geofence.model.transitions import TRANSITION_DTYPE, Transition
from stack.replay.input.trace_rows import TRACE_DTYPE, ranks
from stack.replay.judge import Judge

BATCH_FIXES = 20_000
MAX_HELD = 1_000_000  # of one device; then the older half is let go


def judge_by_device(
    judge: Judge, portions: Iterator[NDArray[np.void]], ids: list[str], max_held: int = MAX_HELD
) -> Iterator[NDArray[np.void]]:
    """Judge `portions` (TRACE_DTYPE, by device): TRANSITION_DTYPE in order. ids: see TraceRuns."""
    held = _Held(ids, max_held)
    for rows, is_last in _batches(judge, portions):
        # all devices but the last one are complete
        last = len(rows) if is_last else int(np.argmax(rows["tracker"] == rows["tracker"][-1]))
        if last:
            held.add(judge.judge(rows[:last], ended=True))
            yield held.release()
        if last < len(rows):
            held.add(judge.judge(rows[last:], ended=False))
            yield from held.overflow()


def judge_as_it_comes(
    judge: Judge, portions: Iterator[NDArray[np.void]]
) -> Iterator[NDArray[np.void]]:
    """Judge `portions` (TRACE_DTYPE): TRANSITION_DTYPE as they are found."""
    for rows, _ in _batches(judge, portions):
        yield judge.judge(rows, ended=False)
    yield judge.judge(np.zeros(0, TRACE_DTYPE), ended=True)


def _batches(
    judge: Judge, portions: Iterator[NDArray[np.void]]
) -> Iterator[tuple[NDArray[np.void], bool]]:
    """Yield batches of fixes, each once the one before is judged, and which is the last."""
    waiting: NDArray[np.void] | None = None
    for rows in portions:
        start = 0
        while start < len(rows):
            if waiting is not None:
                yield waiting, False
            waiting = rows[start : start + BATCH_FIXES]
            waiting = waiting[: judge.fixes_at_once(waiting)]
            start += len(waiting)
    if waiting is not None:
        yield waiting, True


class _Held:
    """Transitions that others may come before."""

    def __init__(self, ids: list[str], most: int) -> None:
        self._ids = ids
        self._most = most
        self._parts: list[NDArray[np.void]] = []

    def add(self, transitions: NDArray[np.void]) -> None:
        if len(transitions):
            self._parts.append(transitions)

    def release(self) -> NDArray[np.void]:
        """Return all of them, in order."""
        transitions = np.concatenate(self._parts) if self._parts else np.zeros(0, TRANSITION_DTYPE)
        self._parts = []
        device = ranks(self._ids, np.unique(transitions["asset"]))[transitions["asset"]]
        exits = transitions["transition"] == Transition.EXIT
        # a visit without length keeps its enter before its exit
        kind = np.where(
            exits, np.where(transitions["entered_us"] < transitions["time_us"], 0, 2), 1
        )
        return transitions[np.lexsort((transitions["zone"], kind, transitions["time_us"], device))]

    def overflow(self) -> Iterator[NDArray[np.void]]:
        """Drop the older half, where there are too many."""
        if sum(map(len, self._parts)) > self._most:
            transitions = self.release()
            half = len(transitions) // 2
            self.add(transitions[half:])
            yield transitions[:half]
