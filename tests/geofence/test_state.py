"""The state keeps what it was given, however memberships come and go."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geofence.state import LAST_DTYPE, MEMBERSHIP_DTYPE, State, StateDelta

changes = st.lists(
    st.dictionaries(st.integers(0, 300), st.sets(st.integers(0, 40), max_size=12), max_size=6),
    max_size=25,
)


def delta_of(change: dict[int, set[int]], time_us: int) -> StateDelta:
    last = np.zeros(len(change), LAST_DTYPE)
    last["asset"], last["time_us"] = list(change), time_us
    memberships = np.zeros(sum(map(len, change.values())), MEMBERSHIP_DTYPE)
    memberships["asset"] = [asset for asset, zones in change.items() for _ in zones]
    memberships["zone"] = [zone for zones in change.values() for zone in sorted(zones)]
    memberships["entered_us"] = time_us
    count = np.array([len(zones) for zones in change.values()], np.int32)
    return StateDelta(last, np.array(list(change), np.int32), count, memberships)


@settings(deadline=None)
@given(changes=changes)
def test_memberships_are_those_of_the_newest_change_of_each_asset(changes):
    state, expected = State(), {}
    for time_us, change in enumerate(changes):
        state.apply(delta_of(change, time_us))
        expected |= {asset: (time_us, sorted(zones)) for asset, zones in change.items()}
        assets = np.array([400, *expected], np.int32)
        rows, position = state.memberships_of(assets)
        last, known = state.last_of(assets)
        assert known.tolist() == [False] + [True] * len(expected)
        for place, asset in enumerate(assets.tolist()[1:], start=1):
            time, zones = expected[asset]
            assert last["time_us"][place] == time
            assert rows["zone"][position == place].tolist() == zones
            assert (rows["entered_us"][position == place] == time).all()
    assert len(state.memberships()) == sum(len(zones) for _, zones in expected.values())


def test_many_changes_of_few_assets_need_no_more_room():
    state = State()
    for time_us in range(2000):
        state.apply(delta_of({time_us % 5: set(range(time_us % 7))}, time_us))
    assert len(state._rows) < 1000


def test_an_asset_may_have_memberships_without_a_last_fix():
    memberships = np.zeros(1, MEMBERSHIP_DTYPE)
    memberships["asset"] = 9
    state = State()
    state.restore(np.zeros(0, LAST_DTYPE), memberships)
    assert not state.last_of(np.array([9]))[1].any()
    assert len(state.memberships_of(np.array([9]))[0]) == 1


def test_restoring_forgets_what_was():
    state = State()
    state.apply(delta_of({3: {1, 2}}, 7))
    state.restore(np.zeros(0, LAST_DTYPE), np.zeros(0, MEMBERSHIP_DTYPE))
    assert len(state.memberships()) == 0
    assert not state.last_of(np.array([3]))[1].any()


def test_what_is_given_twice_is_not_restored():
    with pytest.raises(ValueError, match="two last fixes"):
        State().restore(np.zeros(2, LAST_DTYPE), np.zeros(0, MEMBERSHIP_DTYPE))
    with pytest.raises(ValueError, match="two open memberships"):
        State().restore(np.zeros(0, LAST_DTYPE), np.zeros(2, MEMBERSHIP_DTYPE))
