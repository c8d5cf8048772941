"""A code of a problem has one status, wherever it is given, and docs/api.md has it in its row."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()
LISTED = {403, 409, 429}
"""The statuses whose codes a program branches on."""


def codes() -> Iterator[tuple[str, int]]:
    """Yield each code that the API's source has, with its status. docs/live.md has those of the
    WebSocket.
    """
    live = ROOT / "api" / "live"
    for path in (path for path in (ROOT / "api").rglob("*.py") if live not in path.parents):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(ast.Name("Problem"), [ast.Constant(status), ast.Constant(code), _]):
                    yield code, status
                case ast.Call(ast.Name("conflict"), [ast.Constant(code), *_]):
                    yield code, 409
                case _:
                    pass


def documented(status: int) -> set[str]:
    """Return the codes in the row of a status."""
    (row,) = re.findall(rf"^\| [\d, ]*\b{status}\b[\d, ]* \|.*$", PAGE, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


def test_a_code_has_one_status() -> None:
    statuses = defaultdict[str, set[int]](set)
    for code, status in codes():
        statuses[code].add(status)
    assert len(statuses) > 60
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_the_page_has_each_code_in_the_row_of_its_status() -> None:
    missing = {(status, code) for code, status in codes() if status in LISTED}
    assert {each for each in missing if each[1] not in documented(each[0])} == set()
