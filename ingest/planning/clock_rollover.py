"""Fixes whose clock lost count of the weeks, brought to their own time.

A time that is whole rounds of 1,024 weeks before its receipt counts as rolled over, unless the
tracker was sending at that time: a track of years ago that is sent now has fixes before it.
Watermarks tell in nearly all cases; else the database is asked, before planning (`HistoryNeeded`).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.ingest import fix_presence
from ingest.planning.decoded_batch import Arrivals
from ingest.registry.registry import Registry
from ingest.registry.watermarks import Watermarks
from telemetry.fix import FixBatch, Flag
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.rollover import DAY_US, ROUND_US, rounds_missing

# Tracker and time: whether a fix of the tracker is stored from the day before it, or at it.
Question = tuple[int, int]


class HistoryNeeded(Exception):
    """The questions that memory cannot answer: `Arrivals.histories` must have an answer to each."""

    def __init__(self, questions: Sequence[Question]) -> None:
        super().__init__(f"{len(questions)} questions about stored fixes")
        self.questions = questions


async def look_up(
    conn: Connection, need: HistoryNeeded, arrivals: Arrivals, registry: Registry
) -> None:
    """Look the answers up, into `arrivals.histories`."""
    fixes = [(registry.trackers[tracker], time_us) for tracker, time_us in need.questions]
    answers = await fix_presence.preceded(conn, fixes)
    arrivals.histories.update(zip(need.questions, answers, strict=True))


def mend(batch: FixBatch, arrivals: Arrivals, watermarks: Watermarks) -> FixBatch:
    """Return the batch with rolled over clocks mended and flagged; every row has its tracker.

    Raises HistoryNeeded.
    """
    rounds = rounds_missing(batch.rows["time_us"], arrivals.received_us)
    candidates = np.flatnonzero(rounds).tolist()
    if not candidates:
        return batch
    mended = batch.take(np.arange(len(batch)))
    rows_of = _rows_by_tracker(batch)
    is_open = np.zeros(len(batch), bool)  # nobody knows yet which time it has
    unanswered: list[Question] = []
    for row in candidates:
        tracker, time_us = (int(batch.rows[name][row]) for name in ("tracker", "time_us"))
        siblings = rows_of(tracker)
        earlier = siblings[(siblings < row) & ~is_open[siblings]]
        earlier_us = mended.rows["time_us"][earlier]
        was_sending = _follows(earlier_us, time_us) or _was_sending(
            tracker, time_us, arrivals, watermarks
        )
        if was_sending is None:
            unanswered.append((tracker, time_us))
            is_open[row] = True
        elif not was_sending:
            mended.rows["time_us"][row] += rounds[row] * ROUND_US
            mended.rows["flags"][row] |= Flag.ROLLOVER
    if unanswered:
        raise HistoryNeeded(list(dict.fromkeys(unanswered)))
    return mended


def _rows_by_tracker(batch: FixBatch) -> Callable[[int], NDArray[np.intp]]:
    order = np.argsort(batch.rows["tracker"], kind="stable")
    trackers = batch.rows["tracker"][order]

    def rows_of(tracker: int) -> NDArray[np.intp]:
        first, end = np.searchsorted(trackers, (tracker, tracker + 1))
        return order[first:end]

    return rows_of


def _follows(times_us: NDArray[np.int64], time_us: int) -> bool:
    """Return whether one of `times_us` lies in the day before `time_us`, or at it."""
    ahead_us = time_us - times_us
    return bool(((ahead_us >= 0) & (ahead_us <= DAY_US)).any())


def _was_sending(
    tracker: int, time_us: int, arrivals: Arrivals, watermarks: Watermarks
) -> bool | None:
    """Return whether a fix of the day before is stored; None: nobody has asked the database yet."""
    newest_us = watermarks.newest_us(tracker)
    if time_us < ANCIENT_BEFORE_US or newest_us is None or newest_us < time_us - DAY_US:
        return False
    if newest_us <= time_us:
        return True
    return arrivals.histories.get((tracker, time_us))
