"""The evaluator against the rules written plainly, and the properties that callers rely on."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from geofence.judging.evaluator import NO_TIMERS_US, Evaluation, evaluate, late_assets
from geofence.judging.state import State
from geofence.model.no_fix_events import Agenda
from geofence.model.rules import Gates, Rules
from geofence.model.transitions import Inferred, Transition
from geofence.zones.index import ZoneIndex, ZoneVersion
from telemetry.fix import FixBatch
from tests.geofence.agreement import differences
from tests.geofence.plane import UnsureError
from tests.geofence.reference import Reference
from tests.geofence.worlds import (
    ASSETS,
    MUCH_LATER_US,
    ZONES,
    S,
    World,
    as_dicts,
    fixes,
    turned,
    worlds,
    zone_histories,
    zone_sets,
)

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
        left = np.flatnonzero(evaluation.deferred)
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
