"""Where fixes were: all that a question is about, to choose few of them by their places."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import MOST_PLACES, Cut, covered_of, places_of, spans_of

Places: TypeAlias = NDArray[np.void]
"""PLACE_DTYPE, (n,): tracker_id, time, seq, lat, lon."""


class TooManyPlaces(Exception):
    """There are more fixes to choose from, or more archived days, than are read. what: which."""

    def __init__(self, what: str = f"{MOST_PLACES:,} fixes") -> None:
        super().__init__(what)
        self.what = what


async def all_places(conn: Connection, wanted: FixFilter) -> Places:
    """Return the places of all that is wanted in the database. Raises TooManyPlaces."""
    cut = Cut(False, None, MOST_PLACES + 1, 0)
    places = await places_of(conn, await spans_of(conn, wanted), wanted.window(), cut)
    if len(places) > MOST_PLACES:
        raise TooManyPlaces
    has_shape = wanted.area is not None and wanted.area.covers is not None
    return await covered_of(wanted, places) if has_shape else places
