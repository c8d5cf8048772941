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
RESERVING: tuple[State, ...] = ("created", "assigned", "started", "on_hold")
"""The states in which planned parts are reserved."""
USING: tuple[State, ...] = ("assigned", "started", "on_hold", "completed")
"""The states in which parts are used and brought back."""
RELEASING: tuple[State, ...] = ("closed", "cancelled", "cannot_complete")
"""The states that release what is still reserved."""
MOVING_STOCK: tuple[Verb, ...] = ("issue", "close", "cancel", "cannot-complete")
"""The verbs that reserve planned parts or release them."""
ENDED: tuple[State, ...] = ("completed", "closed", "cancelled", "cannot_complete")
OPEN: tuple[State, ...] = ("draft", "created", "assigned", "started", "on_hold")
"""The states of a work order that has not ended: what it names is not deleted."""
SIGNED: tuple[State, ...] = ("completed", "closed")
"""The states in which a work order is not deleted: somebody signed for it."""
FIXED: tuple[State, ...] = ("completed", "closed", "cancelled")
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
