"""Revisions: the changes that fixes make to the visits of one asset."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from geofence.late.amendments import Announcement, Visit, VisitKey, by_order_and_zone
from geofence.late.segments import NO_TRANSITIONS
from geofence.late.visit_keys import key_of


@dataclass(frozen=True, slots=True)
class Revision:
    """The changes that one fix makes, or several fixes in order.

    announcements: the events to publish about visits, in order. visits: the visits that are new or
    changed. schedule_starts: TRANSITION_DTYPE, new starts of a zone's hours that give an event; row
    and step say where they stand among the announcements. suspect: by fix (tracker, time_us, seq),
    whether it is suspect from now on; only fixes whose flag changes, and the new fixes. is_new:
    False for a fix that is stored already. fixes: how many fixes the revision covers; 0 where no
    fix made it.
    """

    announcements: list[Announcement] = field(default_factory=list[Announcement])
    visits: list[Visit] = field(default_factory=list[Visit])
    schedule_starts: NDArray[np.void] = field(default_factory=lambda: NO_TRANSITIONS)
    suspect: dict[tuple[int, int, int], bool] = field(
        default_factory=dict[tuple[int, int, int], bool]
    )
    is_new: bool = True
    fixes: int = 0


def in_order_of(
    revision: Revision,
    transitions: NDArray[np.void],
    first: int,
    stable_keys: Mapping[VisitKey, VisitKey],
) -> Revision:
    """Return a revision of fixes in order, its announcements in the order of the transitions.

    transitions: TRANSITION_DTYPE; first: the row of the first of the fixes. stable_keys: see
    `geofence.late.history.History`.
    """
    revision.schedule_starts["row"] -= first
    if not revision.announcements:
        return revision
    found: dict[tuple[VisitKey | None, int], tuple[int, int]] = {}
    for one in transitions[transitions["row"] >= first]:
        change = (stable_keys.get(key_of(one)), int(one["transition"]))
        found[change] = (int(one["row"]) - first, int(one["step"]))
    announcements: list[Announcement] = []
    for one in revision.announcements:
        fix, step = found.get((one.visit.key, one.transition), (0, 0))
        announcements.append(replace(one, fix=fix, step=step))
    return replace(revision, announcements=sorted(announcements, key=by_order_and_zone))


def at_once(schedule_starts: NDArray[np.void]) -> NDArray[np.void]:
    """Return the schedule starts as if one fix had made all of them known; a late fix has."""
    schedule_starts["row"] = schedule_starts["step"] = 0
    return schedule_starts
