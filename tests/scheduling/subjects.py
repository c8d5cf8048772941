"""The tests of a subject, through all folders: `make test OF=quotes`.

A test is about what the words of its name say, those of its folders, file and parameters included,
or its mark `about`. Whether a word is in the plural does not matter. The rest is for `conftest.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

_WORD = re.compile(r"[a-z]+|\d+")


def is_about(subject: str, names: Iterable[str]) -> bool:
    """Return whether the words of a subject follow each other in one of the names."""
    wanted = _words(subject)
    return any(f" {wanted} " in f" {_words(name)} " for name in names)


def _words(name: str) -> str:
    return " ".join(_singular(word) for word in _WORD.findall(name.lower()))


def _singular(word: str) -> str:
    """Return a word without its plural: of geometries, geometry; of addresses, address."""
    if word.endswith("ies"):
        return f"{word[:-3]}y"
    return re.sub(r"(?<=ss)es$|(?<=[^s])s$", "", word)


def add_option(parser: pytest.Parser) -> None:
    """Add the option that names the subject."""
    told = "only tests of this subject, by words of their names, such as quotes or work-orders"
    parser.addoption("--of", metavar="SUBJECT", help=told)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of all else."""
    subject: str | None = config.getoption("of")
    if subject is None:
        return
    about = [item for item in items if is_about(subject, _names(item))]
    if not about:
        raise pytest.UsageError(f"no test is of {subject!r}: name words of tests' files or names")
    config.hook.pytest_deselected(items=[item for item in items if item not in set(about)])
    items[:] = about


def _names(item: pytest.Item) -> list[str]:
    marks = [subject for mark in item.iter_markers("about") for subject in mark.args]
    return [item.nodeid, *marks]
