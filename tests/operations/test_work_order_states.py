"""The table of states of a work order holds together, and docs/work-orders.md shows it."""

import re
from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from operations.states import IllegalMoveError
from operations.work_orders.states import (
    ENDED,
    IN_HANDS,
    MOVES,
    STATES,
    VERBS,
    WORK_ORDERS,
    State,
)

PAGE = (Path(__file__).parents[2] / "docs" / "work-orders.md").read_text()
LEGAL = {(each.state, each.verb): each.then for each in MOVES}


def test_each_verb_leads_from_a_state_to_one_state():
    assert len(LEGAL) == len(MOVES)
    assert {verb for _, verb in LEGAL} == set(VERBS)
    assert {each.state for each in MOVES} == set(STATES) == set(get_args(State))
    pairs = [(each.state, each.then) for each in MOVES]
    assert len(set(pairs)) == len(pairs), "a status is a way to say one verb"


@pytest.mark.parametrize(("state", "verb"), list(product(STATES, VERBS)))
def test_a_verb_leads_on_or_is_refused_with_the_legal_ones(state, verb):
    if (state, verb) in LEGAL:
        assert WORK_ORDERS.move(state, verb) == LEGAL[state, verb]
        return
    with pytest.raises(IllegalMoveError, match=f"^the verb {verb} is not legal") as found:
        WORK_ORDERS.move(state, verb)
    assert found.value.verbs == WORK_ORDERS.legal_verbs(state) != ()


def test_what_has_ended_is_only_closed_or_reopened():
    for state in ENDED:
        assert set(WORK_ORDERS.legal_verbs(state)) <= {"close", "reopen"}
    assert not set(ENDED) & set(IN_HANDS)


def test_a_technician_works_on_what_is_their_own_and_no_more():
    own = {
        verb
        for state, verb in product(STATES, VERBS)
        if WORK_ORDERS.may_move(state, verb, "technician", is_own=True)
    }
    assert own == {"start", "hold", "resume", "complete", "cannot-complete"}
    for role, is_own in (("technician", False), ("viewer", True)):
        assert not any(
            WORK_ORDERS.may_move(state, verb, role, is_own=is_own)
            for state, verb in product(STATES, VERBS)
        )


def test_the_page_draws_the_table():
    drawn = re.findall(r"^    (\w+) --> (\w+): (\S+)$", PAGE, re.MULTILINE)
    assert [(each.state, each.then, each.verb) for each in MOVES] == drawn
    rows = re.findall(r"^\| (\w+) \| `/([\w-]+)` \| (\w+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    who = {(): "dispatcher, admin", ("technician",): "dispatcher, admin, technician if assigned"}
    table = [(each.state, each.verb, each.then, who[each.own_roles]) for each in MOVES]
    assert table == rows
