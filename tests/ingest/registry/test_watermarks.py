"""Which fixes may go by plain COPY: held against a plain walk through the batch."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ingest.registry.watermarks import Watermarks
from telemetry.fix import FixBatch, blank_rows

Fix = tuple[int, int, int]  # tracker, time_us, seq
fixes = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4), st.integers(0, 2)), max_size=12)


def batch_of(rows: list[Fix]) -> FixBatch:
    batch = FixBatch(blank_rows(len(rows)))
    for column, values in zip(("tracker", "time_us", "seq"), zip(*rows, strict=True), strict=False):
        batch.rows[column] = values
    return batch


def walk(newest: dict[int, tuple[int, int]], rows: list[Fix]) -> list[bool]:
    """Return which fixes are new: a tracker's share is if each of its fixes lies beyond all before
    it.
    """
    reached = dict(newest)
    held_back: set[int] = set()
    for tracker, time_us, seq in rows:
        if tracker in reached and (time_us, seq) <= reached[tracker]:
            held_back.add(tracker)
        else:
            reached[tracker] = time_us, seq
    newest.update(reached)
    return [tracker not in held_back for tracker, _, _ in rows]


@given(st.lists(fixes, max_size=5))
def test_only_trackers_whose_fixes_all_lie_beyond_what_came_before_are_new(
    batches: list[list[Fix]],
) -> None:
    watermarks, newest = Watermarks(), dict[int, tuple[int, int]]()
    for rows in batches:
        batch = batch_of(rows)
        assert watermarks.surely_new(batch).tolist() == walk(newest, rows)
        watermarks.advance(batch)


@given(fixes)
def test_restored_watermarks_are_those_that_were_lost(rows: list[Fix]) -> None:
    kept, restored = Watermarks(), Watermarks()
    newest: dict[int, tuple[int, int]] = {}
    walk(newest, rows)
    kept.advance(batch_of(rows))
    restored.restore((tracker, *at) for tracker, at in newest.items())
    probe = batch_of(
        [(tracker, time, seq) for tracker in range(4) for time in range(5) for seq in range(3)]
    )
    for row in range(len(probe)):
        one = probe.take(np.array([row]))
        assert kept.surely_new(one).tolist() == restored.surely_new(one).tolist()
