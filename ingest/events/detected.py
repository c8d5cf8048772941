"""Events with the fix that made each of them known, and their order.

Assets with late fixes are judged apart from the others. The order of the events is that of the
arrival of fixes all the same, however the fixes are judged and cut into batches.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from db.history.events import Event

BEFORE_FIXES = -1  # of what stored fixes show, before those of the batch
AFTER_FIXES = 2**62  # of what has fallen due without a fix
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class DetectedEvent(NamedTuple):
    """An event, and the number of the fix that made it known, in order of arrival."""

    fix: int
    event: Event


def in_order(known: Iterable[DetectedEvent]) -> list[Event]:
    """Return the events by the fix that made each known, then the events without a fix by time.

    Events of one fix, and of one asset, keep their order.
    """
    return [detected.event for detected in sorted(known, key=_place)]


def _place(detected: DetectedEvent) -> tuple[int, datetime]:
    return detected.fix, detected.event.occurred_at if detected.fix == AFTER_FIXES else _NO_TIME
