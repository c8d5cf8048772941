"""The states of a timesheet as data; docs/timesheets.md has the same tables."""

from typing import Literal, NamedTuple, get_args

from operations.states import Role, StateMove, StateTable

State = Literal["open", "submitted", "approved", "rejected", "locked"]
Verb = Literal["submit", "approve", "reject", "lock", "reopen"]


class StateRule(NamedTuple):
    """The meaning of a state.

    adjustable: adjustments may be made. keeps_figures: the hours are those of the approval; punches
    and reviews that come later change them after `reopen` alone.
    """

    adjustable: bool
    keeps_figures: bool


STATES: dict[State, StateRule] = {
    "open": StateRule(adjustable=True, keeps_figures=False),
    "submitted": StateRule(adjustable=True, keeps_figures=False),
    "rejected": StateRule(adjustable=True, keeps_figures=False),
    "approved": StateRule(adjustable=False, keeps_figures=True),
    "locked": StateRule(adjustable=False, keeps_figures=True),
}

KEEPING: tuple[State, ...] = tuple(state for state, rule in STATES.items() if rule.keeps_figures)
"""The states in which the hours are those of the approval."""
VERBS: tuple[Verb, ...] = get_args(Verb)
_LEADS: tuple[Role, ...] = ("dispatcher", "admin")
_OWN: tuple[Role, ...] = ("technician",)

MOVES: tuple[StateMove[State, Verb], ...] = (
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
TIMESHEETS = StateTable("a timesheet", MOVES)


def check_adjustable(state: State) -> None:
    """Raise IllegalMoveError where no adjustment may be made in a state."""
    if not STATES[state].adjustable:
        raise TIMESHEETS.illegal(state, "to adjust")
