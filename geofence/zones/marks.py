"""The instants at which something of an organization begins or ends to be in force.

MARK_DTYPE rows, sorted by organization, then time, none twice.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geofence.zones.versions import MARK_DTYPE, MAX_TIME_US, MIN_TIME_US

_FEW = 64


def no_marks() -> NDArray[np.void]:
    return np.empty(0, MARK_DTYPE)


def with_more(
    marks: NDArray[np.void], organization: NDArray[np.integer], time_us: NDArray[np.int64]
) -> NDArray[np.void]:
    """Merge `marks` with more of them, in any order. Instants that mean always or never are left
    out.
    """
    more = np.zeros(len(time_us), MARK_DTYPE)
    more["key"], more["time_us"] = organization, time_us
    more = more[(time_us != MIN_TIME_US) & (time_us != MAX_TIME_US)]
    if len(more) > _FEW:
        return _sorted(np.concatenate((marks, more)))
    for mark in more:
        marks = _with_one(marks, mark)
    return marks


def _with_one(marks: NDArray[np.void], mark: Any) -> NDArray[np.void]:
    key, time_us = int(mark["key"]), int(mark["time_us"])
    first, last = (int(end) for end in np.searchsorted(marks["key"], [key, key + 1]))
    place = first + int(np.searchsorted(marks["time_us"][first:last], time_us))
    if place < last and marks["time_us"][place] == time_us:
        return marks
    return np.insert(marks, place, mark)


def _sorted(marks: NDArray[np.void]) -> NDArray[np.void]:
    marks = marks[np.lexsort((marks["time_us"], marks["key"]))]  # np.unique compares row by row
    is_new = np.ones(len(marks), bool)
    for name in ("key", "time_us"):
        is_new[1:] &= marks[name][1:] == marks[name][:-1]
    is_new[1:] = ~is_new[1:]
    return marks[is_new]
