"""The event that each transition of a replay would give, if any."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from geofence.model.policy import BREACH, Policy, Word, event_type
from geofence.model.transitions import Cause, Inferred, Transition

_MINUTE_US = 60_000_000
_REMEMBERED = 65_536  # answers: devices of one trace often move at the same time
_WORDS: dict[int, Word] = {
    Transition.ENTER: "enter",
    Transition.EXIT: "exit",
    Transition.DWELL: "dwell",
    Transition.OVERSPEED: "overspeed",
}

# The columns that, with the zone and the hour, decide; and the greatest value of each.
_ALIKE = {
    "transition": max(Transition),
    "cause": max(Cause),
    "inferred": max(Inferred),
    "returning": 1,
}


class EventTypes:
    """policies: by zone; without any, nothing gives an event."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        number = {policy: place for place, policy in enumerate(dict.fromkeys(policies))}
        self._policies = list(number)
        self._of_zone = np.array([number[policy] for policy in policies], np.int64)
        self._has_hours = np.array([p.schedule is not None for p in self._policies], np.bool_)
        self._type_of = lru_cache(_REMEMBERED)(self._type)

    def of(self, found: NDArray[np.void]) -> list[str]:
        """Return for each of TRANSITION_DTYPE, (n,), the type of its event, "" for none.

        Asked once for those that are alike: hours begin and end on full minutes.
        """
        if not self._policies:
            return [""] * len(found)
        policy = self._of_zone[found["zone"]]
        minute = np.where(self._has_hours[policy], found["time_us"] // _MINUTE_US, 0)
        alike = minute * len(self._policies) + policy
        for name, most in _ALIKE.items():
            alike = alike * (most + 1) + found[name]
        _, first, place = np.unique(alike, return_index=True, return_inverse=True)
        asked = (column[first].tolist() for column in (policy, minute, *(found[n] for n in _ALIKE)))
        types = list(map(self._type_of, *asked))
        return [types[number] for number in place.tolist()]

    def _type(
        self, policy: int, minute: int, transition: int, cause: int, inferred: int, returning: bool
    ) -> str:
        if transition == Transition.SCHEDULE:
            return BREACH
        found = event_type(
            self._policies[policy],
            _WORDS[transition],
            Cause(cause).name.lower(),
            "segment" if inferred == Inferred.SEGMENT else None,
            minute * _MINUTE_US,
            left_before=returning,
        )
        return found or ""
