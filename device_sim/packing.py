"""The packing of due fixes into messages: `fixes_per_message` fixes of one tracker in one message.

A message is due when its last fix is; at the end of the run, trackers send what they still hold.
Within a tracker the order of the fixes is kept.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from device_sim.schedule import Slice
from telemetry.fix import FixBatch


class Messages(NamedTuple):
    """Messages in the order in which they are due.

    due_s: shape (m,), float64, never falling. lengths: shape (m,), int64, fixes of each, >= 1.
    fixes: those of message 0, then those of message 1, ...
    """

    due_s: NDArray[np.float64]
    lengths: NDArray[np.int64]
    fixes: FixBatch


def pack(slices: Iterator[Slice], fixes_per_message: int) -> Iterator[Messages]:
    """Yield messages as soon as a slice completes them, then what is left of each tracker."""
    if fixes_per_message == 1:
        for part in slices:
            yield Messages(part.due_s, np.ones(len(part.due_s), np.int64), part.fixes)
        return
    held = Slice(np.empty(0), FixBatch.empty())
    for part in slices:
        both = _joined(held, part)
        message, rank, size = _grouped(both.fixes.rows["tracker"], fixes_per_message)
        whole = size[message] == fixes_per_message
        yield from _messages(both, message, rank, np.flatnonzero(whole))
        kept = np.flatnonzero(~whole)
        held = Slice(both.due_s[kept], both.fixes.take(kept))
    message, rank, _ = _grouped(held.fixes.rows["tracker"], fixes_per_message)
    yield from _messages(held, message, rank, np.arange(len(held.due_s)))


def _joined(first: Slice, second: Slice) -> Slice:
    return Slice(
        np.concatenate([first.due_s, second.due_s]), FixBatch.concat([first.fixes, second.fixes])
    )


def _grouped(
    trackers: NDArray[np.int32], fixes_per_message: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return per fix its message (any numbering) and its place in it; per message its number of
    fixes.
    """
    n = len(trackers)
    order = np.argsort(trackers, kind="stable")
    ordered = trackers[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=-1) != 0)
    counts = np.diff(starts, append=n)
    place = np.empty(n, np.int64)  # of the fix among those of its tracker
    place[order] = np.arange(n) - np.repeat(starts, counts)
    pair = np.stack([trackers.astype(np.int64), place // fixes_per_message])
    _, message, size = np.unique(pair, axis=1, return_inverse=True, return_counts=True)
    return message.reshape(-1), place % fixes_per_message, size


def _messages(
    source: Slice, message: NDArray[np.int64], rank: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[Messages]:
    """Yield the fixes at `rows` as messages, by the moment at which the last fix of each is due."""
    if not len(rows):
        return
    groups, inverse, lengths = np.unique(message[rows], return_inverse=True, return_counts=True)
    due_s = np.zeros(len(groups))
    np.maximum.at(due_s, inverse, source.due_s[rows])
    first_place = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first_place, inverse, rows)
    by_due = np.lexsort((first_place, due_s))
    position = np.empty(len(groups), np.int64)
    position[by_due] = np.arange(len(groups))
    order = np.lexsort((rank[rows], position[inverse]))
    yield Messages(due_s[by_due], lengths[by_due], source.fixes.take(rows[order]))
