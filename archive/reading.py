"""Fixes out of the database and out of the archive, as one list.

Both are asked for the same page, in the same order, and the rows are merged by their identity. The
database is read first, and then which days are archived: a fix that moves in between is in both
answers, and never in none. Of two with the same identity the archived one is shown, which was
there first.

No connection is held while an object is read. Raises ArchiveUnavailable where an object is missing,
damaged or not to be had in time; what needs none of its days is answered.
"""

import asyncio
import json
import math
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta
from typing import Any, TypeAlias, TypeVar

from archive.errors import ArchiveUnavailable, StoreError
from archive.store import Store, StoreUrl
from db.archive import archived_days
from db.archive.archived_days import ArchivedDay, Piece
from db.core.connect import Connection
from db.core.listing import MAX_PAGE_BYTES, PageRows
from db.fixes import gps_history
from db.fixes.areas import Area
from db.fixes.fix_filters import FixFilter
from db.fixes.gps_history import Counted, Cut, HistoryFix, HistoryKey, TrackFix
from telemetry.fix import Flag
from telemetry.times import to_us

Transactions: TypeAlias = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a transaction of the tenant."""

PAGE_ROWS = 5_000  # of a walk
MOST_OBJECTS = 64  # read for a count, or to choose from
_FIRST_DAYS, _MORE_DAYS, _MOST_DAYS = 4, 8, 2_048
_FIX_BYTES = 200  # without attributes
_READ_S = 15.0
_TRIES = 5  # to read while no day moves
_A_DAY = timedelta(days=1)
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Archive:
    """store: None where the archive is not set up; then archived days cannot be read."""

    store: Store | None

    @classmethod
    def at(cls, url: StoreUrl | None) -> "Archive":
        return cls(None if url is None else Store(url))

    def close(self) -> None:
        if self.store is not None:
            self.store.close()

    async def listing(
        self, transaction: Transactions, wanted: FixFilter, cut: Cut
    ) -> PageRows[HistoryFix]:
        """Return a page, as `gps_history.listing` does."""
        if cut.offset == 0:
            return await self._page(transaction, wanted, cut)
        async with transaction() as conn:
            rows = await gps_history.listing(conn, wanted, cut)
            if await archived_days.extent(conn, wanted) is None:
                return rows
        after, left_out = cut.after, cut.offset
        while left_out > 0:
            size = min(left_out, PAGE_ROWS)
            some = await self._page(transaction, wanted, replace(cut, after=after, limit=size))
            if some.goes_on_behind is not None or (len(some) < size and not some.is_cut):
                some.clear()
                return some
            after, left_out = _end_of(some), left_out - len(some)
        return await self._page(transaction, wanted, replace(cut, after=after))

    async def walk(
        self, transaction: Transactions, wanted: FixFilter, *, descending: bool, page_rows: int
    ) -> AsyncIterator[list[HistoryFix]]:
        """Yield all that is wanted page by page, each read in transactions of its own."""
        cut = Cut(descending, None, page_rows, 0)
        while True:
            rows = await self._page(transaction, wanted, cut)
            if rows:
                yield rows
            if len(rows) < page_rows and not rows.is_cut:
                return
            cut = replace(cut, after=_end_of(rows))

    async def count(self, transaction: Transactions, wanted: FixFilter, at_most: int) -> Counted:
        """Count the fixes, as `gps_history.count` does. is_cut, too, where more than
        MOST_OBJECTS would have to be read.
        """
        tries = 0
        while True:
            async with transaction() as conn:
                extent = await archived_days.extent(conn, wanted)
                fresh = await gps_history.count(conn, wanted, at_most)
                if extent is None or fresh.is_cut:
                    return fresh
                edges = extent.first, extent.last
                rows = fresh.rows + await archived_days.count_whole(conn, wanted, *edges)
                parts = await archived_days.pieces(conn, wanted, *edges, leaves_whole=True)
                late = by_day(await gps_history.keys(conn, _clipped(wanted, *edges)))
                objects = await archived_days.objects_of(conn, late)
                # What moves meanwhile is counted twice, or not at all.
                tries += 1
                if tries == _TRIES or await archived_days.extent(conn, wanted) == extent:
                    break
        is_cut = max(len(parts), len(objects)) > MOST_OBJECTS
        looked_at = 0
        for day, pieces in parts[:MOST_OBJECTS]:
            if looked_at > at_most:
                is_cut = True
                break
            looked_at += await self.read(day, _count, pieces, wanted.area, at_most + 1)
        # What is in both is counted once.
        for day in objects[:MOST_OBJECTS]:
            rows -= await self.read(day, _count_known, late[day.day])
        return Counted(rows + looked_at, is_cut)

    async def track(
        self, transaction: Transactions, wanted: FixFilter, max_accuracy_m: float, at_most: int
    ) -> list[TrackFix]:
        """Read a track, as `gps_history.track` does."""
        tries = 0
        while True:
            async with transaction() as conn:
                extent = await archived_days.extent(conn, wanted)
                younger = wanted if extent is None else _behind(wanted, extent.last)
                rest = await gps_history.track(conn, younger, max_accuracy_m, at_most)
                tries += 1
                if tries == _TRIES or await archived_days.extent(conn, wanted) == extent:
                    break
        if extent is None:
            return rest
        fixes: list[TrackFix] = []
        older = _clipped(wanted, date.min + _A_DAY, extent.last)
        async for rows in self.walk(transaction, older, descending=False, page_rows=PAGE_ROWS):
            fixes += _track_of(rows, max_accuracy_m)
            if len(fixes) >= at_most:
                break
        return (fixes + rest)[:at_most]

    async def _page(
        self, transaction: Transactions, wanted: FixFilter, cut: Cut
    ) -> PageRows[HistoryFix]:
        """Return `limit` rows behind `after`."""
        async with transaction() as conn:
            fresh = await gps_history.listing(conn, wanted, replace(cut, offset=0))
            left = gps_history.behind_key(wanted, cut)
            if len(fresh) == cut.limit or fresh.is_cut:
                left = _up_to(left, _end_of(fresh), descending=cut.descending)
            days = await archived_days.days(
                conn, left, descending=cut.descending, limit=_FIRST_DAYS
            )
        if not days:
            return fresh
        archived = await self._archived(transaction, left, cut, days)
        if not archived:
            return fresh
        return await merged(transaction, fresh, archived, cut)

    async def _archived(
        self, transaction: Transactions, left: FixFilter, cut: Cut, days: list[ArchivedDay]
    ) -> list[HistoryFix]:
        """Return the first rows of archived days: `days` and those behind them, each of which is
        before the next in the order of the page.
        """
        rows: list[HistoryFix] = []
        limit = _FIRST_DAYS
        while days:
            first, last = sorted((days[0].day, days[-1].day))
            async with transaction() as conn:
                parts = await archived_days.pieces(conn, left, first, last)
            for day, pieces in reversed(parts) if cut.descending else parts:
                if len(rows) < cut.limit:
                    more = cut.limit - len(rows)
                    rows += await self.read(day, _rows, pieces, left.area, cut, more)
            if len(rows) >= cut.limit or len(days) < limit:
                break
            begin, end = archived_days.day_interval(days[-1].day)
            left = replace(left, until=begin) if cut.descending else replace(left, since=end)
            limit = min(limit * _MORE_DAYS, _MOST_DAYS)
            async with transaction() as conn:
                days = await archived_days.days(conn, left, descending=cut.descending, limit=limit)
        return rows

    async def read(
        self, day: ArchivedDay, work: Callable[..., _Result], *arguments: object
    ) -> _Result:
        """Do something with an object. Raises ArchiveUnavailable."""
        if self.store is None:
            raise ArchiveUnavailable(day.day, "OPSC_ARCHIVE_URL is not set")
        try:
            return await self.store.run(
                _opened, self.store, day, work, arguments, timeout_s=_READ_S
            )
        except StoreError as error:
            raise ArchiveUnavailable(day.day, str(error)) from error


def _end_of(rows: PageRows[HistoryFix]) -> HistoryKey:
    """Return the place up to which a page has looked. Not of an empty page that is whole."""
    return HistoryKey(*rows.goes_on_behind) if rows.goes_on_behind else rows[-1].key


def _up_to(wanted: FixFilter, last: HistoryKey, *, descending: bool) -> FixFilter:
    """Return what of the time is not behind a place."""
    if descending:
        return replace(wanted, since=last.time)
    return replace(wanted, until=last.time + timedelta(microseconds=1))


def _opened(
    store: Store, day: ArchivedDay, work: Callable[..., _Result], arguments: Sequence[Any]
) -> _Result:
    from archive import objects

    try:
        with store.open(day.path) as file:
            if file.size() != day.size_bytes:
                raise StoreError(f"{day.path} has {file.size()} bytes instead of {day.size_bytes}")
            if objects.footer_sha256(file) != day.footer_sha256:
                raise StoreError(f"the footer of {day.path} is damaged")
            return work(objects.opened(file, day.org_id, day.day), *arguments)
    except objects.DamagedObject as error:
        raise StoreError(str(error)) from error


def _rows(
    found: Any, pieces: Sequence[Piece], area: Area | None, cut: Cut, limit: int
) -> list[HistoryFix]:
    from archive import lookup

    return lookup.rows(found, pieces, area, cut.after, limit, descending=cut.descending)


def _count(found: Any, pieces: Sequence[Piece], area: Area | None, at_most: int) -> int:
    from archive import lookup

    return lookup.count(found, pieces, area, at_most)


def _count_known(found: Any, fixes: Sequence[HistoryKey]) -> int:
    from archive import lookup

    return lookup.count_known(found, fixes)


def _clipped(wanted: FixFilter, first: date, last: date) -> FixFilter:
    """Return what is wanted of the days from the first to the last."""
    begin, end = archived_days.day_interval(first)[0], archived_days.day_interval(last)[1]
    return replace(
        wanted,
        since=begin if wanted.since is None else max(begin, wanted.since),
        until=end if wanted.until is None else min(end, wanted.until),
    )


def _behind(wanted: FixFilter, last: date) -> FixFilter:
    """Return what is wanted of the days behind the last."""
    end = archived_days.day_interval(last)[1]
    return replace(wanted, since=end if wanted.since is None else max(end, wanted.since))


def by_day(fixes: Sequence[HistoryKey]) -> dict[date, list[HistoryKey]]:
    days: dict[date, list[HistoryKey]] = {}
    for fix in fixes:
        days.setdefault(fix.time.astimezone(UTC).date(), []).append(fix)
    return days


async def merged(
    transaction: Transactions, fresh: PageRows[HistoryFix], archived: list[HistoryFix], cut: Cut
) -> PageRows[HistoryFix]:
    """Return the first rows of both, as many as the database would send at once."""
    by_key = {fix.key: fix for fix in (*fresh, *archived)}
    keys = sorted(by_key, reverse=cut.descending)
    if fresh.is_cut:  # what is behind its end comes with the next page
        end = _end_of(fresh)
        keys = [key for key in keys if (key >= end if cut.descending else key <= end)]
    found = [by_key[key] for key in keys[: cut.limit]]
    rows = PageRows[HistoryFix]()
    size_bytes = 0
    for fix in found:
        if size_bytes >= MAX_PAGE_BYTES:
            break
        rows.append(fix)
        size_bytes += _FIX_BYTES + len(fix.attributes or "")
    if len(rows) == len(found) < cut.limit:
        rows.is_cut, rows.goes_on_behind = fresh.is_cut, fresh.goes_on_behind
    rows.is_cut = rows.is_cut or len(rows) < len(found)
    async with transaction() as conn:
        rows[:] = await archived_days.assets_at(conn, rows)
    await asyncio.sleep(0)
    return rows


def _track_of(rows: Iterable[HistoryFix], max_accuracy_m: float) -> Iterator[TrackFix]:
    """Yield the fixes of a track, as `gps_history.track` reads them."""
    for fix in rows:
        is_good = not fix.flags & Flag.SUSPECT and (fix.accuracy_m or 0) <= max_accuracy_m
        if is_good:
            odometer_m = json.loads(fix.attributes or "{}").get("odometer")
            is_number = isinstance(odometer_m, int | float) and not isinstance(odometer_m, bool)
            yield TrackFix(
                to_us(fix.time),
                fix.lat,
                fix.lon,
                _as_real(fix.accuracy_m or 0),
                math.nan if fix.speed_mps is None else _as_real(fix.speed_mps),
                -1 if fix.ignition is None else int(fix.ignition),
                float(odometer_m) if is_number else math.nan,
            )


def _as_real(value: float) -> float:
    """Return the number that a column of type real has."""
    return struct.unpack("f", struct.pack("f", value))[0]
