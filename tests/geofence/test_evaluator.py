"""The evaluator against the rule written plainly, and the properties that callers rely on."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.evaluator import evaluate
from geofence.index import ZoneIndex
from geofence.state import State
from geofence.transitions import Transition
from telemetry.fix import FixBatch
from tests.geofence.reference import Reference
from tests.geofence.worlds import ASSETS, ZONES, as_dicts, fixes, zone_histories, zone_sets

NOW_US = 10**6


def run(batches: list[FixBatch], state: State, index: ZoneIndex) -> list[dict]:
    """Evaluate and apply batch after batch; rows are counted through all of them."""
    found: list[dict] = []
    before = 0
    for batch in batches:
        evaluation = evaluate(batch, state, index, NOW_US)
        state.apply(evaluation.delta)
        for transition in as_dicts(evaluation.transitions):
            found.append(transition | {"row": transition["row"] + before})
        before += len(batch)
    return found


@settings(max_examples=300, deadline=None)
@given(versions=zone_sets(), batch=fixes())
def test_a_batch_gives_what_the_plain_rule_gives_fix_by_fix(versions, batch):
    evaluation = evaluate(batch, State(), ZoneIndex(versions), NOW_US)
    expected, late = Reference(versions).judge_all(batch)
    assert as_dicts(evaluation.transitions) == expected
    assert evaluation.late.tolist() == late


@settings(max_examples=200, deadline=None)
@given(
    versions=zone_sets(),
    steps=st.lists(
        st.tuples(fixes(8), st.integers(0, ZONES - 1).flatmap(zone_histories), st.booleans()),
        max_size=4,
    ),
)
def test_zones_may_change_and_vanish_between_batches(versions, steps):
    reference, state, index = Reference(versions), State(), ZoneIndex(versions)
    for batch, history, vanishes in steps:
        if vanishes:
            gone = history[0].zone
            kept = [v for v in reference.versions.values() if v.zone != gone]
            reference.versions = {(v.zone, v.version): v for v in kept}
            index = ZoneIndex(kept)
        else:
            reference.versions |= {(v.zone, v.version): v for v in history}
            index = index.with_changes(history)
        evaluation = evaluate(batch, state, index, NOW_US)
        state.apply(evaluation.delta)
        expected, late = reference.judge_all(batch)
        assert as_dicts(evaluation.transitions) == expected
        assert evaluation.late.tolist() == late
        assert _open(state) == {
            (asset, zone) for asset, zones in reference.visits.items() for zone in zones
        }


@settings(max_examples=200, deadline=None)
@given(versions=zone_sets(), batch=fixes(30), cuts=st.lists(st.integers(0, 30), max_size=4))
def test_however_an_arrival_sequence_is_cut_it_gives_the_same_transitions(versions, batch, cuts):
    index = ZoneIndex(versions)
    edges = sorted({0, len(batch), *(cut for cut in cuts if cut < len(batch))})
    pieces = [batch.take(np.arange(start, end)) for start, end in pairwise(edges)]
    assert run(pieces, State(), index) == run([batch], State(), index)


@settings(max_examples=100, deadline=None)
@given(versions=zone_sets(), first=fixes(), second=fixes())
def test_evaluating_again_from_the_same_state_gives_the_same_answer(versions, first, second):
    index, state = ZoneIndex(versions), State()
    state.apply(evaluate(first, state, index, NOW_US).delta)
    one = evaluate(second, state, index, NOW_US)
    other = evaluate(second, state, index, NOW_US)
    assert as_dicts(one.transitions) == as_dicts(other.transitions)
    assert one.delta.memberships.tolist() == other.delta.memberships.tolist()


@settings(max_examples=100, deadline=None)
@given(versions=zone_sets(), first=fixes(), second=fixes())
def test_a_state_restored_from_its_rows_goes_on_as_the_one_that_was_lost(versions, first, second):
    index, state = ZoneIndex(versions), State()
    state.apply(evaluate(first, state, index, NOW_US).delta)
    restored = State()
    last, known = state.last_of(np.arange(ASSETS))
    restored.restore(last[known], state.memberships())
    assert run([second], restored, index) == run([second], state, index)


@settings(max_examples=150, deadline=None)
@given(versions=zone_sets(), batch=fixes(40))
def test_enter_and_exit_alternate_for_each_asset_and_zone(versions, batch):
    inside: dict[tuple[int, int], int] = {}
    for transition in run([batch], State(), ZoneIndex(versions)):
        pair = transition["asset"], transition["zone"]
        assert inside.get(pair, Transition.EXIT) != transition["transition"]
        inside[pair] = transition["transition"]


@settings(max_examples=150, deadline=None)
@given(versions=zone_sets(), batch=fixes())
def test_a_late_fix_changes_nothing(versions, batch):
    index = ZoneIndex(versions)
    evaluation = evaluate(batch, State(), index, NOW_US)
    in_time = np.flatnonzero(~evaluation.late)
    without = run([batch.take(in_time)], State(), index)
    for transition in without:
        transition["row"] = int(in_time[transition["row"]])
    assert as_dicts(evaluation.transitions) == without


@settings(max_examples=100, deadline=None)
@given(versions=zone_sets(), batch=fixes())
def test_an_asset_meets_the_zones_of_its_own_organization_only(versions, batch):
    for transition in run([batch], State(), ZoneIndex(versions)):
        assert transition["zone"] % 2 == transition["organization"] == transition["asset"] % 2


@settings(max_examples=100, deadline=None)
@given(versions=zone_sets(), batch=fixes())
def test_an_exit_carries_the_opening_of_the_enter_before_it(versions, batch):
    opening = ("entered_us", "opening_us", "opening_seq", "opening_change_us", "opening_version")
    opened: dict[tuple[int, int], list[int]] = {}
    for transition in run([batch], State(), ZoneIndex(versions)):
        pair = transition["asset"], transition["zone"]
        if transition["transition"] == Transition.ENTER:
            opened[pair] = [transition[column] for column in opening]
            assert transition["entered_us"] == transition["time_us"]
        else:
            assert [transition[column] for column in opening] == opened[pair]
            assert transition["time_us"] >= transition["entered_us"]


def _open(state: State) -> set[tuple[int, int]]:
    return set(zip(*(state.memberships()[c].tolist() for c in ("asset", "zone")), strict=True))
