"""Values of before a plan was taken: a plan that the database refuses is undone in memory.

Only what the plan touches is copied, so that a term goes on with all that it knows.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

Undo = Callable[[], None]


def undo_of(mapping: dict[K, V], keys: Iterable[K]) -> Undo:
    """Return what gives the keys their present values back, and removes those that have none."""
    before = {key: mapping.get(key) for key in keys}

    def undo() -> None:
        for key, value in before.items():
            if value is None:
                mapping.pop(key, None)
            else:
                mapping[key] = value

    return undo
