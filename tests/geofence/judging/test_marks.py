"""Changes of zones are taken in once for a place where an asset is, and again where it was not."""

import numpy as np
import pytest

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.transitions import Cause, Transition
from geofence.shapes.types import Circle
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, blank_rows
from tests.geofence.worlds import S

HERE, ELSEWHERE = Circle(8.0, 47.0, 100.0), Circle(9.0, 47.0, 100.0)


def fix(time_s: int, lon: float) -> FixBatch:
    rows = blank_rows(1)
    rows["tracker"] = rows["asset"] = rows["organization"] = 0
    rows["time_us"], rows["lon"], rows["lat"] = time_s * S, lon, 47.0
    return FixBatch(rows)


def told(state: State, index: ZoneIndex, batch: FixBatch, now_us: int) -> list[tuple]:
    evaluation = evaluate(batch, state, index, now_us)
    state.apply(evaluation.delta)
    found = evaluation.transitions
    whens = (found["time_us"] // S).tolist()
    return list(zip(found["transition"].tolist(), whens, found["cause"].tolist(), strict=True))


@pytest.mark.parametrize("ticks_s", [[], [11], [12, 15, 19]])
def test_a_fix_from_before_a_change_that_was_looked_at_is_held_against_it(ticks_s: list[int]):
    index = ZoneIndex([ZoneVersion(0, 1, 0, HERE, valid_to_us=10 * S)])
    state = State()
    assert told(state, index, fix(1, 8.003), NO_TIMERS_US) == []
    for now_s in ticks_s:
        assert told(state, index, FixBatch.empty(), now_s * S) == []
    assert told(state, index, fix(5, 8.0), 20 * S) == [
        (Transition.ENTER, 5, Cause.MOVED),
        (Transition.EXIT, 10, Cause.ZONE_CHANGED),
    ]


def test_every_change_is_taken_in_whatever_was_looked_at_before():
    state, index = State(), ZoneIndex()
    told(state, index, fix(1, 8.0), NO_TIMERS_US)
    seen = []
    for number in range(12):
        begin_s, shape = 10 + 10 * number, HERE if number % 4 == 3 else ELSEWHERE
        span = (begin_s * S, (begin_s + 5) * S)
        index = index.with_changes([ZoneVersion(number, 1, 0, shape, *span)])
        for now_s in np.arange(begin_s, begin_s + 10, 2).tolist():
            seen += told(state, index, FixBatch.empty(), now_s * S)
    assert seen == [
        (kind, at_s, Cause.ZONE_CHANGED)
        for begin_s in (40, 80, 120)
        for kind, at_s in ((Transition.ENTER, begin_s), (Transition.EXIT, begin_s + 5))
    ]
