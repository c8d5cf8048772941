"""Tables of states: what leads from one state of a thing to another, and who may do it.

A table is data. Code looks moves up in it while the thing's row is locked, and documents print it.
"""

from typing import Generic, Literal, NamedTuple, TypeVar

Role = Literal["viewer", "technician", "dispatcher", "admin"]
State = TypeVar("State", bound=str)
Verb = TypeVar("Verb", bound=str)


class StateMove(NamedTuple, Generic[State, Verb]):
    """A way from a state to another.

    roles: who may say the verb; empty: nobody says it, the move follows from something else.
    own_roles: who may where it is their own.
    """

    state: State
    verb: Verb
    then: State
    roles: tuple[Role, ...]
    own_roles: tuple[Role, ...] = ()


class IllegalMoveError(Exception):
    """A request that the state of a thing does not allow.

    state: the state it is in. verbs: those that are legal there. action: the first words of the
    sentence, such as "to edit".
    """

    def __init__(self, thing: str, state: str, verbs: tuple[str, ...], action: str) -> None:
        self.state = state
        self.verbs = verbs
        legal = ", ".join(verbs) or "nothing"
        super().__init__(
            f"{action} is not legal for {thing} whose status is {state}; legal is: {legal}"
        )


class StateTable(Generic[State, Verb]):
    """The moves of one kind of thing. thing: as in a sentence, such as "a work order"."""

    def __init__(self, thing: str, moves: tuple[StateMove[State, Verb], ...]) -> None:
        self.thing = thing
        self.moves = moves
        self._moves = {(each.state, each.verb): each for each in moves}

    def legal_verbs(self, state: State) -> tuple[Verb, ...]:
        """Return the verbs by which somebody leads out of a state."""
        return tuple(each.verb for each in self.moves if each.state == state and each.roles)

    def move(self, state: State, verb: Verb) -> State:
        """Return the state after a verb. Raises IllegalMoveError where the verb is not legal."""
        found = self._moves.get((state, verb))
        if found is None:
            raise self.illegal(state, f"the verb {verb}")
        return found.then

    def verb_between(self, state: State, then: State) -> Verb:
        """Return the verb that leads from a state to another. Raises IllegalMoveError where none
        does.
        """
        for each in self.moves:
            if (each.state, each.then) == (state, then):
                return each.verb
        raise self.illegal(state, f"to become {then}")

    def may_move(self, state: State, verb: Verb, role: Role, *, is_own: bool) -> bool:
        """Return whether a role may say a verb in a state. is_own: the thing is the user's own.

        Where the verb is not legal in the state, the answer is that of the states where it is: so a
        caller learns first whether they may at all.
        """
        here = [each for each in self.moves if (each.state, each.verb) == (state, verb)]
        anywhere = [each for each in self.moves if each.verb == verb]
        return any(
            role in each.roles or (is_own and role in each.own_roles) for each in here or anywhere
        )

    def illegal(self, state: State, action: str) -> IllegalMoveError:
        """Return the error for an action that the state does not allow, such as "to edit"."""
        return IllegalMoveError(self.thing, state, self.legal_verbs(state), action)
