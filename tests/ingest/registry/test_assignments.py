"""Which asset a fix belongs to: [from, to) of each assignment, held against plain look-ups."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.registry.assignments import Assignments, AssignmentSpan, Spans
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
                assignments.put(tracker, AssignmentSpan(begin, end, asset))
        for time_us in range(22):
            row = tracker * 22 + time_us
            rows["tracker"][row], rows["time_us"][row] = tracker, time_us
            begun = [instant for instant in instants if instant <= time_us]
            asset = history[begun[-1]] if begun else None
            expected.append(-1 if asset is None else asset)
    found = assignments.assets(rows["tracker"], rows["time_us"])
    assert found.tolist() == expected


# In the order of their being told: owner, when it begins, when it ends now.
tellings = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(1, 9), st.integers(0, 9)),
    max_size=30,
)


@given(tellings)
def test_what_was_told_last_of_each_span_is_known_in_order(
    told: list[tuple[int, int, int, int]],
) -> None:
    spans = Spans()
    expected: dict[int, dict[int, AssignmentSpan]] = {}
    for owner, begin, length, other in told:
        span = AssignmentSpan(begin * 10, begin * 10 + length, other)
        known = expected.setdefault(owner, {})
        assert spans.put(owner, span) == (span.from_us not in known)
        known[span.from_us] = span
    for owner in range(7):
        assert spans.of(owner) == sorted(expected.get(owner, {}).values())


@given(tellings)
def test_the_only_span_of_an_owner_stands_in_the_arrays(
    told: list[tuple[int, int, int, int]],
) -> None:
    spans = Spans()
    spans.hold(6)
    for owner, begin, length, other in told:
        spans.put(owner, AssignmentSpan(begin * 10, begin * 10 + length, other))
    for owner in range(6):
        known = spans.of(owner)
        assert spans.is_several[owner] == (len(known) > 1)
        if len(known) == 1:
            assert (spans.from_us[owner], spans.to_us[owner], spans.other[owner]) == known[0]
        else:
            assert spans.other[owner] == -1
