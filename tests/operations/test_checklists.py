"""An item of a checklist is the one that it was before, and no other of the same text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.work_orders.checklists import former_places

texts = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("before", "now", "places"),
    [
        ("", "ab", [None, None]),
        ("aab", "aab", [0, 1, 2]),
        ("ab", "ba", [1, 0]),
        ("aa", "xaa", [None, 0, 1]),
        ("aa", "aax", [0, 1, None]),
        ("aba", "xba", [None, 1, 2]),
        ("aba", "ba", [1, 2]),
        ("abac", "abad", [0, 1, 2, None]),
        ("a", "aa", [None, 0]),
        ("abcab", "cabxa", [2, 0, 1, None, 3]),
    ],
)
def test_items_are_told_by_text_and_place(before, now, places):
    assert former_places(before, now) == places


@given(texts, texts)
def test_each_item_was_one_of_its_text_and_no_other_item_was_the_same(before, now):
    places = former_places(before, now)
    assert len(places) == len(now)
    known = [place for place in places if place is not None]
    assert len(set(known)) == len(known)
    for text, place in zip(now, places, strict=True):
        assert place is None or before[place] == text
    for text in set(now):
        new = sum(place is None for one, place in zip(now, places, strict=True) if one == text)
        assert new == max(now.count(text) - before.count(text), 0)


@given(texts)
def test_a_checklist_with_the_same_texts_has_the_same_items(before):
    assert former_places(before, before) == list(range(len(before)))


@given(texts, st.data())
def test_what_is_put_in_or_taken_out_leaves_the_other_items(before, data):
    place = data.draw(st.integers(0, len(before)))
    with_one = [*before[:place], "x", *before[place:]]
    rest = list(range(len(before)))
    assert former_places(before, with_one) == [*rest[:place], None, *rest[place:]]
    others = [at for at in range(len(with_one)) if at != place]
    assert former_places(with_one, before) == others
