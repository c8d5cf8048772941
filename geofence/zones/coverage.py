"""The places that a zone covers, each by the version of its time: exact, as the engine has it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geofence.geometry.boxes import boxes
from geofence.geometry.containment import covers_pairs
from geofence.geometry.packing import ArenaBuilder
from geofence.shapes.types import Shape

_TURNS = (-360.0, 0.0, 360.0)


class Span(NamedTuple):
    """Degrees. Longitudes run on past 180."""

    west: float
    south: float
    east: float
    north: float


class Coverage:
    """Shapes, one or more, each from a time on; the first one, from always on.

    since_us: microseconds since 1970, rising, one for each shape; the first is not looked at.
    """

    def __init__(self, shapes: Sequence[Shape], since_us: Sequence[int]) -> None:
        builder = ArenaBuilder()
        self._records = builder.add(shapes)
        self._arena = builder.arena
        self._since_us = np.array(since_us[1:], np.int64)
        found = boxes(shapes, self._records)
        self.span = Span(
            float(found["west"].min()),
            float(found["south"].min()),
            float(found["east"].max()),
            float(found["north"].max()),
        )

    def covers(
        self, time_us: NDArray[np.int64], lon: NDArray[np.float64], lat: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Return which places are in, on the edge too. time_us, lon, lat: (n,) -> (n,)."""
        shapes = self._records[np.searchsorted(self._since_us, time_us, side="right")]
        inside = np.zeros(len(lon), np.bool_)
        for turn in _TURNS:
            if self.span.west <= 180 + turn and self.span.east >= turn - 180:
                inside |= covers_pairs(self._arena, shapes, lon + turn, lat)
        return inside
