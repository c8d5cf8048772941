"""The state keeps what it was given, however memberships come and go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geofence.judging.state import State, StateDelta, blank_assets
from geofence.model.records import ASSET_DTYPE, MEMBERSHIP_DTYPE
from geofence.zones.versions import MIN_TIME_US, NEVER_US

changes = st.lists(
    st.dictionaries(st.integers(0, 300), st.sets(st.integers(0, 40), max_size=12), max_size=6),
    max_size=25,
)


def delta_of(change: dict[int, set[int]], time_us: int) -> StateDelta:
    assets = np.concatenate([blank_assets(0, 0), *(blank_assets(asset, 1) for asset in change)])
    assets["newest_us"], assets["due_us"] = time_us, time_us + 100
    memberships = np.zeros(sum(map(len, change.values())), MEMBERSHIP_DTYPE)
    memberships["asset"] = [asset for asset, zones in change.items() for _ in zones]
    memberships["zone"] = [zone for zones in change.values() for zone in sorted(zones)]
    memberships["entered_us"] = time_us
    count = np.array([len(zones) for zones in change.values()], np.int64)
    return StateDelta(assets, count, memberships)


def held(state: State) -> dict[int, tuple[int, list[int]]]:
    """Map each asset to the time of its newest fix, and its zones."""
    rows = state.memberships()
    known = state.assets[state.assets["newest_us"] > MIN_TIME_US]
    return {
        int(asset["asset"]): (
            int(asset["newest_us"]),
            rows["zone"][rows["asset"] == asset["asset"]].tolist(),
        )
        for asset in known
    }


@given(changes=changes)
def test_memberships_are_those_of_the_newest_change_of_each_asset(changes):
    state, expected = State(), {}
    for time_us, change in enumerate(changes):
        state.apply(delta_of(change, time_us))
        expected |= {asset: (time_us, sorted(zones)) for asset, zones in change.items()}
        assert held(state) == expected
    rows = state.memberships()
    assert len(rows) == sum(len(zones) for _, zones in expected.values())
    for asset, (time_us, _) in expected.items():
        assert (rows["entered_us"][rows["asset"] == asset] == time_us).all()


@given(changes=changes)
def test_a_state_restored_from_its_rows_in_any_order_holds_the_same(changes):
    state, restored = State(), State()
    for time_us, change in enumerate(changes):
        state.apply(delta_of(change, time_us))
    restored.apply(delta_of({7: {9}}, 3))
    restored.restore(state.assets[::-1].copy(), state.memberships()[::-1].copy())
    assert held(restored) == held(state)


def test_many_changes_of_few_assets_need_no_more_room():
    state = State()
    for time_us in range(2000):
        state.apply(delta_of({time_us % 5: set(range(time_us % 7))}, time_us))
    assert len(state.rows) < 1000


def test_no_deadline_lies_before_the_next_one():
    state = State()
    assert state.next_due_us == NEVER_US
    state.apply(delta_of({1: {4}}, 50))
    state.apply(delta_of({2: {4}}, 20))
    assert state.next_due_us == 120
    later = delta_of({2: {4}}, 90)
    state.apply(StateDelta(later.assets, later.count, later.memberships, ticked_us=130))
    assert (state.next_due_us, state.ticked_us) == (150, 130)


def test_restoring_forgets_what_was():
    state = State()
    state.apply(delta_of({3: {1, 2}}, 7))
    state.restore(np.zeros(0, ASSET_DTYPE), np.zeros(0, MEMBERSHIP_DTYPE))
    assert len(state.memberships()) == 0
    assert held(state) == {}


@pytest.mark.parametrize(
    ("assets", "memberships", "says"),
    [
        ([2, 2], [], "two rows for one asset"),
        ([2], [2, 2], "two memberships for one asset and zone"),
        ([2], [3], "a membership of an asset that is not given"),
    ],
)
def test_what_is_given_twice_or_belongs_to_nobody_is_not_restored(assets, memberships, says):
    rows = np.zeros(len(memberships), MEMBERSHIP_DTYPE)
    rows["asset"] = memberships
    with pytest.raises(ValueError, match=says):
        State().restore(np.concatenate([blank_assets(asset, 1) for asset in assets]), rows)
