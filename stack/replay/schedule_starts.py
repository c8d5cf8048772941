"""The beginnings of zones' hours, as the evaluator takes them.

A zone may open hundreds of times a year, and a fix may lie decades after the one before it: so
starts are worked out when they are asked for, and about MAX_SCHEDULE_STARTS are held.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from geofence.model.no_fix_events import MOVE_DTYPE, SCHEDULE_START_DTYPE, Agenda
from geofence.model.policy import Policy, schedule_start_breach
from geofence.model.schedule import MAX_SPAN_DAYS, Schedule, opens_between

MAX_SCHEDULE_STARTS = 300_000

_DAY_US = 86_400_000_000
_PORTION_US = MAX_SPAN_DAYS * _DAY_US


class ZoneScheduleStarts:
    """Those of all zones. policies: by zone; the organization is 0.

    most: about how many are given at a time; the starts of one day, if they are more.
    """

    def __init__(self, policies: Sequence[Policy], most: int = MAX_SCHEDULE_STARTS) -> None:
        self._zones: dict[Schedule, list[int]] = {}
        self._inside = tells_of_inside(policies)
        for zone, policy in enumerate(policies):
            outside = schedule_start_breach(policy, inside=False) is not None
            if policy.schedule is not None and (self._inside[zone] or outside):
                self._zones.setdefault(policy.schedule, []).append(zone)
        per_week = sum(_weekly(schedule) * len(zones) for schedule, zones in self._zones.items())
        self._span_us = max(1, most * 7 // max(per_week, 1)) * _DAY_US
        self._rows = np.empty(0, SCHEDULE_START_DTYPE)
        self._from_us = self._until_us = 0  # of which time the rows are

    def agendas(self, after_us: int, until_us: int) -> Iterator[Agenda]:
        """Return the starts in (after_us, until_us], portion by portion; an empty one where none
        are.
        """
        if not self._zones or after_us >= until_us:
            yield Agenda.empty()
            return
        for first_us in range(after_us, until_us, self._span_us):
            rows = self._covering(first_us, min(first_us + self._span_us, until_us))
            yield Agenda(np.empty(0, MOVE_DTYPE), rows)

    def devices_at_once(self, after_us: int, until_us: int) -> int:
        """Return the number of devices whose starts of that time are about `most`; at least 1."""
        return max(1, self._span_us // max(until_us - after_us, 1))

    def _covering(self, after_us: int, until_us: int) -> NDArray[np.void]:
        if not self._from_us <= after_us < until_us <= self._until_us:
            first_us, last_us = min(self._from_us, after_us), max(self._until_us, until_us)
            if last_us - first_us > self._span_us or not len(self._rows):
                first_us, last_us = after_us, until_us
            grain_us = min(_PORTION_US, self._span_us)
            self._work_out(first_us // grain_us * grain_us, -(-last_us // grain_us) * grain_us)
        first, last = np.searchsorted(self._rows["time_us"], [after_us, until_us], "right")
        return self._rows[first:last]

    def _work_out(self, from_us: int, until_us: int) -> None:
        times = [_opens(schedule, from_us, until_us) for schedule in self._zones]
        zones = [np.array(zones) for zones in self._zones.values()]
        pairs = list(zip(times, zones, strict=True))
        rows = np.zeros(sum(len(at) * len(zone) for at, zone in pairs), SCHEDULE_START_DTYPE)
        rows["time_us"] = np.concatenate([np.repeat(at, len(zone)) for at, zone in pairs])
        rows["zone"] = np.concatenate([np.tile(zone, len(at)) for at, zone in pairs])
        rows["inside"] = self._inside[rows["zone"]]
        self._rows = rows[np.lexsort((rows["zone"], rows["time_us"]))]
        self._from_us, self._until_us = from_us, until_us


def tells_of_inside(policies: Sequence[Policy]) -> NDArray[np.bool_]:
    """Return by zone whether the beginning of its hours concerns those inside."""
    tells = [schedule_start_breach(policy, inside=True) is not None for policy in policies]
    return np.array(tells, np.bool_)


def _weekly(schedule: Schedule) -> int:
    return sum(len(window.days) for window in schedule.windows)


def _opens(schedule: Schedule, from_us: int, until_us: int) -> NDArray[np.int64]:
    portions = range(from_us, until_us, _PORTION_US)
    opens = (opens_between(schedule, at, min(at + _PORTION_US, until_us)) for at in portions)
    return np.array([instant for some in opens for instant in some], np.int64)
