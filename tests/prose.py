"""Phrases that are no plain English: neither programs nor pages have them, docstrings included.

    python -m tests.prose

prints each as `path:line: phrase` and exits with 1 if there is any. Whether a sentence is worth
reading no program can say.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ("*.md", "docs/*.md", "examples/*.md")
BANNED = re.compile(
    r"\b(so\s+many|of\s+late(?!\s+(fix|ones))|held\s+to\s+be|look(ed|s)\s+over|of\s+whom)\b",
    re.IGNORECASE,
)


def banned_in_page(page: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each banned phrase."""
    for match in BANNED.finditer(page):
        yield page.count("\n", 0, match.start()) + 1, " ".join(match[0].split())


def banned_in_program(source: str) -> Iterator[tuple[int, str]]:
    """Yield the same of a program; the line is that on which its text begins."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for _, phrase in banned_in_page(node.value):
                yield node.lineno, phrase


def main() -> None:
    """Print all banned phrases of the repository, and exit with 1 if there is any."""
    packages = [path.parent for path in sorted(ROOT.glob("*/__init__.py"))]
    programs = [path for package in packages for path in sorted(package.rglob("*.py"))]
    pages = [path for pattern in PAGES for path in sorted(ROOT.glob(pattern))]
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {phrase}"
        for paths, banned_in in ((programs, banned_in_program), (pages, banned_in_page))
        for path in paths
        for line, phrase in banned_in(path.read_text())
    ]
    print("".join(f"{fault}\n" for fault in faults), end="")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
