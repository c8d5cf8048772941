"""The table of states of an inspection form, and the page that shows it."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from operations.inspections.answers import TYPES
from operations.inspections.states import INSPECTIONS, MOVES, State, Verb, check_changeable
from operations.states import IllegalMoveError
from tests.data import rows_after

PAGE = (Path(__file__).parents[2] / "docs" / "inspections.md").read_text("utf-8")
LEGAL = {(each.state, each.verb): each.then for each in MOVES}


@pytest.mark.parametrize(("state", "verb"), list(product(get_args(State), get_args(Verb))))
def test_a_verb_leads_on_or_is_refused(state, verb):
    if (state, verb) in LEGAL:
        assert INSPECTIONS.move(state, verb) == LEGAL[state, verb]
    else:
        with pytest.raises(IllegalMoveError, match=f"{verb} is not legal .* status is {state}"):
            INSPECTIONS.move(state, verb)


@pytest.mark.parametrize("state", get_args(State))
def test_a_draft_alone_can_be_changed(state):
    if state == "draft":
        check_changeable(state)
    else:
        with pytest.raises(IllegalMoveError):
            check_changeable(state)


def test_the_page_has_the_moves_and_the_types_of_the_code():
    by_itself = "the submission of a correction"
    assert rows_after("| state | verb |", PAGE) == [
        [
            *(each.state, each.verb, each.then),
            *(", ".join(each.roles) or by_itself, ", ".join(each.own_roles)),
        ]
        for each in MOVES
    ]
    assert [row[0] for row in rows_after("| type | the value |", PAGE)] == list(TYPES)


def test_the_page_draws_the_moves_of_the_code():
    drawn = re.findall(r"^    (\w+) --> (\w+): (\S+)$", PAGE, re.MULTILINE)
    assert drawn == [(each.state, each.then, each.verb) for each in MOVES]
