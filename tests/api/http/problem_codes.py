"""The codes of problems: those that the source has, and those that docs/api.md has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text()


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
