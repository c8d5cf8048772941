"""The states of a timesheet as data: what leads from one to another, and who may do it.

The tables are all there is: the functions look things up in them. A database that keeps states can
make its constraint of `STATES` and `MOVES`, and docs/timesheets.md has the same tables.
"""

from typing import Literal, NamedTuple, get_args

State = Literal["open", "submitted", "approved", "rejected", "locked"]
Verb = Literal["submit", "approve", "reject", "lock", "reopen"]
Role = Literal["viewer", "technician", "dispatcher", "admin"]


class StateRule(NamedTuple):
    """The meaning of a state.

    adjustable: adjustments may be made. keeps_figures: the hours are those of the approval; punches
    and reviews that come later change them after `reopen` alone.
    """

    adjustable: bool
    keeps_figures: bool


class StateMove(NamedTuple):
    """A way from a state to another. roles: who may; own_roles: who may for the own timesheet."""

    state: State
    verb: Verb
    then: State
    roles: tuple[Role, ...]
    own_roles: tuple[Role, ...] = ()


STATES: dict[State, StateRule] = {
    "open": StateRule(adjustable=True, keeps_figures=False),
    "submitted": StateRule(adjustable=True, keeps_figures=False),
    "rejected": StateRule(adjustable=True, keeps_figures=False),
    "approved": StateRule(adjustable=False, keeps_figures=True),
    "locked": StateRule(adjustable=False, keeps_figures=True),
}

VERBS: tuple[Verb, ...] = get_args(Verb)
_LEADS: tuple[Role, ...] = ("dispatcher", "admin")
_OWN: tuple[Role, ...] = ("technician",)

MOVES = (
    StateMove("open", "submit", "submitted", _LEADS, _OWN),
    StateMove("submitted", "approve", "approved", _LEADS),
    StateMove("submitted", "reject", "rejected", _LEADS),
    StateMove("submitted", "reopen", "open", _LEADS, _OWN),
    StateMove("rejected", "submit", "submitted", _LEADS, _OWN),
    StateMove("rejected", "reopen", "open", _LEADS, _OWN),
    StateMove("approved", "lock", "locked", ("admin",)),
    StateMove("approved", "reopen", "open", _LEADS),
    StateMove("locked", "reopen", "open", ("admin",)),
)
_MOVES = {(move.state, move.verb): move for move in MOVES}


class TimesheetStateError(Exception):
    """A request that the state of the timesheet does not allow.

    state: the state it is in. verbs: those that are legal there.
    """

    def __init__(self, state: State, action: str) -> None:
        self.state = state
        self.verbs = legal_verbs(state)
        legal = ", ".join(self.verbs)
        super().__init__(f"to {action} a timesheet that is {state} is not legal; legal is: {legal}")


def legal_verbs(state: State) -> tuple[Verb, ...]:
    """Return the verbs that lead out of a state, whoever says them."""
    return tuple(move.verb for move in MOVES if move.state == state)


def move(state: State, verb: Verb) -> State:
    """Return the state after a verb. Raises TimesheetStateError where the verb is not legal."""
    found = _MOVES.get((state, verb))
    if found is None:
        raise TimesheetStateError(state, verb)
    return found.then


def verb_between(state: State, then: State) -> Verb:
    """Return the verb that leads from a state to another. Raises TimesheetStateError where none
    does.
    """
    for each in MOVES:
        if (each.state, each.then) == (state, then):
            return each.verb
    raise TimesheetStateError(state, f"make {then}")


def may_move(state: State, verb: Verb, role: Role, *, is_own: bool) -> bool:
    """Return whether a role may say a verb in a state. is_own: the timesheet is the user's own.

    Where the verb is not legal in the state, the answer is that of the states where it is: so a
    caller learns first whether they may at all.
    """
    here = [each for each in MOVES if (each.state, each.verb) == (state, verb)]
    anywhere = [each for each in MOVES if each.verb == verb]
    return any(
        role in each.roles or (is_own and role in each.own_roles) for each in here or anywhere
    )


def check_adjustable(state: State) -> None:
    """Raise TimesheetStateError where no adjustment may be made in a state."""
    if not STATES[state].adjustable:
        raise TimesheetStateError(state, "adjust")
