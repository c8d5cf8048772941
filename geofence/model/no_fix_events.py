"""Changes of assets without a fix or a zone: trackers change, schedules open."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.model.records import PLACE_DTYPE

MOVE_DTYPE = np.dtype(
    [
        ("key", "<i8"),  # the asset
        ("time_us", "<i8"),
        ("organization", "<i8"),
        ("located", "?"),  # whether a tracker was put on the asset whose last place is known
        ("place", PLACE_DTYPE),  # that place; without meaning where it is not located
    ]
)

SCHEDULE_START_DTYPE = np.dtype(
    [
        ("key", "<i8"),  # the organization
        ("time_us", "<i8"),  # when a window of the zone's schedule opens
        ("zone", "<i8"),
        ("inside", "?"),  # who is told of: the assets inside, else those outside
    ]
)


class Agenda(NamedTuple):
    """move: MOVE_DTYPE; schedule_start: SCHEDULE_START_DTYPE; both by key, then time."""

    move: NDArray[np.void]
    schedule_start: NDArray[np.void]

    @staticmethod
    def empty() -> "Agenda":
        return Agenda(np.empty(0, MOVE_DTYPE), np.empty(0, SCHEDULE_START_DTYPE))
