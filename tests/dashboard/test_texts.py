"""Each code of a problem has a text in each language."""

import re

import pytest

from tests.api.http.problem_codes import codes, documented
from tests.dashboard.browser import ROOT


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_code_has_a_text(language: str) -> None:
    catalogue = (ROOT / "dashboard" / "src" / "texts" / f"{language}.ftl").read_text()
    known = set(re.findall(r"^problem-([a-z-]+) = \S", catalogue, re.MULTILINE))
    given = {code for code, _ in codes()} | documented(409) | documented(429)
    assert len(given) > 90
    assert {code for code in given if code.replace("_", "-") not in known} == set()
