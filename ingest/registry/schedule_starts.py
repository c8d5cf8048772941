"""Starts of zones' hours that give an event, as SCHEDULE_START_DTYPE rows."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.model.no_fix_events import SCHEDULE_START_DTYPE
from geofence.model.policy import Policy, schedule_start_breach
from geofence.model.schedule import MAX_SPAN_DAYS, Schedule, opens_between

_DAY_US = 86_400_000_000
_LOOK_BACK_US = (MAX_SPAN_DAYS - 3) * _DAY_US  # what began before is told nobody any more


class _Hours(NamedTuple):
    """A version with hours, in force in [from_us, to_us). inside: who is told of."""

    organization: int
    schedule: Schedule
    inside: bool
    from_us: int
    to_us: int


class ScheduleStarts:
    """The rows of a span of time are kept until a version changes or another span is asked for."""

    def __init__(self) -> None:
        self._hours: dict[tuple[int, int], _Hours] = {}
        self._forget()

    def __bool__(self) -> bool:
        return bool(self._hours)

    def put(
        self, zone: int, version: int, organization: int, policy: Policy, span_us: tuple[int, int]
    ) -> None:
        """Add a version of a zone, in force in [span_us), or give it another end."""
        if policy.schedule is None:
            return
        wanted = [
            side for side in (True, False) if schedule_start_breach(policy, inside=side) is not None
        ]
        if wanted:
            (inside,) = wanted
            hours = _Hours(organization, policy.schedule, inside, *span_us)
            self._hours[zone, version] = hours
            self._forget()

    def between(self, after_us: int, until_us: int) -> NDArray[np.void]:
        """Return SCHEDULE_START_DTYPE, in (after_us, until_us], by organization, then time."""
        after_us = max(after_us, until_us - _LOOK_BACK_US)
        if not self._hours or after_us >= until_us:
            return np.empty(0, SCHEDULE_START_DTYPE)
        if not self._after_us <= after_us < until_us <= self._until_us:
            self._work_out(after_us - after_us % _DAY_US, until_us + _DAY_US)
        time_us = self._rows["time_us"]
        return self._rows[(time_us > after_us) & (time_us <= until_us)]

    def _forget(self) -> None:
        self._after_us = self._until_us = 0
        self._rows = np.empty(0, SCHEDULE_START_DTYPE)

    def _work_out(self, after_us: int, until_us: int) -> None:
        rows = np.array(list(self._between(after_us, until_us)), SCHEDULE_START_DTYPE)
        self._rows = rows[np.lexsort((rows["zone"], rows["time_us"], rows["key"]))]
        self._after_us, self._until_us = after_us, until_us

    def _between(self, after_us: int, until_us: int) -> Iterator[tuple[int, int, int, bool]]:
        for (zone, _), hours in self._hours.items():
            first_us, last_us = max(after_us, hours.from_us - 1), min(until_us, hours.to_us - 1)
            for time_us in opens_between(hours.schedule, first_us, last_us):
                yield hours.organization, time_us, zone, hours.inside
