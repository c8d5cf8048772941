"""The points that tell most of a track: for who draws it, or sends it far.

Top-down time ratio (N. Meratnia and R. A. de By: Spatiotemporal Compression Techniques for Moving
Point Objects, EDBT 2004): of what lies between two points that are kept, the one is kept next that
is farthest from where a steady move between them would have been at its time. So stops stay, as
well as turns.
"""

import heapq
import itertools

import numpy as np
from numpy.typing import NDArray

_DEGREE_M = 111_195.0  # of latitude, on a sphere


def kept_points(
    track: NDArray[np.integer],
    time_us: NDArray[np.int64],
    lon: NDArray[np.float64],
    lat: NDArray[np.float64],
    most: int,
) -> NDArray[np.int64]:
    """Return which points to keep, rising: the ends of each track, and as many more as make `most`.

    track: the number of each point's track, (n,), as all others. Points are by track, and then by
    time in microseconds. lon, lat: degrees. Raises ValueError where `most` are fewer than the ends.
    """
    firsts = np.flatnonzero(np.diff(track, prepend=-1) != 0)
    lasts = np.append(firsts[1:] - 1, len(track) - 1) if len(firsts) else firsts
    kept = {*firsts.tolist(), *lasts.tolist()}
    if len(kept) > most:
        raise ValueError(f"{len(firsts)} tracks have {len(kept)} ends: more than {most}")
    # As the way goes on over the 180th meridian.
    x_deg = np.unwrap(lon, period=360) * np.cos(np.radians(lat))
    place_m = np.stack((x_deg, lat)) * _DEGREE_M
    heap: list[tuple[float, int, int, int]] = []
    for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True):
        _consider(heap, time_us, place_m, first, last)
    while heap and len(kept) < most:
        _, middle, first, last = heapq.heappop(heap)
        kept.add(middle)
        for begin, end in itertools.pairwise((first, middle, last)):
            _consider(heap, time_us, place_m, begin, end)
    return np.array(sorted(kept), np.int64)


def _consider(
    heap: list[tuple[float, int, int, int]],
    time_us: NDArray[np.int64],
    place_m: NDArray[np.float64],
    first: int,
    last: int,
) -> None:
    """Note the point between two others that is farthest from the steady move, if there is one."""
    if last - first < 2:
        return
    inner = slice(first + 1, last)
    share = (time_us[inner] - time_us[first]) / max(time_us[last] - time_us[first], 1)
    begin, end = place_m[:, first, None], place_m[:, last, None]
    away_m = np.hypot(*(place_m[:, inner] - (begin + (end - begin) * share)))
    farthest = int(np.argmax(away_m))
    heapq.heappush(heap, (-float(away_m[farthest]), first + 1 + farthest, first, last))
