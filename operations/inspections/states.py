"""The states of an inspection form as data; docs/inspections.md has the same table.

Nobody says `supersede`: the submission of a correction does it.
"""

from typing import Literal

from operations.states import Role, StateMove, StateTable

State = Literal["draft", "submitted", "superseded"]
Verb = Literal["submit", "supersede"]

_LEADS: tuple[Role, ...] = ("dispatcher", "admin")
_OWN: tuple[Role, ...] = ("technician",)

MOVES: tuple[StateMove[State, Verb], ...] = (
    StateMove("draft", "submit", "submitted", _LEADS, _OWN),
    StateMove("submitted", "supersede", "superseded", ()),
)
INSPECTIONS = StateTable("an inspection form", MOVES)


def check_changeable(state: State) -> None:
    """Raise IllegalMoveError where a form does not change any more."""
    if state != "draft":
        raise INSPECTIONS.illegal(state, "to change")


def check_repairable(state: State) -> None:
    """Raise IllegalMoveError where no work order may be made of a form's defects."""
    if state != "submitted":
        raise INSPECTIONS.illegal(state, "to order repairs")
