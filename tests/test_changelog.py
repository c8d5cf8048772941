"""CHANGELOG.md: what an administrator reads before an upgrade names every version."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CHANGELOG.md").read_text()
HEADINGS = list(re.finditer(r"^## (.*)$", PAGE, re.MULTILINE))
VERSIONS = {
    heading[1]: PAGE[heading.end() : following.start() if following else len(PAGE)]
    for heading, following in zip(HEADINGS, [*HEADINGS[1:], None], strict=True)
}
FIRST_WITH_NOTES = (0, 3, 0)


def numbers(heading: str) -> tuple[int, ...]:
    found = re.fullmatch(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d\d-\d\d", heading)
    assert found is not None, f"{heading} is no version with its day"
    return tuple(map(int, found.groups()))


def test_the_newest_version_is_what_is_built() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = ".".join(map(str, numbers(next(iter(VERSIONS)))))
    assert newest == project["version"]


def test_versions_are_in_order() -> None:
    order = [numbers(heading) for heading in VERSIONS]
    assert order == sorted(set(order), reverse=True)


@pytest.mark.parametrize(
    "heading", [heading for heading in VERSIONS if numbers(heading) >= FIRST_WITH_NOTES]
)
def test_a_version_says_what_is_to_be_done_by_hand(heading: str) -> None:
    assert "### Upgrade notes\n" in VERSIONS[heading]
