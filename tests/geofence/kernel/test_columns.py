"""Columns and marks: what an index grows out of, and shares with those that it grew out of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from geofence.kernel.columns import Column
from geofence.zones.versions import MAX_TIME_US, MIN_TIME_US, no_marks, with_more

growth = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 40)), max_size=12)


@given(growth)
def test_columns_that_grow_out_of_one_another_keep_their_own_rows(steps):
    known = [(Column(np.empty(0, np.int64)), [])]
    for number, (parent, more) in enumerate(steps):
        column, rows = known[parent % len(known)]
        new = [number * 100 + place for place in range(more)]
        known.append((column.with_more(np.array(new, np.int64)), rows + new))
    assert [column.rows.tolist() for column, _ in known] == [rows for _, rows in known]


instants = st.sampled_from([MIN_TIME_US, MAX_TIME_US, 0, 1, 2, 3, 50])
some_marks = st.lists(st.tuples(st.integers(0, 3), instants), max_size=90)


@given(st.lists(some_marks, max_size=3))
def test_marks_are_in_order_none_twice_and_never_at_no_time(rounds):
    marks, expected = no_marks(), set()
    for some in rounds:
        organization, time_us = np.array(some, np.int64).reshape(-1, 2).T
        before = marks.tolist()
        grown = with_more(marks, organization, time_us)
        assert marks.tolist() == before
        marks = grown
        expected |= {(o, t) for o, t in some if MIN_TIME_US < t < MAX_TIME_US}
    assert marks.tolist() == sorted(expected)
