"""Ids of many rows as small numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def numbered(ids: NDArray[np.void]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Return the different ids in the order of their bytes, and the number of each row's id among
    them. ids: V16, (n,).

    Equal ids mostly stand together, so only the first id of each such run is sorted; as a text,
    which numpy sorts twenty times as fast as a pair of numbers.
    """
    texts = np.ascontiguousarray(ids).view("S16")
    begins = np.ones(len(texts), np.bool_)
    np.not_equal(texts[1:], texts[:-1], out=begins[1:])
    different, of_run = np.unique(texts[begins], return_inverse=True)
    return different.view("V16"), of_run[np.cumsum(begins) - 1]
