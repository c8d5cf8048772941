"""Conflicts: fixes of one tracker with the same time and seq, from different places.

Only the first to arrive is stored. A later one from the same place is a duplicate. A later one from
another place goes into quarantine, so that its loss is seen.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from db.history.gps_events import FixKey, Place


def new_and_conflicting(
    fixes: Iterable[tuple[FixKey, Place]], stored: Mapping[FixKey, Place]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which of n fixes in order of arrival are new, and which conflict with an earlier one.

    Shape (n,) each.
    """
    places = dict(stored)
    is_new: list[bool] = []
    is_conflict: list[bool] = []
    for key, place in fixes:
        is_new.append(key not in places)
        is_conflict.append(places.setdefault(key, place).is_elsewhere(place))
    return np.array(is_new, np.bool_), np.array(is_conflict, np.bool_)
