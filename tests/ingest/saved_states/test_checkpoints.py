"""How far apart the states lie from which late fixes are judged."""

import msgspec
import numpy as np
import pytest

from geofence.judging.state import StateDelta, blank_assets
from geofence.late.segments import FIXES_PER_SEGMENT
from geofence.model.records import MEMBERSHIP_DTYPE
from ingest.saved_states.checkpoints import SPACING_FIXES, SPACING_US, SavedMembership, spaced

SPACING_STATES = SPACING_FIXES // FIXES_PER_SEGMENT


def _state(time_us: int) -> StateDelta:
    assets = blank_assets(0, 1)
    assets["newest_us"] = time_us
    return StateDelta(assets, np.zeros(1, np.int64), np.empty(0, MEMBERSHIP_DTYPE))


def test_a_member_of_an_older_checkpoint_has_no_overspeed() -> None:
    older = (bytes(16), True, True, False, bytes(16), [1, 2, 3, 4, 5, 6], 0, None)
    member = msgspec.msgpack.decode(msgspec.msgpack.encode(older), type=SavedMembership)
    assert (member.dwelled, member.overspeed) == (True, False)


@pytest.mark.parametrize(
    ("step_us", "count", "kept"),
    [
        pytest.param(SPACING_US, 3, [1, 2, 3], id="slow: all"),
        pytest.param(SPACING_US // 4, 9, [4, 8], id="one for each hour"),
        pytest.param(
            1_000, 2 * SPACING_STATES + 5, [SPACING_STATES, 2 * SPACING_STATES], id="many"
        ),
    ],
)
def test_states_are_kept_by_time_and_by_number(step_us: int, count: int, kept: list[int]) -> None:
    states = [_state(number * step_us) for number in range(1, count + 1)]
    found = [int(state.assets["newest_us"][0]) // step_us for state in spaced(states, 0)]
    assert found == kept
