"""Data of tests: pages of docs/, and real traces, zones and cases beside the repository.

These are in $OPSC_TEST_DATA and $OPSC_TEST_VECTORS, else in ../shared beside the checkout. Where
they are not there, cases of our own (tests/cases/) are what is tested, and the last line that
pytest prints says so.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

CASES = Path(__file__).parent / "cases"
LACKING = "without "
_SHARED = Path(__file__).resolve().parents[2] / "shared"


def _folder(variable: str, name: str) -> Path:
    return Path(os.environ.get(variable, _SHARED / name))


def _needs(folder: Path, what: str, variable: str) -> pytest.MarkDecorator:
    reason = f"{LACKING}{what} ({variable} names their folder)"
    return pytest.mark.skipif(not folder.is_dir(), reason=reason)


DATA = _folder("OPSC_TEST_DATA", "data")
VECTORS = _folder("OPSC_TEST_VECTORS", "vectors")
needs_data = _needs(DATA, "real traces and zones", "OPSC_TEST_DATA")
needs_vectors = _needs(VECTORS, "cases of other projects", "OPSC_TEST_VECTORS")


def cases_of(name: str, folder: Path = VECTORS) -> list[dict[str, Any]]:
    """Return the cases of one file; none where the file is not there."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text())["cases"] if path.exists() else []


FENCES = {
    case["id"]: case
    for case in [
        *cases_of("fences", CASES),
        *cases_of("tile38_fence_detect"),
        *cases_of("issue_scenarios"),
    ]
}


def fence_cases(*names: str) -> pytest.MarkDecorator:
    """Give a test each of the named cases as `case`: ours, and those of others where they are."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(FENCES.get(name), id=name, marks=() if name in FENCES else needs_vectors)
            for name in names
        ],
    )


def rows_after(heading: str, page: str) -> list[list[str]]:
    """Return the cells of a table whose first line begins with `heading`, below its two lines."""
    lines = page[page.index(heading) :].splitlines()[2:]
    table = lines[: next(i for i, line in enumerate(lines) if not line.startswith("|"))]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in table]


def examples_in(page: str) -> list[tuple[str, str]]:
    """Return the programs of a page, each with what it prints."""
    programs = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return list(zip(programs, re.findall(r"```text\n(.*?)```", page, re.DOTALL), strict=True))
