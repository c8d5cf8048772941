"""Spans of time by owner, held against a plain dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from ingest.registry.spans import Span, Spans

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
    expected: dict[int, dict[int, Span]] = {}
    for owner, begin, length, other in told:
        span = Span(begin * 10, begin * 10 + length, other)
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
        spans.put(owner, Span(begin * 10, begin * 10 + length, other))
    for owner in range(6):
        known = spans.of(owner)
        assert spans.is_several[owner] == (len(known) > 1)
        if len(known) == 1:
            assert (spans.from_us[owner], spans.to_us[owner], spans.other[owner]) == known[0]
        else:
            assert spans.other[owner] == -1
