"""The lint of the prose finds what it is there for, and nothing else."""

import pytest

from tests.prose import banned_in_page, banned_in_program


@pytest.mark.parametrize(
    "words",
    ["At most so_many.", "SO_\nMANY of them", "refused of_late", "Of_whom nothing is known"],
)
def test_banned_phrases_are_found_in_pages_and_in_programs(words: str) -> None:
    text = words.replace("_", " ")
    assert [line for line, _ in banned_in_page(f"One.\n{text}")] == [2]
    assert [line for line, _ in banned_in_program(f"x = 1\nsay({text!r})")] == [2]


def test_words_of_a_banned_phrase_apart_are_none() -> None:
    assert list(banned_in_page("Fixes of late fixes: so few, not many.")) == []
