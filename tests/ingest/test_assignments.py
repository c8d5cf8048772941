"""Which asset a fix belongs to: [from, to) of each assignment, held against a plain look-up."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.registry.assignments import Assignments
from ingest.registry.spans import Span
from telemetry.fix import blank_rows

TRACKERS = 3
# Per tracker the instants at which its assignment changes, and the asset (or none) from then on.
histories = st.lists(
    st.dictionaries(st.integers(0, 20), st.one_of(st.none(), st.integers(0, 9)), max_size=4),
    min_size=TRACKERS,
    max_size=TRACKERS,
)


@given(histories)
def test_a_fix_belongs_to_the_asset_assigned_at_its_own_time(
    changes: list[dict[int, int | None]],
) -> None:
    assignments = Assignments()
    expected: list[int] = []
    rows = blank_rows(TRACKERS * 22)
    for tracker, history in enumerate(changes):
        instants = sorted(history)
        for begin, end in zip(instants, [*instants[1:], 2**63 - 1], strict=False):
            asset = history[begin]
            if asset is not None:
                assignments.put(tracker, Span(begin, end, asset))
        for time_us in range(22):
            row = tracker * 22 + time_us
            rows["tracker"][row], rows["time_us"][row] = tracker, time_us
            begun = [instant for instant in instants if instant <= time_us]
            asset = history[begun[-1]] if begun else None
            expected.append(-1 if asset is None else asset)
    found = assignments.assets(rows["tracker"], rows["time_us"])
    assert found.tolist() == expected
