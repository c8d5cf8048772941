"""One of each of several lists, drawn as a single number.

Drawn one by one, the fields of rules and fixes took three quarters of the time of a property.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

MOST = 2**24
"""Beyond this, numbers are no longer drawn evenly."""

Draw = Callable[[st.SearchStrategy[Any]], Any]


class OneOfEach:
    """A choice of an element of each list. The first of each is the simplest."""

    def __init__(self, *lists: Sequence[Any]) -> None:
        count = math.prod(map(len, lists))
        assert count <= MOST, f"{count} combinations: choose from fewer lists at once"
        self._lists = lists
        self._numbers = st.integers(0, count - 1)

    def drawn(self, draw: Draw) -> list[Any]:
        """Draw an element of each list."""
        return self._chosen(draw(self._numbers))

    def strategy(self) -> st.SearchStrategy[list[Any]]:
        """Return the choice as a strategy, which takes longer than `drawn`."""
        return self._numbers.map(self._chosen)

    def _chosen(self, number: int) -> list[Any]:
        found = []
        for each in self._lists:
            number, at = divmod(number, len(each))
            found.append(each[at])
        return found
