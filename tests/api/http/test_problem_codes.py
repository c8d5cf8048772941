"""A code of a problem has one status, wherever it is given, and docs/api.md has it in its row."""

from collections import defaultdict

from tests.api.http.problem_codes import codes, documented

LISTED = {403, 409, 429}
"""The statuses whose codes a program branches on."""


def test_a_code_has_one_status() -> None:
    statuses = defaultdict[str, set[int]](set)
    for code, status in codes():
        statuses[code].add(status)
    assert len(statuses) > 60
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_the_page_has_each_code_in_the_row_of_its_status() -> None:
    missing = {(status, code) for code, status in codes() if status in LISTED}
    assert {each for each in missing if each[1] not in documented(each[0])} == set()
