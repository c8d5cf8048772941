"""Checklists of work orders: which item of a changed checklist is which of the one before."""

from collections import deque
from collections.abc import Sequence
from itertools import takewhile


def former_places(before: Sequence[str], given: Sequence[str]) -> list[int | None]:
    """Return for each item of a checklist, by their texts, the place that it had before; None: it
    is new. No place is returned twice.

    Items behind the last change of texts are told by their place from the end. Before that, items
    of one text keep their order.
    """
    pairs = zip(reversed(before), reversed(given), strict=False)
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    places: dict[str, deque[int]] = {}
    for place, text in enumerate(before[: len(before) - same]):
        places.setdefault(text, deque()).append(place)
    changed = given[: len(given) - same]
    found = [places[text].popleft() if places.get(text) else None for text in changed]
    return [*found, *range(len(before) - same, len(before))]
