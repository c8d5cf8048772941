"""The decision table: the action that follows from the state of an asset in a zone and from the
evidence of a fix.

Compiled code looks each decision up in ACTIONS, which is made from DECISIONS.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, cast

import numpy as np

Word = Literal["enter", "exit", "dwell", "overspeed"]
"""The words for what happens in a visit, in events and in the API."""


class Was(IntEnum):
    """The state of an asset in a zone before a fix."""

    UNKNOWN = 0  # where the asset is was not known
    OUTSIDE = 1
    INSIDE = 2


class Says(IntEnum):
    """The evidence of a fix about a zone."""

    OUTSIDE = 0  # outside, by more than the margin of the zone and the fix
    MARGIN = 1  # outside, by no more than that
    INSIDE = 2
    THROUGH = 3  # outside, and so was the fix before, but the way between them meets the zone
    UNSURE = 4  # coarse, and neither deep enough inside nor far enough outside


class Action(IntEnum):
    """The step that follows from state and evidence."""

    NOTHING = 0
    FORGET = 1  # the run that was under way has ended
    WAIT = 2  # a run begins or goes on
    ENTER = 3
    EXIT = 4
    PASS = 5  # enter and exit, both inferred


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the table; confirmed: None where it makes no difference."""

    was: Was
    says: Says
    confirmed: bool | None
    action: Action


DECISIONS = (
    Decision(Was.UNKNOWN, Says.INSIDE, None, Action.ENTER),
    Decision(Was.UNKNOWN, Says.MARGIN, None, Action.NOTHING),
    Decision(Was.UNKNOWN, Says.OUTSIDE, None, Action.NOTHING),
    Decision(Was.UNKNOWN, Says.UNSURE, None, Action.NOTHING),
    Decision(Was.OUTSIDE, Says.INSIDE, True, Action.ENTER),
    Decision(Was.OUTSIDE, Says.INSIDE, False, Action.WAIT),
    Decision(Was.OUTSIDE, Says.THROUGH, None, Action.PASS),
    Decision(Was.OUTSIDE, Says.MARGIN, None, Action.FORGET),
    Decision(Was.OUTSIDE, Says.OUTSIDE, None, Action.FORGET),
    Decision(Was.OUTSIDE, Says.UNSURE, None, Action.NOTHING),
    Decision(Was.INSIDE, Says.INSIDE, None, Action.FORGET),
    Decision(Was.INSIDE, Says.MARGIN, None, Action.FORGET),
    Decision(Was.INSIDE, Says.OUTSIDE, False, Action.WAIT),
    Decision(Was.INSIDE, Says.OUTSIDE, True, Action.EXIT),
    Decision(Was.INSIDE, Says.UNSURE, None, Action.NOTHING),
)

# ACTIONS[was, says, confirmed]: what DECISIONS says, for compiled code.
ACTIONS = np.zeros((len(Was), len(Says), 2), dtype=np.int64)
for _decision in DECISIONS:
    for _confirmed in (False, True) if _decision.confirmed is None else (_decision.confirmed,):
        ACTIONS[_decision.was, _decision.says, int(_confirmed)] = _decision.action


class Transition(IntEnum):
    NONE = 0
    ENTER = 1
    EXIT = 2
    DWELL = 3  # the asset has been in the zone for so long
    SCHEDULE = (
        4  # a window of the zone's schedule opened on an asset that should not be where it is
    )
    OVERSPEED = 5  # a fix inside states a speed above the zone's limit

    @property
    def word(self) -> Word:
        """The word in events, in the API, in metrics and in replays."""
        return cast(Word, self.name.lower())


class Cause(IntEnum):
    MOVED = 0
    INITIAL = 1  # where the asset was before is not known
    ZONE_CHANGED = 2  # the zone, or which assets it bears on, changed under an asset at rest
    REASSIGNED = 3  # the asset got another tracker, or lost its tracker
    SILENCE = 4  # nothing was heard for so long
    SCHEDULE_STARTED = 5

    @property
    def word(self) -> str:
        """The word in visits and events."""
        return self.name.lower()


# What is nobody's doing on the ground: an edit, another tracker, no news. It never alerts.
SILENT = frozenset({Cause.ZONE_CHANGED, Cause.REASSIGNED, Cause.SILENCE})


class Inferred(IntEnum):
    """The reason for a transition that no fix shows by itself."""

    NONE = 0
    SEGMENT = 1  # the asset passed through between two fixes
    TIMER = 2  # a deadline passed

    @property
    def word(self) -> str | None:
        """The word in visits and events."""
        return None if self is Inferred.NONE else self.name.lower()


# The words by number, for many transitions at a time.
TRANSITION_WORDS: tuple[Word, ...] = tuple(transition.word for transition in Transition)
CAUSE_WORDS = tuple(cause.word for cause in Cause)
INFERRED_WORDS = tuple(inferred.word for inferred in Inferred)


TRANSITION_DTYPE = np.dtype(
    [
        ("row", "<i8"),  # the fix that made it known, by its number in the batch; -1: none did
        ("step", "<i8"),  # counts instants of judgement: what one gives is known together
        ("asset", "<i4"),
        ("zone", "<i4"),
        ("version", "<i4"),  # of the zone: that in force when it occurred, else the last that was
        ("organization", "<i4"),
        ("transition", "u1"),  # Transition
        ("cause", "u1"),  # Cause
        ("inferred", "u1"),  # Inferred
        ("returning", "?"),  # an enter after an exit, of zones that remember exits
        ("time_us", "<i8"),  # when it occurred
        ("lat", "<f8"),  # where the asset was then, degrees
        ("lon", "<f8"),
        ("tracker", "<i4"),  # of the fix that shows it, with its accuracy and speed; NaN: not known
        ("fix_us", "<i8"),  # the time and the seq of that fix
        ("fix_seq", "<i4"),
        ("accuracy_m", "<f4"),
        ("speed_mps", "<f4"),
        ("first_fix_tracker", "<i4"),  # what the visit's id is made of: the fix that opened it
        ("first_fix_us", "<i8"),
        ("first_fix_seq", "<i4"),
        ("change_us", "<i8"),  # the change where that opened the visit, else 0
        ("entered_us", "<i8"),
        ("entered_version", "<i4"),
        ("again", "<i4"),  # how many visits the same fix opened in the zone before
    ]
)


def rank_in_instant(transition: int, entered_us: int, time_us: int) -> int:
    """Return the place of a transition among those of one instant: dwells, exits, then enters.

    A visit without length keeps its enter before its exit, and a visit that ends with its dwell
    keeps the dwell before its exit. entered_us: when the visit began.
    """
    if transition == Transition.DWELL:
        return 0
    if transition == Transition.EXIT:
        return 1 if entered_us < time_us else 3
    return 2
