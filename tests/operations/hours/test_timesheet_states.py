"""The table of states of a timesheet holds together, and the functions look things up in it."""

from itertools import product
from typing import get_args

import pytest

from operations.hours.timesheet_states import (
    MOVES,
    STATES,
    TIMESHEETS,
    VERBS,
    State,
    check_adjustable,
)
from operations.states import IllegalMoveError, Role

ROLES = get_args(Role)
LEGAL = {(each.state, each.verb): each.then for each in MOVES}


def test_each_verb_leads_to_one_state():
    assert len(LEGAL) == len(MOVES)
    assert set(LEGAL.values()) == STATES.keys() == set(get_args(State))
    assert {verb for _, verb in LEGAL} == set(VERBS)


@pytest.mark.parametrize(("state", "verb"), list(product(STATES, VERBS)))
def test_a_verb_leads_on_or_is_refused_with_the_legal_ones(state, verb):
    if (state, verb) in LEGAL:
        assert TIMESHEETS.move(state, verb) == LEGAL[state, verb]
        return
    with pytest.raises(IllegalMoveError, match=f"^the verb {verb} is not legal") as found:
        TIMESHEETS.move(state, verb)
    assert found.value.state == state
    assert found.value.verbs == TIMESHEETS.legal_verbs(state) != ()
    assert verb not in found.value.verbs


@pytest.mark.parametrize("state", STATES)
def test_every_state_leads_back_to_open_unless_it_is(state):
    assert ("reopen" in TIMESHEETS.legal_verbs(state)) == (state != "open")


@pytest.mark.parametrize("state", ["approved", "locked"])
def test_figures_that_are_kept_take_no_adjustment(state):
    assert STATES[state].keeps_figures
    with pytest.raises(IllegalMoveError, match="to adjust is not legal for a timesheet whose"):
        check_adjustable(state)


@pytest.mark.parametrize(
    ("state", "verb", "roles", "own_roles"),
    [
        ("open", "submit", {"dispatcher", "admin"}, {"technician", "dispatcher", "admin"}),
        ("submitted", "approve", {"dispatcher", "admin"}, {"dispatcher", "admin"}),
        ("submitted", "reopen", {"dispatcher", "admin"}, {"technician", "dispatcher", "admin"}),
        ("approved", "reopen", {"dispatcher", "admin"}, {"dispatcher", "admin"}),
        ("approved", "lock", {"admin"}, {"admin"}),
        ("locked", "reopen", {"admin"}, {"admin"}),
        ("open", "lock", {"admin"}, {"admin"}),  # not legal here: asked of the states where it is
    ],
)
def test_roles_may_what_the_table_says(state, verb, roles, own_roles):
    for is_own, expected in ((False, roles), (True, own_roles)):
        assert {r for r in ROLES if TIMESHEETS.may_move(state, verb, r, is_own=is_own)} == expected


def test_a_viewer_may_nothing():
    assert not any(
        TIMESHEETS.may_move(state, verb, "viewer", is_own=True)
        for state, verb in product(STATES, VERBS)
    )
