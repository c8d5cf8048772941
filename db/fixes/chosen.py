"""Few fixes of many, chosen by their places: those that tell most of a way, or that are nearest."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from db.core.connect import Connection
from db.core.listing import PageRows
from db.fixes.areas import Area
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import (
    MOST_PLACES,
    Cut,
    HistoryFix,
    HistoryKey,
    at_keys,
    covered_of,
    key_of_place,
    places_of,
    spans_of,
)

Places = NDArray[np.void]  # of tracker_id, time, seq, lat, lon
Chooses = Callable[[Places], NDArray[np.int64]]


class TooManyPlaces(Exception):
    """There are more than MOST_PLACES fixes to choose from."""


async def chosen(
    conn: Connection, parts: Sequence[FixFilter], chooses: Chooses, *, descending: bool
) -> tuple[PageRows[HistoryFix], int]:
    """Return the fixes that `chooses` chooses by their numbers among all that are wanted; and how
    many these are. Raises TooManyPlaces, and what `chooses` does.
    """
    places = np.concatenate([await _all_places(conn, part) for part in parts])
    if len(places) > MOST_PLACES:
        raise TooManyPlaces
    numbers = await asyncio.to_thread(chooses, places)
    keys = [key_of_place(place) for place in places[numbers]]
    return await at_keys(conn, keys, Cut(descending, None, len(keys), 0)), len(places)


class Near(NamedTuple):
    """A fix, and how far away it was."""

    fix: HistoryFix
    distance_m: float


async def nearest(
    conn: Connection,
    wanted: FixFilter,
    around: Callable[[float], Area],
    distances_m: Callable[[Places], NDArray[np.float64]],
    reaches_m: tuple[float, ...],
    limit: int,
) -> list[Near]:
    """Return the nearest fix of each tracker, the nearest ones first, at most `limit`. One is
    left out that was removed meanwhile, or for which a page has no room.

    around: the area within a distance in metres. Each of `reaches_m` is tried, the shortest first,
    until there are enough trackers. Raises TooManyPlaces.
    """
    found = dict[UUID, tuple[float, HistoryKey]]()
    for reach_m in reaches_m:
        places = await _all_places(conn, replace(wanted, area=around(reach_m)))
        away_m = await asyncio.to_thread(distances_m, places)
        found.clear()
        for number in np.argsort(away_m, kind="stable").tolist():
            key = key_of_place(places[number])
            found.setdefault(key.tracker_id, (float(away_m[number]), key))
        if len(found) >= limit:
            break
    keys = {key: away_m for away_m, key in list(found.values())[:limit]}
    fixes = await at_keys(conn, list(keys), Cut(True, None, limit, 0))
    of = {fix.key: fix for fix in fixes}
    return [Near(of[key], away_m) for key, away_m in keys.items() if key in of]


async def _all_places(conn: Connection, wanted: FixFilter) -> Places:
    cut = Cut(False, None, MOST_PLACES + 1, 0)
    places = await places_of(conn, await spans_of(conn, wanted), wanted.window(), cut)
    if len(places) > MOST_PLACES:
        raise TooManyPlaces
    has_shape = wanted.area is not None and wanted.area.covers is not None
    return await covered_of(wanted, places) if has_shape else places
