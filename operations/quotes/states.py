"""The states of a quote as data; docs/quotes.md has the same table.

Nobody says `view` and `supersede`: the first look at the page of a quote, and the sending of a
later revision, do these.
"""

from typing import Literal, get_args

from operations.states import Role, StateMove, StateTable

QuoteState = Literal["draft", "sent", "viewed", "accepted", "declined", "expired", "superseded"]
QuoteVerb = Literal["send", "view", "accept", "decline", "expire", "supersede"]

QUOTE_STATES: tuple[QuoteState, ...] = get_args(QuoteState)
_LEADS: tuple[Role, ...] = ("dispatcher", "admin")

QUOTE_MOVES: tuple[StateMove[QuoteState, QuoteVerb], ...] = (
    StateMove("draft", "send", "sent", _LEADS),
    StateMove("sent", "view", "viewed", ()),
    StateMove("sent", "accept", "accepted", _LEADS),
    StateMove("sent", "decline", "declined", _LEADS),
    StateMove("sent", "expire", "expired", _LEADS),
    StateMove("sent", "supersede", "superseded", ()),
    StateMove("viewed", "accept", "accepted", _LEADS),
    StateMove("viewed", "decline", "declined", _LEADS),
    StateMove("viewed", "expire", "expired", _LEADS),
    StateMove("viewed", "supersede", "superseded", ()),
    StateMove("declined", "supersede", "superseded", ()),
    StateMove("expired", "supersede", "superseded", ()),
)
QUOTES = StateTable("a quote", QUOTE_MOVES)
REVISABLE = frozenset(each.state for each in QUOTE_MOVES if each.verb == "supersede")
"""The states in which a later revision may follow, and takes the quote's place when it is sent."""
EXPIRING: tuple[QuoteState, ...] = ("sent", "viewed")
"""The states of a quote that expires when its last day is over."""
UNDECIDED: tuple[QuoteState, ...] = ("draft", *EXPIRING)
"""The states of a quote that may still be sent, or accepted."""
STANDING: tuple[QuoteState, ...] = (*EXPIRING, "accepted")
"""The states in which a quote is with its customer, or accepted: it is not deleted."""


def check_editable(state: QuoteState) -> None:
    """Raise IllegalMoveError where the content of a quote may not change."""
    if state != "draft":
        raise QUOTES.illegal(state, "to edit")


def check_accepted(state: QuoteState, action: str) -> None:
    """Raise IllegalMoveError for an action on accepted quotes alone, such as "to convert"."""
    if state != "accepted":
        raise QUOTES.illegal(state, action)


def check_revisable(state: QuoteState) -> None:
    """Raise IllegalMoveError where no later revision may follow."""
    if state not in REVISABLE:
        raise QUOTES.illegal(state, "to revise")
