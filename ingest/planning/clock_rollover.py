"""Fixes whose clock lost count of the weeks, brought to their own time.

A time is mended if it lies whole rounds of 1,024 weeks before its receipt, unless the tracker was
sending at that time: a track of years ago that is sent now has fixes before it. Watermarks answer
that in nearly all cases; otherwise the database does (`ingest.late.lookup.Lookup`).
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.late.lookup import ClockQuestion, Lookup, Planning
from ingest.registry.watermarks import Watermarks
from telemetry.fix import FixBatch, Flag
from telemetry.formats.decode import ANCIENT_BEFORE_US
from telemetry.rollover import DAY_US, ROUND_US, rounds_missing


def mend(batch: FixBatch, received_us: int, watermarks: Watermarks) -> Planning[FixBatch]:
    """Mend and flag the clocks that rolled over. Every row has its tracker."""
    rounds = rounds_missing(batch.rows["time_us"], received_us)
    if not rounds.any():
        return batch
    mended, unanswered = _mended(batch, rounds, watermarks, {})
    if unanswered:
        answers = yield Lookup(clocks=unanswered)
        mended, _ = _mended(batch, rounds, watermarks, answers.clocks)
    return mended


def _mended(
    batch: FixBatch,
    rounds: NDArray[np.int64],
    watermarks: Watermarks,
    answers: Mapping[ClockQuestion, bool],
) -> tuple[FixBatch, Sequence[ClockQuestion]]:
    """Return the batch mended, and the questions that are still open.

    answers: of the database, where memory does not know.
    """
    mended = batch.take(np.arange(len(batch)))
    rows_of = _rows_by_tracker(batch)
    is_open = np.zeros(len(batch), bool)  # nobody knows yet which time it has
    unanswered: list[ClockQuestion] = []
    for row in np.flatnonzero(rounds).tolist():
        tracker, time_us = (int(batch.rows[name][row]) for name in ("tracker", "time_us"))
        siblings = rows_of(tracker)
        earlier = siblings[(siblings < row) & ~is_open[siblings]]
        earlier_us = mended.rows["time_us"][earlier]
        was_sending = _follows(earlier_us, time_us) or _was_sending(
            tracker, time_us, watermarks, answers
        )
        if was_sending is None:
            unanswered.append((tracker, time_us))
            is_open[row] = True
        elif not was_sending:
            mended.rows["time_us"][row] += rounds[row] * ROUND_US
            mended.rows["flags"][row] |= Flag.ROLLOVER
    return mended, list(dict.fromkeys(unanswered))


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
    tracker: int, time_us: int, watermarks: Watermarks, answers: Mapping[ClockQuestion, bool]
) -> bool | None:
    """Return whether a fix of the day before is stored; None: nobody has asked the database yet."""
    newest_us = watermarks.newest_us(tracker)
    if time_us < ANCIENT_BEFORE_US or newest_us is None or newest_us < time_us - DAY_US:
        return False
    if newest_us <= time_us:
        return True
    return answers.get((tracker, time_us))
