"""The evaluator against the rules written plainly, and the properties that callers rely on."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate, late_assets
from geofence.judging.state import State
from geofence.model.no_fix_events import Agenda
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Cause, Inferred, Transition
from geofence.shapes.types import Circle
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch, Known, blank_rows
from tests.geofence.agreement import differences
from tests.geofence.plane import UnsureError
from tests.geofence.reference import Reference
from tests.geofence.worlds import (
    ASSETS,
    ZONES,
    S,
    World,
    as_dicts,
    fixes,
    lat_of,
    lon_of,
    turned,
    worlds,
    zone_histories,
    zone_sets,
)

MUCH_LATER_US = 300 * S
nows = st.sampled_from([NO_TIMERS_US, MUCH_LATER_US])
cuts = st.lists(st.integers(0, 40), max_size=4)


def index_of(world: World) -> ZoneIndex:
    return ZoneIndex(world.versions).with_filters(world.filters)


def judged(world: World, state: State, index: ZoneIndex, batch: FixBatch, now_us: int):
    """Judge, and compare what is foretold of late fixes with those that are found to be."""
    foretold = late_assets(batch, state)
    evaluation = evaluate(batch, state, index, now_us, world.gates, world.agenda)
    found_late = np.unique(batch.rows["asset"][evaluation.late])
    assert sorted(foretold.tolist()) == found_late.tolist()
    return evaluation


def run(world: World, batches: list[FixBatch], nows_us: list[int]) -> list[dict]:
    """Evaluate and apply batch after batch; rows are counted through all of them."""
    state, index, found, before = State(), index_of(world), [], 0
    for batch, now_us in zip(batches, nows_us, strict=True):
        evaluation = judged(world, state, index, batch, now_us)
        state.apply(evaluation.delta)
        for told in comparable(evaluation):
            found.append(told | {"row": told["row"] + before if told["row"] >= 0 else -1})
        before += len(batch)
    return found


def comparable(evaluation: Evaluation) -> list[dict]:
    """Return the evaluation without `step`, which counts within a batch, and with None for what is
    not known.
    """
    return [
        {name: None if value != value else value for name, value in told.items() if name != "step"}
        for told in as_dicts(evaluation.transitions)
    ]


def expected(reference: Reference, batch: FixBatch, now_us: int):
    """Return what the plain rules tell; leaves out worlds in which two answers are right."""
    try:
        return reference.evaluate(batch, now_us)
    except UnsureError:
        assume(False)


def assert_same(evaluation: Evaluation, told) -> None:
    assert not differences(as_dicts(evaluation.transitions), told.transitions)
    assert evaluation.late.tolist() == told.late
    assert evaluation.suspect.tolist() == told.suspect
    healed = evaluation.healed[["tracker", "time_us", "seq"]].tolist()
    assert sorted(healed) == sorted(told.healed)


def reference_of(world: World) -> Reference:
    return Reference(world.versions, world.filters, world.gates, world.agenda)


# The plain rules ----------------------------------------------------------------------------------


@given(world=worlds, now_us=nows)
def test_a_batch_gives_what_the_plain_rules_give_fix_by_fix(world, now_us):
    told = expected(reference_of(world), world.batch, now_us)
    assert_same(judged(world, State(), index_of(world), world.batch, now_us), told)


@given(world=worlds, gaps=st.lists(st.integers(0, 30), min_size=1, max_size=5))
def test_time_passes_between_batches_as_the_plain_rules_say(world, gaps):
    reference, state, index = reference_of(world), State(), index_of(world)
    now_us = 0
    for rows, gap in zip(np.array_split(world.batch.rows, len(gaps)), gaps, strict=True):
        now_us += gap * S
        told = expected(reference, FixBatch(rows), now_us)
        evaluation = judged(world, state, index, FixBatch(rows), now_us)
        state.apply(evaluation.delta)
        assert_same(evaluation, told)


def in_pieces(world: World, most: int, now_us: int) -> list[list[dict]]:
    """Return by asset what is told where an organization has few transitions in one evaluation."""
    state, index, rest = State(), index_of(world), world.batch
    numbers, found = np.arange(len(rest)), []
    while True:
        evaluation = evaluate(rest, state, index, now_us, world.gates, world.agenda, most)
        state.apply(evaluation.delta)
        for told in comparable(evaluation):
            row = told["row"]
            found.append(told | {"row": int(numbers[row]) if row >= 0 else -1})
        left = np.flatnonzero(evaluation.postponed)
        rest, numbers = rest.take(left), numbers[left]
        if not len(rest) and now_us <= state.ticked_us:
            return by_asset(found)


def by_asset(told: list[dict]) -> list[list[dict]]:
    assets = sorted({one["asset"] for one in told})
    return [[one for one in told if one["asset"] == asset] for asset in assets]


@given(world=worlds, most=st.integers(1, 6), now_us=nows)
def test_a_budget_of_transitions_changes_nothing_but_when_they_are_told(world, most, now_us):
    whole = comparable(judged(world, State(), index_of(world), world.batch, now_us))
    assert in_pieces(world, most, now_us) == by_asset(whole)


@given(
    world=worlds,
    steps=st.lists(
        st.tuples(fixes(10), st.integers(0, ZONES - 1).flatmap(zone_histories), st.booleans()),
        max_size=4,
    ),
)
def test_zones_may_change_and_vanish_between_batches(world, steps):
    reference, state, index = reference_of(world), State(), index_of(world)
    for batch, history, vanishes in steps:
        zone = history[0].zone
        if vanishes:
            reference.versions = [v for v in reference.versions if v.zone != zone]
            index = ZoneIndex(reference.versions).with_filters(world.filters)
        else:
            newer = _after(reference.versions, history)
            reference.versions += newer
            index = index.with_changes(newer)
        told = expected(reference, batch, NO_TIMERS_US)
        evaluation = judged(world, state, index, batch, NO_TIMERS_US)
        state.apply(evaluation.delta)
        assert_same(evaluation, told)
        assert _open(state) == {(a.number, z) for a in reference.assets.values() for z in a.visits}


def _after(versions: list[ZoneVersion], history: list[ZoneVersion]) -> list[ZoneVersion]:
    """Return what of a history may follow the versions of the zone that are there."""
    known = [v for v in versions if v.zone == history[0].zone]
    begun_us = max((v.valid_from_us for v in known), default=-(2**63))
    number = max((v.version for v in known), default=0)
    return [replace(v, version=v.version + number) for v in history if v.valid_from_us >= begun_us]


def _open(state: State) -> set[tuple[int, int]]:
    rows = state.memberships()
    rows = rows[rows["inside"]]
    return set(zip(rows["asset"].tolist(), rows["zone"].tolist(), strict=True))


# However it is cut --------------------------------------------------------------------------------


@given(world=worlds, cuts=cuts)
def test_however_an_arrival_sequence_is_cut_it_gives_the_same_transitions(world, cuts):
    edges = sorted({0, len(world.batch), *(cut for cut in cuts if cut < len(world.batch))})
    pieces = [world.batch.take(np.arange(start, end)) for start, end in pairwise(edges)]
    whole = run(world, [world.batch], [NO_TIMERS_US])
    assert run(world, pieces, [NO_TIMERS_US] * len(pieces)) == whole


@given(world=worlds, pause=st.integers(1, 60))
def test_looking_at_the_clock_between_fixes_in_order_only_tells_things_earlier(world, pause):
    order = np.argsort(world.batch["time_us"], kind="stable")
    batch = world.batch.take(order)
    cut = int(np.searchsorted(batch["time_us"], pause * S, "right"))
    pieces = [batch.take(np.arange(cut)), batch.take(np.arange(cut, len(batch)))]
    at_once = run(world, [batch], [MUCH_LATER_US])
    in_two = run(world, pieces, [pause * S, MUCH_LATER_US])
    assert _in_time(in_two) == _in_time(at_once)


def _in_time(told: list[dict]) -> list[tuple]:
    names = ("asset", "zone", "time_us", "transition", "cause", "inferred", "first_fix_us")
    return sorted(tuple(t[name] for name in names) for t in told)


@given(world=worlds, more=fixes(), now_us=nows)
def test_evaluating_again_from_the_same_state_gives_the_same_answer(world, more, now_us):
    index, state = index_of(world), State()
    state.apply(judged(world, state, index, world.batch, NO_TIMERS_US).delta)
    one, other = (judged(world, state, index, more, now_us) for _ in range(2))
    assert one.transitions.tobytes() == other.transitions.tobytes()
    assert one.delta.count.tolist() == other.delta.count.tolist()
    assert one.healed.tobytes() == other.healed.tobytes()


@given(world=worlds, more=fixes(), now_us=nows)
def test_a_state_restored_from_its_rows_goes_on_as_the_one_that_was_lost(world, more, now_us):
    index, state, restored = index_of(world), State(), State()
    state.apply(judged(world, state, index, world.batch, NO_TIMERS_US).delta)
    restored.restore(state.assets[::-1].copy(), state.memberships()[::-1].copy())
    lost, found = (judged(world, each, index, more, now_us) for each in (state, restored))
    assert _by_asset(found) == _by_asset(lost)


def _by_asset(evaluation: Evaluation) -> list[list[dict]]:
    """Compare states: a restored state may look at assets in another order."""
    told = comparable(evaluation)
    return [[t for t in told if t["asset"] == asset] for asset in range(ASSETS)]


@given(world=worlds)
def test_a_late_fix_changes_nothing(world):
    late = judged(world, State(), index_of(world), world.batch, NO_TIMERS_US).late
    in_time = np.flatnonzero(~late)
    without = run(world, [world.batch.take(in_time)], [NO_TIMERS_US])
    for told in without:
        told["row"] = int(in_time[told["row"]])
    assert without == run(world, [world.batch], [NO_TIMERS_US])


# What holds of all transitions --------------------------------------------------------------------


@given(world=worlds, now_us=nows)
def test_enter_and_exit_alternate_and_an_exit_carries_the_first_fix_of_its_enter(world, now_us):
    entry = ("entered_us", "first_fix_tracker", "first_fix_us", "first_fix_seq", "change_us")
    opened: dict[tuple[int, int], list[int]] = {}
    for told in run(world, [world.batch], [now_us]):
        pair, facts = (told["asset"], told["zone"]), [told[name] for name in entry]
        match told["transition"]:
            case Transition.ENTER:
                assert pair not in opened
                opened[pair] = facts
                assert told["entered_us"] == told["time_us"]
            case Transition.EXIT:
                assert opened.pop(pair) == facts
                assert told["time_us"] >= told["entered_us"]
            case Transition.DWELL:
                assert opened[pair] == facts


@given(world=worlds, now_us=nows)
def test_the_visits_of_an_asset_in_a_zone_do_not_overlap(world, now_us):
    """But for fixes believed late, which come to be judged after what happened without one."""
    world = replace(world, gates=Gates.open())
    left_us: dict[tuple[int, int], int] = {}
    for told in run(world, [world.batch], [now_us]):
        pair = told["asset"], told["zone"]
        if told["transition"] == Transition.ENTER:
            assert told["time_us"] >= left_us.get(pair, told["time_us"])
        elif told["transition"] == Transition.EXIT:
            left_us[pair] = told["time_us"]


@given(world=worlds, now_us=nows)
def test_transitions_come_by_fix_then_time_with_exits_before_enters(world, now_us):
    found = evaluate(
        world.batch, State(), index_of(world), now_us, world.gates, world.agenda
    ).transitions
    row = np.where(found["row"] < 0, len(world.batch), found["row"])
    assert (np.diff(row) >= 0).all()
    for one, other in pairwise(as_dicts(found)):
        if (one["row"], one["step"]) != (other["row"], other["step"]):
            continue
        assert one["time_us"] <= other["time_us"]
        if one["time_us"] == other["time_us"] and one["transition"] == Transition.ENTER:
            has_length = other["entered_us"] < other["time_us"]
            assert not (other["transition"] == Transition.EXIT and has_length)


@given(world=worlds, now_us=nows)
def test_an_asset_meets_the_zones_of_its_own_organization_only(world, now_us):
    for told in run(world, [world.batch], [now_us]):
        assert told["zone"] % 2 == told["organization"] == told["asset"] % 2


@given(world=worlds, east_deg=st.sampled_from([172.0, 171.99609375, -188.00390625, -8.0, 90.5]))
def test_a_world_moved_east_or_west_goes_as_it_did(world, east_deg):
    """Also over the 180th meridian, where its shapes go on past it and fixes turn round."""
    told = expected(reference_of(world), world.batch, MUCH_LATER_US)
    versions = [replace(v, shape=turned(v.shape, east_deg)) for v in world.versions]
    rows, move = world.batch.rows.copy(), world.agenda.move.copy()
    for lon in (rows["lon"], move["place"]["lon"]):
        lon += east_deg
        lon[lon > 180] -= 360
        lon[lon < -180] += 360
    moved = replace(
        world,
        versions=versions,
        agenda=Agenda(move, world.agenda.schedule_start),
        batch=FixBatch(rows),
    )
    evaluation = judged(moved, State(), index_of(moved), moved.batch, MUCH_LATER_US)
    evaluation.transitions["lon"] = _back(evaluation.transitions["lon"], east_deg)
    assert_same(evaluation, told)


def _back(lon: np.ndarray, east_deg: float) -> np.ndarray:
    back = lon - east_deg
    return np.where(back < -100, back + 360, np.where(back > 100, back - 360, back))


# Room, and moments that a random world seldom meets -----------------------------------------------


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


@given(versions=zone_sets(st.just(Rules.raw())), batch=fixes(steps=(0, 1, 2)))
def test_raw_rules_give_the_plain_difference_of_what_covers_each_fix(versions, batch):
    versions = [
        replace(v, valid_from_us=-(2**63), valid_to_us=2**63 - 1, assets=-1) for v in versions
    ]
    newest = [
        v for v in versions if not any(o.zone == v.zone and o.version > v.version for o in versions)
    ]
    told = expected(Reference(newest, gates=Gates.open()), batch, NO_TIMERS_US)
    found = evaluate(batch, State(), ZoneIndex(newest), NO_TIMERS_US, Gates.open())
    assert_same(found, told)
    assert set(found.transitions["inferred"].tolist()) <= {Inferred.NONE}
