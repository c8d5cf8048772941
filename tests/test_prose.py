"""The lint of the prose finds what it is there for, and nothing else."""

import ast
import tomllib

import pytest

from tests.prose import WORDS, Rules, docstring_faults, module_faults, page_faults, read_rules


@pytest.fixture(scope="module")
def rules() -> Rules:
    return read_rules(tomllib.loads(WORDS.read_text()))


def faults_of(source: str, rules: Rules) -> list[int]:
    return [line for line, _ in docstring_faults(ast.parse(source), "module", rules)]


@pytest.mark.parametrize(
    "docstring",
    [
        "What is not asked for an answer goes out at once.",
        "Who may not do it hears of no fault.",
        "Of the assets the newest one.",
        "Where the way to the fix begins.",
        "As `gather`, for an asset at rest.",
        "How many edges cross the meridian.",
        "When the clocks come to a wall time.",
        "The boxes of all shapes.",
        "`deleted`: one that is deleted will do.",
        "Writes the rows.",
    ],
)
def test_a_function_that_starts_with_no_verb_is_a_fault(docstring: str, rules: Rules) -> None:
    assert faults_of(f'def f() -> None:\n    """{docstring}"""', rules) == [1]


@pytest.mark.parametrize("docstring", ["Return the boxes.", "Write, then close.", "Yield: rows."])
def test_a_function_that_starts_with_a_verb_is_none(docstring: str, rules: Rules) -> None:
    assert faults_of(f'async def f() -> None:\n    """{docstring}"""', rules) == []


@pytest.mark.parametrize(
    "docstring", ["What a batch does.", "Of one asset.", "Takes a letter.", "Decode the fixes."]
)
@pytest.mark.parametrize(
    "head", ["class C:", "@property\ndef c(self):", "@pytest.fixture(scope='module')\ndef c():"]
)
def test_a_noun_is_missing_where_a_value_starts_otherwise(
    head: str, docstring: str, rules: Rules
) -> None:
    assert len(faults_of(f'{head}\n    """{docstring}"""', rules)) == 1
    assert faults_of(f'{head}\n    """The fixes of one asset."""', rules) == []
    assert faults_of(f'{head}\n    """Counts of fixes."""', rules) == []


def test_the_docstring_of_a_test_may_begin_with_any_word(rules: Rules) -> None:
    assert faults_of('def test_it_ends():\n    """Whoever waits."""', rules) == []


def test_a_module_starts_with_a_noun_unless_it_holds_tests(rules: Rules) -> None:
    tree = ast.parse('"""How a list is sorted."""')
    assert len(list(docstring_faults(tree, "orders", rules))) == 1
    assert list(docstring_faults(tree, "test_orders", rules)) == []


def test_a_method_inside_of_a_function_is_read_too(rules: Rules) -> None:
    source = (
        'def f():\n    class C:\n        def g(self):\n            """How it goes."""\n    return C'
    )
    assert faults_of(source, rules) == [3]


@pytest.mark.parametrize(
    "words",
    ["At most so_many.", "SO_\nMANY of them", "refused of_late", "Of_whom nothing is known"],
)
def test_banned_phrases_are_found_in_pages_and_in_messages(words: str, rules: Rules) -> None:
    text = words.replace("_", " ")
    assert [line for line, _ in page_faults(f"One.\n{text}", rules)] == [2]
    assert len(list(module_faults("m", f"say({text!r})", rules, is_unclean=False))) == 1


def test_words_of_a_banned_phrase_apart_are_none(rules: Rules) -> None:
    assert list(page_faults("Fixes of late fixes: so few, not many.", rules)) == []


def test_a_listed_module_may_have_faults_and_must_have_one(rules: Rules) -> None:
    unclean, clean = 'class C:\n    """What it does."""', "x = 1"
    assert list(module_faults("m", unclean, rules, is_unclean=True)) == []
    assert [line for line, _ in module_faults("m", unclean, rules, is_unclean=False)] == [1]
    assert len(list(module_faults("m", clean, rules, is_unclean=True))) == 1
    assert list(module_faults("m", clean, rules, is_unclean=False)) == []
