"""The packed tree finds every box that meets the one asked for, edges included."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geofence.zones.rtree import FANOUT, STACK, pack, search
from tests.geofence.packed import callable_from_python

find = callable_from_python(search)

_side = st.integers(-6, 6)
boxes = st.lists(st.tuples(_side, _side, st.integers(0, 4), st.integers(0, 4)), max_size=150)


def found_by(tree, west, south, east, north, room=1_000) -> list[int]:
    stack, found = np.zeros(STACK, np.int64), np.zeros(room, np.int64)
    ends = map(float, (west, south, east, north))
    count = find(tree, *ends, stack, found, np.int64(0))
    return sorted(found[:count].tolist()) if count >= 0 else [-1]


def array_of(some) -> np.ndarray:
    rows = np.array(some, np.float64).reshape(-1, 4)
    rows[:, 2:] += rows[:, :2]
    return rows


@given(boxes, st.tuples(_side, _side, st.integers(0, 5), st.integers(0, 5)))
def test_a_search_finds_what_looking_at_every_box_finds(some, asked):
    box, (west, south, east, north) = array_of(some), array_of([asked])[0]
    meets = (box[:, 0] <= east) & (box[:, 2] >= west) & (box[:, 1] <= north) & (box[:, 3] >= south)
    tree = pack(box, np.arange(len(box)) + 7)
    assert found_by(tree, west, south, east, north) == (np.flatnonzero(meets) + 7).tolist()


def test_any_number_of_boxes_at_one_place_is_found_without_more_stack():
    for count in (0, 1, FANOUT, FANOUT + 1, FANOUT**3 + 1, 20_000):
        tree = pack(np.zeros((count, 4)), np.arange(count))
        assert found_by(tree, 0, 0, 0, 0, room=count) == list(range(count))


def test_too_little_room_is_told():
    tree = pack(np.zeros((20, 4)), np.arange(20))
    assert found_by(tree, 0, 0, 0, 0, room=19) == [-1]
