"""Checklists of work orders: which item of a changed checklist is which of the one before, and who
has done it.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

_UNDONE = {"done": False, "by": None, "at": None}


def checked_off(
    before: Sequence[Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    done_now: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Return a checklist as it is stored: what was done already stays by whoever did it.

    before: as it is stored. given: texts, and whether they are done. done_now: `done`, `by` and
    `at` of an item that is done now.
    """
    texts = [each["text"] for each in before], [each["text"] for each in given]
    formers = [
        None if place is None or not before[place]["done"] else before[place]
        for place in former_places(*texts)
    ]
    return [
        {"text": task["text"], **((former or done_now) if task["done"] else _UNDONE)}
        for task, former in zip(given, formers, strict=True)
    ]


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
