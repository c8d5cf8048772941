"""Clocks that lost count of the weeks are mended, unless the tracker meant its time."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest

from ingest.late.lookup import ClockQuestion, Lookup, Past
from ingest.planning.clock_rollover import mend
from ingest.registry.watermarks import Watermarks
from telemetry.fix import FixBatch, Flag
from telemetry.rollover import DAY_US, ROUND_US
from telemetry.times import parse_time_us
from tests.ingest.registry.test_watermarks import batch_of

NOW_US = parse_time_us("2026-11-24T12:00:00Z")
THEN_US = NOW_US - ROUND_US  # in 2007
HOUR_US = DAY_US // 24


class Case(NamedTuple):
    """newest_us: of the tracker's stored fixes. answer: of the database, where it was asked.

    mended: how many rounds each fix was brought forward.
    """

    says: str
    newest_us: int | None
    times_us: list[int]
    answer: bool | None
    mended: list[int]


CASES = [
    Case("the first fix of a tracker", None, [THEN_US], None, [1]),
    Case("two rounds", None, [NOW_US - 2 * ROUND_US], None, [2]),
    Case("two rounds of a tracker with fixes", NOW_US, [NOW_US - 2 * ROUND_US], None, [2]),
    Case("the last fix is longer ago than a day", THEN_US - DAY_US - 1, [THEN_US], None, [1]),
    Case("a track of that time goes on", THEN_US - HOUR_US, [THEN_US], None, [0]),
    Case("the very fix is stored", THEN_US, [THEN_US], None, [0]),
    Case("newer fixes, none of that time", NOW_US - HOUR_US, [THEN_US], False, [1]),
    Case("newer fixes, and some of that time", NOW_US - HOUR_US, [THEN_US], True, [0]),
    Case("several, newer fixes, none of that time", NOW_US, [THEN_US - HOUR_US, THEN_US], False,
         [1, 1]),
    Case("a track in one batch", None, [THEN_US - 25 * HOUR_US, THEN_US - 2 * HOUR_US, THEN_US],
         None, [0, 0, 0]),
    Case("each of a batch that rolled over", None, [THEN_US, THEN_US + HOUR_US], None, [1, 1]),
    Case("a good clock", None, [NOW_US], None, [0]),
]  # fmt: skip


def mended_with(
    batch: FixBatch, watermarks: Watermarks, answers: Mapping[ClockQuestion, bool]
) -> FixBatch:
    """Mend; exactly these questions are asked, in this order."""
    mending = mend(batch, NOW_US, watermarks)
    try:
        assert next(mending) == Lookup(clocks=list(answers))
        mending.send(Past(clocks=answers))
    except StopIteration as end:
        return end.value
    raise AssertionError("it asked twice")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.says)
def test_what_is_mended(case: Case) -> None:
    watermarks = Watermarks()
    if case.newest_us is not None:
        watermarks.restore([(0, case.newest_us, 0)])
    rows = [(0, time_us, 0) for time_us in case.times_us]
    batch, answers = batch_of(rows), dict[tuple[int, int], bool]()
    if case.answer is not None:
        answers = dict.fromkeys([(0, time_us) for time_us in case.times_us], case.answer)
    mended = mended_with(batch, watermarks, answers)
    assert batch.rows["time_us"].tolist() == case.times_us, "the batch itself stays"
    assert ((mended.rows["time_us"] - batch.rows["time_us"]) // ROUND_US).tolist() == case.mended
    assert (mended.rows["flags"] == np.sign(case.mended) * Flag.ROLLOVER).all()


def test_a_tracker_does_not_speak_for_another() -> None:
    watermarks = Watermarks()
    watermarks.restore([(1, THEN_US - HOUR_US, 0)])
    rows = [(1, THEN_US - 2 * HOUR_US, 0), (0, THEN_US, 0), (1, THEN_US, 0)]
    mended = mended_with(batch_of(rows), watermarks, {(1, THEN_US - 2 * HOUR_US): True})
    assert mended.rows["flags"].tolist() == [0, Flag.ROLLOVER, 0]
