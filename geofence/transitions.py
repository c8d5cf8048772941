"""The rule: what follows when a fix says inside or outside. The table is the rule itself.

The plain rule: a zone is entered with the first fix that it covers and left with the first that it
does not. `now changed` is a change of the zone under an asset that has not moved.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Was(IntEnum):
    """What is known of an asset and a zone before a fix."""

    UNKNOWN = 0  # no fix of the asset was judged yet
    OUTSIDE = 1
    INSIDE = 2


class Says(IntEnum):
    """What a fix says of a zone."""

    OUTSIDE = 0
    INSIDE = 1


class Transition(IntEnum):
    NONE = 0
    ENTER = 1
    EXIT = 2


class Cause(IntEnum):
    MOVED = 0
    INITIAL = 1
    ZONE_CHANGED = 2


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the table."""

    was: Was
    says: Says
    zone_changed: bool
    transition: Transition
    cause: Cause = Cause.MOVED


DECISIONS = (
    Decision(Was.UNKNOWN, Says.OUTSIDE, False, Transition.NONE),
    Decision(Was.UNKNOWN, Says.INSIDE, False, Transition.ENTER, Cause.INITIAL),
    Decision(Was.OUTSIDE, Says.OUTSIDE, False, Transition.NONE),
    Decision(Was.OUTSIDE, Says.INSIDE, False, Transition.ENTER),
    Decision(Was.OUTSIDE, Says.OUTSIDE, True, Transition.NONE),
    Decision(Was.OUTSIDE, Says.INSIDE, True, Transition.ENTER, Cause.ZONE_CHANGED),
    Decision(Was.INSIDE, Says.INSIDE, False, Transition.NONE),
    Decision(Was.INSIDE, Says.OUTSIDE, False, Transition.EXIT),
    Decision(Was.INSIDE, Says.INSIDE, True, Transition.NONE),
    Decision(Was.INSIDE, Says.OUTSIDE, True, Transition.EXIT, Cause.ZONE_CHANGED),
)

# An asset of which nothing is known has no position at which a change of zone could be judged, so
# (UNKNOWN, ..., zone_changed) is no line of the table.
_CAUSES = np.zeros((len(Was), len(Says), 2), dtype=np.uint8)
for _decision in DECISIONS:
    _CAUSES[_decision.was, _decision.says, int(_decision.zone_changed)] = _decision.cause


def causes(
    was: NDArray[np.integer], says: Says, zone_changed: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The causes of n transitions, from the table. was: Was values; zone_changed: bool; (n,)."""
    return _CAUSES[was, says, zone_changed.astype(np.intp)]


TRANSITION_DTYPE = np.dtype(
    [
        ("row", "<i4"),  # the fix, by its number in the batch
        ("asset", "<i4"),
        ("zone", "<i4"),
        ("version", "<i4"),  # of the zone: that in force, else the last that was
        ("organization", "<i4"),
        ("transition", "u1"),  # Transition
        ("cause", "u1"),  # Cause
        ("time_us", "<i8"),  # when it occurred: the fix's time, or the zone's change
        ("lat", "<f8"),  # where the asset was then, degrees
        ("lon", "<f8"),
        ("opening_tracker", "<i4"),  # what the visit's id is made of: the fix that opened it
        ("opening_us", "<i8"),
        ("opening_seq", "<i4"),
        ("opening_change_us", "<i8"),  # the zone's change where that opened the visit, else 0
        ("entered_us", "<i8"),
        ("opening_version", "<i4"),
    ]
)
