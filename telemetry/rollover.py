"""Clocks of receivers that lost count of the weeks.

GPS sends the number of the week in ten bits, so it begins again every 1,024 weeks (19.6 years). A
receiver that does not know which round it is gives times that are whole rounds too early.
"""

import numpy as np
from numpy.typing import NDArray

ROUND_US = 1024 * 7 * 86_400 * 1_000_000
DAY_US = 86_400 * 1_000_000
MAX_ROUNDS = 2


def rounds_missing(time_us: NDArray[np.int64], received_us: int) -> NDArray[np.int64]:
    """Return how many rounds bring each time within a day of its receipt, 0 where none do; (n,).

    Times as `telemetry.times` gives them (years 1 to 9999), microseconds since 1970.
    """
    rounds = np.zeros(len(time_us), np.int64)
    behind_us = received_us - time_us
    for number in range(1, MAX_ROUNDS + 1):
        rounds[np.abs(behind_us - number * ROUND_US) <= DAY_US] = number
    return rounds
