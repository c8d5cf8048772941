"""Few fixes of many, out of the database and out of the archive, chosen by their places: those that
tell most of a way, or that are nearest.

Places are read first, and then the whole rows of those that were chosen. Raises ArchiveUnavailable
as `archive.reading` does.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from archive.reading import MOST_OBJECTS, Archive, Transactions, by_day, merged
from db.archive import archived_days
from db.archive.archived_days import Piece
from db.core.listing import PageRows
from db.fixes import gps_history
from db.fixes.areas import Area
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import MOST_PLACES, Cut, HistoryFix, HistoryKey, key_of_place
from db.fixes.places import Places, TooManyPlaces, all_places

Chooses: TypeAlias = Callable[[Places], NDArray[np.int64]]


async def chosen(
    archive: Archive,
    transaction: Transactions,
    parts: Sequence[FixFilter],
    chooses: Chooses,
    *,
    descending: bool,
) -> tuple[PageRows[HistoryFix], int]:
    """Return the fixes that `chooses` chooses by their numbers among all that are wanted; and how
    many these are. Raises TooManyPlaces, and what `chooses` does.
    """
    places = np.concatenate([await _places(archive, transaction, part) for part in parts])
    if len(places) > MOST_PLACES:
        raise TooManyPlaces
    numbers = await asyncio.to_thread(chooses, places)
    keys = [key_of_place(place) for place in places[numbers]]
    return await _at_keys(archive, transaction, keys, descending=descending), len(places)


class Near(NamedTuple):
    """A fix, and how far away it was."""

    fix: HistoryFix
    distance_m: float


async def nearest(
    archive: Archive,
    transaction: Transactions,
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
        places = await _places(archive, transaction, replace(wanted, area=around(reach_m)))
        away_m = await asyncio.to_thread(distances_m, places)
        found.clear()
        for number in np.argsort(away_m, kind="stable").tolist():
            key = key_of_place(places[number])
            found.setdefault(key.tracker_id, (float(away_m[number]), key))
        if len(found) >= limit:
            break
    keys = {key: away_m for away_m, key in list(found.values())[:limit]}
    fixes = await _at_keys(archive, transaction, list(keys), descending=True)
    of = {fix.key: fix for fix in fixes}
    return [Near(of[key], away_m) for key, away_m in keys.items() if key in of]


async def _places(archive: Archive, transaction: Transactions, wanted: FixFilter) -> Places:
    """Return the places of all that is wanted. Raises TooManyPlaces."""
    async with transaction() as conn:  # the database first: a day may move just now
        fresh = await all_places(conn, wanted)
        extent = await archived_days.extent(conn, wanted)
        days = (
            []
            if extent is None
            else await archived_days.pieces(conn, wanted, extent.first, extent.last)
        )
    if len(days) > MOST_OBJECTS:
        raise TooManyPlaces(f"{MOST_OBJECTS} archived days")
    found, left = list[Places](), MOST_PLACES - len(fresh)
    for day, pieces in days:
        if left < 0:
            break
        found.append(await archive.read(day, _places_of, pieces, wanted.area, left + 1))
        left -= len(found[-1])
    places = await asyncio.to_thread(_first_of_each, np.concatenate([*found, fresh]))
    if len(places) > MOST_PLACES or left < -len(fresh):
        raise TooManyPlaces
    return places


def _places_of(found: Any, pieces: Sequence[Piece], area: Area | None, at_most: int) -> Places:
    from archive import lookup

    return lookup.places(found, pieces, area, at_most)


def _first_of_each(places: Places) -> Places:
    """Leave out what has the identity of a place before."""
    ids = np.ascontiguousarray(places["tracker_id"]).view(np.uint64).reshape(-1, 2)
    key = (places["seq"], places["time"], ids[:, 1], ids[:, 0])
    order = np.lexsort(key)
    is_again = np.zeros(len(places), np.bool_)
    same = [column[order][1:] == column[order][:-1] for column in key]
    is_again[order[1:]] = np.logical_and.reduce(same)
    return places[~is_again]


async def _at_keys(
    archive: Archive, transaction: Transactions, keys: Sequence[HistoryKey], *, descending: bool
) -> PageRows[HistoryFix]:
    cut, days = Cut(descending, None, len(keys), 0), by_day(keys)
    async with transaction() as conn:
        fresh = await gps_history.at_keys(conn, keys, cut)
        objects = await archived_days.objects_of(conn, days)
    archived: list[HistoryFix] = []
    for day in objects:
        archived += await archive.read(day, _rows_at, days[day.day])
    return await merged(transaction, fresh, archived, cut) if archived else fresh


def _rows_at(found: Any, keys: Sequence[HistoryKey]) -> list[HistoryFix]:
    from archive import lookup

    return lookup.at_keys(found, keys)
