"""Events with the fix that made each of them known, and their order.

Assets with late fixes are judged apart from the others. The order of the events is that of the
arrival of fixes all the same, however the fixes are judged and cut into batches.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.history.events import Event
from ingest.events.transition_rows import TransitionRow
from telemetry.fix import Flag

BEFORE_FIXES = -1  # of what stored fixes show, before those of the batch
AFTER_FIXES = 2**62  # of what has fallen due without a fix
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)


class DetectedEvent(NamedTuple):
    """An event, and the number of the fix that made it known, in order of arrival."""

    fix: int
    event: Event


class Detection(NamedTuple):
    """How an event became known. at: when; by_late_fix: by a fix out of order; flags: the `Flag`
    bits of what made it known.
    """

    at: str
    by_late_fix: bool
    flags: int

    @property
    def source(self) -> Literal["upload"] | None:
        return "upload" if self.flags & Flag.UPLOADED else None

    @property
    def late(self) -> bool:
        return self.by_late_fix or self.source is not None

    @property
    def is_for_webhooks(self) -> bool:
        return not self.flags & Flag.QUIET


FlagsOf: TypeAlias = Callable[[int, TransitionRow], int]
"""Returns the flags of what made a transition known. Its first argument is as
`DetectedEvent.fix`."""


def flags_in(rows: NDArray[np.void]) -> FlagsOf:
    """Return the function for fixes in order (FIX_DTYPE). What has fallen due when they came has
    the flags of the last fix of its asset.
    """
    if not (rows["flags"] & Flag.UPLOADED).any():
        return lambda *_: 0

    def flags_of(fix: int, transition: TransitionRow) -> int:
        if fix != AFTER_FIXES:
            return int(rows["flags"][fix])
        own = rows["flags"][rows["asset"] == transition.asset]
        return int(own[-1]) if len(own) else 0

    return flags_of


def in_order(known: Iterable[DetectedEvent]) -> list[Event]:
    """Return the events by the fix that made each known, then the events without a fix by time.

    Events of one fix, and of one asset, keep their order.
    """
    return [detected.event for detected in sorted(known, key=_place)]


def _place(detected: DetectedEvent) -> tuple[int, datetime]:
    return detected.fix, detected.event.occurred_at if detected.fix == AFTER_FIXES else _NO_TIME
