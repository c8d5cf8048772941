"""The states of a work order as data; docs/work-orders.md has the same table."""

from typing import Literal, get_args

from operations.states import Role, StateMove, StateTable

State = Literal[
    "draft",
    "created",
    "assigned",
    "started",
    "on_hold",
    "completed",
    "closed",
    "cancelled",
    "cannot_complete",
]
Verb = Literal[
    "issue",
    "assign",
    "start",
    "hold",
    "resume",
    "complete",
    "close",
    "cancel",
    "cannot-complete",
    "reopen",
]

Priority = Literal["low", "normal", "high", "urgent"]

PRIORITIES: tuple[Priority, ...] = get_args(Priority)
STATES: tuple[State, ...] = get_args(State)
VERBS: tuple[Verb, ...] = get_args(Verb)
IN_HANDS: tuple[State, ...] = ("assigned", "started", "on_hold")
"""The states in which a work order has assignees, who may punch at its site."""
GOING_ON: tuple[State, ...] = ("assigned", "started")
"""Those of them in which work begins or goes on: it is not on hold."""
UNASSIGNED: tuple[State, ...] = ("draft", "created", "cancelled")
"""The states of a work order that nobody ever had, unless it was taken from them."""
RESERVING: tuple[State, ...] = ("created", *IN_HANDS)
"""The states in which planned parts are reserved."""
USING: tuple[State, ...] = (*IN_HANDS, "completed")
"""The states in which parts are used and brought back."""
RELEASING: tuple[State, ...] = ("closed", "cancelled", "cannot_complete")
"""The states that release what is still reserved."""
MOVING_STOCK: tuple[Verb, ...] = ("issue", "close", "cancel", "cannot-complete")
"""The verbs that reserve planned parts or release them."""
ENDED: tuple[State, ...] = ("completed", *RELEASING)
OPEN: tuple[State, ...] = ("draft", *RESERVING)
"""The states of a work order that has not ended: what it names is not deleted."""
SIGNED: tuple[State, ...] = ("completed", "closed")
"""The states in which a work order is not deleted: somebody signed for it."""
FIXED: tuple[State, ...] = (*SIGNED, "cancelled")
"""The states in which the content does not change: somebody signed for it, or it is over."""
ENDING: tuple[Verb, ...] = ("complete", "close", "cancel", "cannot-complete")
"""The verbs by which a work order ends."""
NEEDING_A_REASON: tuple[Verb, ...] = ("hold", "cancel", "cannot-complete")

MAX_DEPTH = 5
"""The most levels of work orders: one, its children, theirs, and so on."""

_LEADS: tuple[Role, ...] = ("dispatcher", "admin")
_OWN: tuple[Role, ...] = ("technician",)

MOVES: tuple[StateMove[State, Verb], ...] = (
    StateMove("draft", "issue", "created", _LEADS),
    StateMove("draft", "cancel", "cancelled", _LEADS),
    StateMove("created", "assign", "assigned", _LEADS),
    StateMove("created", "cancel", "cancelled", _LEADS),
    StateMove("assigned", "assign", "assigned", _LEADS),
    StateMove("assigned", "start", "started", _LEADS, _OWN),
    StateMove("assigned", "cancel", "cancelled", _LEADS),
    StateMove("assigned", "cannot-complete", "cannot_complete", _LEADS, _OWN),
    StateMove("started", "hold", "on_hold", _LEADS, _OWN),
    StateMove("started", "complete", "completed", _LEADS, _OWN),
    StateMove("started", "cancel", "cancelled", _LEADS),
    StateMove("started", "cannot-complete", "cannot_complete", _LEADS, _OWN),
    StateMove("on_hold", "resume", "started", _LEADS, _OWN),
    StateMove("on_hold", "cancel", "cancelled", _LEADS),
    StateMove("on_hold", "cannot-complete", "cannot_complete", _LEADS, _OWN),
    StateMove("completed", "close", "closed", _LEADS),
    StateMove("completed", "reopen", "assigned", _LEADS),
    StateMove("cannot_complete", "close", "closed", _LEADS),
    StateMove("cannot_complete", "reopen", "assigned", _LEADS),
    StateMove("closed", "reopen", "assigned", _LEADS),
    StateMove("cancelled", "reopen", "created", _LEADS),
)
WORK_ORDERS = StateTable("a work order", MOVES)
