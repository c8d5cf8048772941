"""The room for what is found, and moments that a random world seldom meets."""

from dataclasses import replace

import numpy as np
import pytest

from geofence.judging.evaluator import NO_TIMERS_US, evaluate
from geofence.judging.state import State
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Cause, Inferred, Transition
from geofence.shapes.types import Circle
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from tests.geofence.worlds import MUCH_LATER_US, S, as_dicts, lat_of, lon_of


def batch_of(*places: tuple[float, float, float], asset: int = 0) -> FixBatch:
    """Return fixes at (seconds, units east, units north)."""
    rows = blank_rows(len(places))
    rows["asset"], rows["organization"], rows["tracker"] = asset, 0, 7
    for row, (time_s, x, y) in zip(rows, places, strict=True):
        row["time_us"], row["lon"], row["lat"] = int(time_s * S), lon_of(x), lat_of(y)
    return FixBatch(rows)


def told_by(
    versions: list[ZoneVersion], batch: FixBatch, now_us: int = NO_TIMERS_US, **more
) -> list[tuple[str, str, float]]:
    """Return (transition, cause, seconds) of what a batch gives."""
    evaluation = evaluate(batch, State(), ZoneIndex(versions), now_us, **more)
    return [
        (Transition(t["transition"]).name, Cause(t["cause"]).name, t["time_us"] / S)
        for t in as_dicts(evaluation.transitions)
    ]


@pytest.mark.parametrize("zones", [1, 64, 65, 700])
def test_any_number_of_zones_may_lie_at_one_place(zones):
    circle = Circle(lon_of(0), lat_of(0), 100.0)
    versions = [ZoneVersion(zone, 1, 0, circle, rules=Rules.raw()) for zone in range(zones)]
    batch = batch_of(*((t, 5 * (t % 2), 0) for t in range(6)))
    found = evaluate(batch, State(), ZoneIndex(versions), NO_TIMERS_US, Gates.open()).transitions
    assert found["row"].tolist() == [row for row in range(6) for _ in range(zones)]
    assert found["zone"].tolist() == [*range(zones)] * 6
    assert found["transition"].tolist() == ([1] * zones + [2] * zones) * 3


LIMIT = Rules(speed_limit_mps=13.9, exit_confirm_fixes=1, exit_buffer_m=50.0)


@pytest.mark.parametrize(
    ("steps", "told_at"),
    [
        pytest.param([(0, 13.0), (0, 14.0), (0, 20.0)], [1], id="the first fix above it"),
        pytest.param([(0, 14.0), (0, 20.0)], [0], id="the fix that enters"),
        pytest.param([(0, 13.9)], [], id="as fast as allowed"),
        pytest.param([(0, None)], [], id="no speed stated"),
        pytest.param([(0, 5.0), (9, 20.0)], [], id="outside"),
        pytest.param([(0, 5.0), (1.5, 20.0), (0, 20.0)], [2], id="not within the margin"),
        pytest.param([(0, 20.0), (9, 5.0), (0, 5.0), (0, 20.0)], [0, 3], id="once a stay"),
    ],
)
def test_the_first_fix_of_a_stay_that_states_a_speed_above_the_limit_is_told(steps, told_at):
    batch = batch_of(*((60 * number, x, 0) for number, (x, _) in enumerate(steps)))
    for row, (_, speed_mps) in zip(batch.rows, steps, strict=True):
        if speed_mps is not None:
            row["speed_mps"], row["known"] = speed_mps, Known.SPEED
    told = told_by([ZoneVersion(0, 1, 0, YARD, rules=LIMIT)], batch)
    assert [time_s / 60 for word, _, time_s in told if word == "OVERSPEED"] == told_at


def test_each_asset_has_the_accuracy_that_takes_part():
    batch = FixBatch(np.concatenate([batch_of((0, 0, 0), asset=n).rows for n in range(3)]))
    batch.rows["accuracy_m"], batch.rows["known"] = 25.0, Known.ACCURACY
    gates = Gates(np.empty(0), max_accuracy_m=np.array([20.0, 30.0]))
    found = evaluate(
        batch, State(), ZoneIndex([ZoneVersion(0, 1, 0, YARD)]), NO_TIMERS_US, gates
    ).transitions
    assert found["asset"].tolist() == [1, 2]  # the last one by the default of 200 m


def test_an_asset_may_be_in_many_zones_when_it_is_lost():
    circle, rules = Circle(lon_of(0), lat_of(0), 100.0), Rules(close_after_silence_seconds=60)
    versions = [ZoneVersion(zone, 1, 0, circle, rules=rules) for zone in range(3_000)]
    told = told_by(versions, batch_of((0, 0, 0)), MUCH_LATER_US)
    assert told == [("ENTER", "INITIAL", 0.0)] * 3_000 + [("EXIT", "SILENCE", 60.0)] * 3_000


YARD = Circle(lon_of(0), lat_of(0), 100.0)


def test_a_parked_vehicle_dwells_in_a_zone_that_is_drawn_round_it():
    versions = [ZoneVersion(0, 1, 0, YARD, valid_from_us=10 * S, rules=Rules(dwell_seconds=20))]
    assert told_by(versions, batch_of((0, 0, 0)), MUCH_LATER_US) == [
        ("ENTER", "ZONE_CHANGED", 10.0),
        ("DWELL", "MOVED", 30.0),
    ]


