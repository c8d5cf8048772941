"""Where fixes are looked for: a box, and within it, as far as it goes, what holds a place."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString, NamedTuple

import numpy as np
from numpy.typing import NDArray
from psycopg import sql

from db.core.listing import Conditions

Covers = Callable[[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
"""Whether places are in: of time_us (microseconds since 1970), lon and lat (degrees), (n,)."""


class Box(NamedTuple):
    """Degrees within [-180, 180]. Over the 180th meridian west is larger than east."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, lat: NDArray[np.float64], lon: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which places lie in it, edges included, (n,)."""
        is_east, is_west = lon >= self.west, lon <= self.east
        both = is_east & is_west if self.west <= self.east else is_east | is_west
        return (lat >= self.south) & (lat <= self.north) & both


@dataclass(frozen=True, slots=True)
class Area:
    """covers: which of the places in the box are in; None: all."""

    box: Box
    covers: Covers | None = None

    def holds(self) -> Conditions:
        """Return the conditions that the box holds a fix, `g`."""
        conditions = Conditions()
        conditions.add(
            "g.lat BETWEEN %(south)s AND %(north)s", south=self.box.south, north=self.box.north
        )
        conditions.add(self._lon("g.lon", "g.lon"), west=self.box.west, east=self.box.east)
        return conditions

    def meets(self) -> sql.Composable:
        """Return the condition, of the same values, that the box of an hour, `known`, meets it."""
        lon = self._lon("known.east", "known.west")
        return sql.SQL(f"known.north >= %(south)s AND known.south <= %(north)s AND {lon}")

    def contains(self) -> sql.Composable:
        """Return the condition, of the same values, that it holds the box of an hour, `known`."""
        lon = self._lon("known.west", "known.east")
        return sql.SQL(f"known.south >= %(south)s AND known.north <= %(north)s AND {lon}")

    def _lon(self, least: LiteralString, most: LiteralString) -> LiteralString:
        """Return the condition that `least` is not west of the box, and `most` not east of it."""
        both: LiteralString = "AND" if self.box.west <= self.box.east else "OR"
        return f"({least} >= %(west)s {both} {most} <= %(east)s)"