def test_a_zone_that_is_given_an_earlier_beginning_comes_to_those_who_stand_there():
    """Also where another change, later than that beginning, has been taken in already."""
    far = Circle(lon_of(300), lat_of(0), 100.0)
    state, index = State(), ZoneIndex([ZoneVersion(1, 1, 0, far, valid_from_us=20 * S)])
    for batch, now_s in ((batch_of((0, 0, 0)), 5), (batch_of(), 25)):
        state.apply(evaluate(batch, state, index, now_s * S).delta)
    index = index.with_changes([ZoneVersion(2, 1, 0, YARD, valid_from_us=10 * S)])
    found = evaluate(batch_of((40, 0, 0)), state, index, 45 * S).transitions
    assert found["cause"].tolist() == [Cause.ZONE_CHANGED]


def test_a_change_that_is_heard_of_after_its_instant_has_passed_is_taken_in_without_a_fix():
    state, index = State(), ZoneIndex([])
    for batch, now_s in ((batch_of((0, 0, 0)), 5), (batch_of(), 25)):
        state.apply(evaluate(batch, state, index, now_s * S).delta)
    index = index.with_changes([ZoneVersion(2, 1, 0, YARD, valid_from_us=24 * S)])
    found = evaluate(batch_of(), state, index, 26 * S).transitions
    assert [(one["cause"], one["time_us"]) for one in found] == [(Cause.ZONE_CHANGED, 24 * S)]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param([], [(0, YARD)], [("ENTER", "MOVED", 120.0)], id="drawn"),
        pytest.param([(0, YARD)], [], [("EXIT", "ZONE_CHANGED", 120.0)], id="ended"),
    ],
)
def test_a_zone_edited_while_the_last_fix_lies_ahead_of_the_clock_counts_from_the_next_fix(
    before, after, told
):
    """The edit is at 30 s, the asset's last fix at 60 s: what it showed then stays."""
    state = State()
    index = ZoneIndex([ZoneVersion(zone, 1, 0, shape) for zone, shape in before])
    state.apply(evaluate(batch_of((60, 0, 0)), state, index, 29 * S).delta)
    if before:
        ended = [ZoneVersion(zone, 1, 0, shape, valid_to_us=30 * S) for zone, shape in before]
        index = index.with_changes(ended)
    index = index.with_changes(
        [ZoneVersion(zone, 1, 0, shape, valid_from_us=30 * S) for zone, shape in after]
    )
    found = []
    for batch, now_s in ((batch_of(), 31), (batch_of(), 90), (batch_of((120, 0, 0)), 121)):
        evaluation = evaluate(batch, state, index, now_s * S)
        state.apply(evaluation.delta)
        found += [
            (Transition(one["transition"]).name, Cause(one["cause"]).name, one["time_us"] / S)
            for one in evaluation.transitions
        ]
    assert found == told


def test_nobody_passes_through_a_zone_in_which_the_way_begins():
    state, index = State(), ZoneIndex([])
    state.apply(evaluate(batch_of((0, 0, 0)), state, index, NO_TIMERS_US).delta)
    index = index.with_changes([ZoneVersion(0, 1, 0, YARD)])
    assert not len(evaluate(batch_of((9, 4, 0)), state, index, NO_TIMERS_US).transitions)


def test_nobody_passes_through_a_zone_before_it_was_there():
    versions = [ZoneVersion(0, 1, 0, YARD, valid_from_us=9 * S)]
    assert told_by(versions, batch_of((0, -4, 0), (10, 4, 0))) == []
    assert told_by([replace(versions[0], valid_from_us=1 * S)], batch_of((0, -4, 0), (10, 4, 0)))


def test_two_fixes_of_one_instant_pass_through_nothing_where_no_gap_is_allowed():
    batch = batch_of((0, -4, 0), (0, 4, 0))
    batch.rows["seq"] = [0, 1]
    zone = ZoneVersion(0, 1, 0, YARD, rules=Rules.raw())
    assert told_by([zone], batch, gates=Gates.open()) == []
    assert len(told_by([replace(zone, rules=Rules())], batch, gates=Gates.open())) == 2


def test_a_visit_that_silence_ended_is_not_passed_through_once_more():
    rules = Rules(close_after_silence_seconds=5, exit_buffer_m=50.0)
    for x in (0, 1.5):  # inside, and outside within the margin
        batch = batch_of((0, 0, 0), (1, x, 0), (20, -4, 0))
        told = told_by([ZoneVersion(0, 1, 0, YARD, rules=rules)], batch)
        assert told == [("ENTER", "INITIAL", 0.0), ("EXIT", "SILENCE", 6.0)]


def test_a_passing_through_is_told_as_inferred_with_its_own_instants():
    index = ZoneIndex([ZoneVersion(0, 1, 0, YARD)])
    found = evaluate(batch_of((0, -4, 0), (8, 4, 0)), State(), index, NO_TIMERS_US).transitions
    assert found["inferred"].tolist() == [Inferred.SEGMENT] * 2
    assert (found["time_us"].sum() / 2 / S) == pytest.approx(4.0, abs=1e-3)
    assert (np.diff(found["time_us"]) > 0).all()
    assert np.isnan(found["speed_mps"]).all()


def test_an_edit_that_comes_to_an_asset_on_its_way_out_ends_the_run():
    wide = Circle(lon_of(0), lat_of(0), 400.0)
    versions = [
        ZoneVersion(0, 1, 0, YARD, valid_to_us=2 * S),
        ZoneVersion(0, 2, 0, wide, valid_from_us=2 * S),
    ]
    batch = batch_of((0, 0, 0), (1, 3, 0), (3, 8, 0), (4, 8, 0))
    assert told_by(versions, batch, gates=Gates.open()) == [
        ("ENTER", "INITIAL", 0.0),
        ("EXIT", "MOVED", 3.0),
    ]


def test_an_empty_batch_gives_nothing():
    evaluation = evaluate(batch_of(), State(), ZoneIndex(), NO_TIMERS_US)
    assert len(evaluation.transitions) == len(evaluation.late) == 0
